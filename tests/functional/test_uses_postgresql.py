"""Uses on PostgreSQL: of many at once no more succeed than the letter allows, and twins share one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import func, select

from sidecar.clock import FixedClock
from sidecar.keys.generate import create_age_identity, create_ring
from sidecar.keys.ids import UuidSource
from sidecar.keys.ring import FileKeyRing
from sidecar.keys.sealing import DataKeySealer
from sidecar.ledger.tables import DATA_KEYS, ENTRIES, SEALED_INPUTS
from sidecar.ledger.types import EffectRefused
from sidecar.papers.inputs import SealedInputs
from sidecar.papers.tables import LETTER_USES
from sidecar.papers.types import Letter
from sidecar.papers.uses import COUNT_USE, OPEN_INQUIRY, Uses
from tests.support.papers import NOW, UNIT
from tests.support.state import entry, open_both, settings_for

pytestmark = pytest.mark.functional

SECONDS = int(NOW.timestamp())
IDS = UuidSource(FixedClock(NOW))
THREADS = 6


@pytest.fixture
def state(tmp_path, postgres_url):
    yield from open_both(settings_for(tmp_path, postgres_url))


@pytest.fixture
def uses(state, tmp_path):
    create_ring(tmp_path / "keys", 2026)
    return Uses(state[0], FileKeyRing.load(tmp_path / "keys", FixedClock(NOW)), idempotency_seconds=600)


def compete(state, uses, inputs, allowed, key):
    """Every thread opens an inquiry on one letter at the same moment; the names of what was refused."""
    nothing: frozenset[str] = frozenset()
    letter = Letter(UNIT, "京公法字〔2026〕1号", "", nothing, nothing, "open", "", "", 0, 0, allowed, "jws")
    gate = Barrier(THREADS)

    def run(_):
        effects = uses.first_page(
            inquiry=IDS.new(),
            officer="i|110",
            digest=b"d" * 32,
            letter=letter,
            idempotency_key=key,
            further=True,
            expires=SECONDS + 900,
            now=SECONDS,
        )
        gate.wait()
        try:
            state[1].commit(entry(), [*effects, *inputs.effects("e", b"plain")])
        except EffectRefused as exc:
            return exc.name
        return ""

    with ThreadPoolExecutor(THREADS) as pool:
        return sorted(pool.map(run, range(THREADS)))


@pytest.fixture
def inputs(tmp_path):
    return SealedInputs(DataKeySealer([create_age_identity(tmp_path / "organ")], FixedClock(NOW)))


def count(state, table):
    with state[0].connect() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar()


@pytest.mark.parametrize("allowed", [1, 3])
def test_no_more_succeed_than_the_letter_allows(state, uses, inputs, allowed):
    assert compete(state, uses, inputs, allowed, "") == [""] * allowed + [COUNT_USE] * (THREADS - allowed)
    assert count(state, ENTRIES) == count(state, SEALED_INPUTS) == allowed
    assert count(state, DATA_KEYS) == 1


def test_of_twins_one_opens_and_the_others_share_it(state, uses, inputs):
    assert compete(state, uses, inputs, THREADS, "key") == [""] + [OPEN_INQUIRY] * (THREADS - 1)
    twin = uses.twin("i|110", "key", b"d" * 32, SECONDS)
    page = uses.shared_page(inquiry=twin.inquiry, officer="i|110", digest=b"d" * 32, now=SECONDS)
    state[1].commit(entry(), page)
    with state[0].connect() as connection:
        assert connection.execute(select(LETTER_USES.c.used)).scalars().all() == [1]


def test_key_that_is_over_is_taken_again(state, uses):
    more = {"officer": "i|110", "digest": b"d" * 32, "letter": None, "idempotency_key": "k"}
    for now in (SECONDS, SECONDS + 600):
        effects = uses.first_page(inquiry=IDS.new(), further=True, expires=now + 900, now=now, **more)
        state[1].commit(entry(), effects)
    assert uses.purge(SECONDS + 900) == 1
