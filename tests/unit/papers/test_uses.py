"""Uses on a real ledger: never more than the letter allows, shared by pages and twins, counted with the entry only."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from threading import Barrier

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from sidecar.clock import FixedClock
from sidecar.errors import RequestInvalid
from sidecar.keys.generate import create_ring
from sidecar.keys.ids import UuidSource
from sidecar.keys.ring import FileKeyRing
from sidecar.ledger.types import EffectRefused
from sidecar.papers.tables import IDEMPOTENCY_KEYS, INQUIRIES, LETTER_USES
from sidecar.papers.types import Letter
from sidecar.papers.uses import COUNT_USE, OPEN_INQUIRY, SHARE_INQUIRY, Shared, Uses, count_use
from tests.support.papers import NOW, UNIT
from tests.support.state import entry, open_both, settings_for

SECONDS = int(NOW.timestamp())
EXPIRES = SECONDS + 900
IDS = UuidSource(FixedClock(NOW))
ME = "i|110"
DIGEST = b"d" * 32


@pytest.fixture
def state(tmp_path):
    yield from open_both(settings_for(tmp_path))


@pytest.fixture
def ledger(state):
    return state[1]


@pytest.fixture
def uses(state, tmp_path):
    create_ring(tmp_path / "keys", 2026)
    return Uses(state[0], FileKeyRing.load(tmp_path / "keys", FixedClock(NOW)), idempotency_seconds=600)


def letter(number=1, uses=1):
    nothing = frozenset()
    return Letter(UNIT, f"京公法字〔2026〕{number}号", "", nothing, nothing, "open", "", "", 0, 0, uses, "jws")


def first(uses, *, paper=None, key="", inquiry=None, digest=DIGEST, now=SECONDS, further=True):
    return uses.first_page(
        inquiry=inquiry or IDS.new(),
        officer=ME,
        digest=digest,
        letter=paper,
        idempotency_key=key,
        further=further,
        expires=now + 900,
        now=now,
    )


def shared(uses, inquiry, **changes):
    return uses.shared_page(**({"inquiry": inquiry, "officer": ME, "digest": DIGEST, "now": SECONDS} | changes))


def rows(state, table):
    with state[0].connect() as connection:
        return connection.execute(select(table)).all()


def test_last_use_is_the_last(state, ledger, uses):
    for _ in range(2):
        ledger.commit(entry(), first(uses, paper=letter(uses=2)))
    with pytest.raises(EffectRefused) as caught:
        ledger.commit(entry(), first(uses, paper=letter(uses=2)))
    assert (caught.value.name, caught.value.code) == (COUNT_USE, "letter-used")
    assert [row.used for row in rows(state, LETTER_USES)] == [2]
    assert len(rows(state, INQUIRIES)) == 2


def test_letters_count_apart(ledger):
    for number in (1, 2):
        ledger.commit(entry(), [count_use(letter(number))])


def compete(ledger, commits):
    """Commit each in a thread of its own, at the same moment; the names of what was refused, "" where nothing was."""
    gate = Barrier(len(commits))

    def run(effects):
        gate.wait()
        try:
            ledger.commit(entry(), effects)
        except EffectRefused as exc:
            return exc.name
        return ""

    with ThreadPoolExecutor(len(commits)) as pool:
        return sorted(pool.map(run, commits))


def test_of_two_at_once_one_has_the_one_use(state, ledger, uses):
    assert compete(ledger, [first(uses, paper=letter()) for _ in range(2)]) == ["", COUNT_USE]
    assert len(rows(state, INQUIRIES)) == 1


@given(allowed=st.integers(1, 5), asked=st.integers(1, 8))
@settings(
    max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
def test_uses_never_exceed_what_is_allowed(ledger, allowed, asked):
    paper = replace(letter(), number=IDS.new(), uses=allowed)
    refused = compete(ledger, [[count_use(paper)] for _ in range(asked)])
    assert refused.count("") == min(allowed, asked)


def test_twins_at_once_share_one_use(state, ledger, uses):
    commits = [first(uses, paper=letter(), key="k") for _ in range(2)]
    assert compete(ledger, commits) == ["", OPEN_INQUIRY]
    twin = uses.twin(ME, "k", DIGEST, SECONDS)
    assert twin == Shared(rows(state, INQUIRIES)[0].id, EXPIRES)
    ledger.commit(entry(), shared(uses, twin.inquiry))
    assert [row.used for row in rows(state, LETTER_USES)] == [1]
    assert [row.pages for row in rows(state, INQUIRIES)] == [2]


@pytest.mark.parametrize(
    "changes",
    [{"officer": "i|111"}, {"digest": b"e" * 32}, {"now": EXPIRES}, {"inquiry": IDS.new()}],
    ids=["officer", "digest", "over", "inquiry"],
)
def test_page_of_anything_else_is_refused(ledger, uses, changes):
    inquiry = IDS.new()
    ledger.commit(entry(), first(uses, inquiry=inquiry))
    ledger.commit(entry(), shared(uses, inquiry, now=EXPIRES - 1))
    with pytest.raises(EffectRefused) as caught:
        ledger.commit(entry(), shared(uses, **{"inquiry": inquiry, **changes}))
    assert caught.value.name == SHARE_INQUIRY


def test_same_inquiry_cannot_be_opened_twice(ledger, uses):
    inquiry = IDS.new()
    ledger.commit(entry(), first(uses, inquiry=inquiry))
    with pytest.raises(EffectRefused, match=OPEN_INQUIRY):
        ledger.commit(entry(), first(uses, inquiry=inquiry))


def test_key_of_another_request_is_a_mismatch(ledger, uses):
    ledger.commit(entry(), first(uses, key="k"))
    with pytest.raises(RequestInvalid) as caught:
        uses.twin(ME, "k", b"e" * 32, SECONDS)
    assert caught.value.code == "idempotency-mismatch"
    assert uses.twin("i|111", "k", b"e" * 32, SECONDS) is None


def test_key_is_remembered_ten_minutes_and_may_then_be_taken_again(state, ledger, uses):
    one, two = IDS.new(), IDS.new()
    ledger.commit(entry(), first(uses, key="k", inquiry=one))
    assert uses.twin(ME, "k", DIGEST, SECONDS + 599) == Shared(one, EXPIRES)
    assert uses.twin(ME, "k", b"e" * 32, SECONDS + 600) is None
    with pytest.raises(EffectRefused, match=OPEN_INQUIRY):
        ledger.commit(entry(), first(uses, key="k", inquiry=two, now=SECONDS + 599))
    ledger.commit(entry(), first(uses, key="k", inquiry=two, now=SECONDS + 600))
    assert [row.inquiry for row in rows(state, IDEMPOTENCY_KEYS)] == [two]
    ledger.commit(entry(), shared(uses, one, now=SECONDS + 601))


def test_pages_of_an_inquiry_use_the_key_of_the_year_in_its_id(state, ledger):
    asked = []

    class Ring:
        def keyed_hash(self, kind, value, year):
            asked.append((kind, year))
            return value[:32]

    uses = Uses(state[0], Ring(), idempotency_seconds=600)
    eve = datetime(2026, 12, 31, 15, 59, 59, tzinfo=UTC)  # the last second of 2026 in Beijing
    inquiry, now = UuidSource(FixedClock(eve)).new(), int(eve.timestamp())
    ledger.commit(entry(), first(uses, inquiry=inquiry, now=now))
    ledger.commit(entry(), shared(uses, inquiry, now=now + 60))
    assert asked == [("request", 2026)] * 2


def test_neither_digest_nor_key_is_stored(state, ledger, uses):
    ledger.commit(entry(), first(uses, key="client-key"))
    stored = repr([*rows(state, INQUIRIES), *rows(state, IDEMPOTENCY_KEYS)])
    assert "client-key" not in stored
    assert DIGEST.hex() not in stored


def test_purge_forgets_inquiries_that_are_over_and_no_uses(state, ledger, uses):
    ledger.commit(entry(), first(uses, paper=letter(), key="k"))
    assert uses.purge(SECONDS) == 0
    assert uses.purge(EXPIRES) == 2
    assert rows(state, INQUIRIES) == rows(state, IDEMPOTENCY_KEYS) == []
    assert len(rows(state, LETTER_USES)) == 1


def test_an_inquiry_that_nothing_can_share_leaves_no_row(state, uses):
    effects = first(uses, paper=letter(), further=False)
    assert [effect.name for effect in effects] == [COUNT_USE]
    assert first(uses, further=False) == ()
    assert [e.name for e in first(uses, key="k", further=False)][:1] == [OPEN_INQUIRY]
