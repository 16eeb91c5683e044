"""Alerts follow from entries and revision only, are numbered without gaps, and name their evidence."""

from __future__ import annotations

import pytest
from cloudevents.core.bindings.common import get_event_factory_for_version
from cloudevents.core.formats.json import JSONFormat
from sqlalchemy import delete, select

from sidecar.clock import FixedClock
from sidecar.errors import EngineUnavailable, LedgerUnavailable
from sidecar.ledger import merkle
from sidecar.ledger.sequencer import Sequencer
from sidecar.ledger.tables import POSITIONS, STATE, WRITERS
from sidecar.ledger.verify import verify_database
from sidecar.oversight.events import MAX_PAGE, EventPage, read
from sidecar.oversight.projector import AlertProjector
from sidecar.oversight.tables import EVENTS
from sidecar.policy.types import AlertFinding
from tests.support.state import NOW, entry, open_both, settings_for

REFUSED = AlertFinding("org.example.inquiry.refused", "medium", ("Q5",))
FORGED = AlertFinding("org.example.letter.forged", "high", ("Q5", "R18"))


class Rules:
    """A policy small enough to see through: refusals alert, forged letters alert once more; down when told."""

    down = False

    def alerts(self, fields):
        if self.down:
            raise EngineUnavailable("down")
        forged = [FORGED] if "letter-forged" in fields["codes"] else []
        return [REFUSED, *forged] if fields["outcome"] == "refuse" else []


@pytest.fixture
def state(tmp_path):
    yield from open_both(settings_for(tmp_path))


@pytest.fixture
def engine(state):
    return state[0]


@pytest.fixture
def ledger(state):
    return state[1]


@pytest.fixture
def rules():
    return Rules()


@pytest.fixture
def sequencer(engine, ledger, rules):
    made = Sequencer(engine, ledger, FixedClock(NOW), [AlertProjector(rules, "county")], batch=2)
    yield made
    made.release()


def fill(ledger, sequencer) -> None:
    for outcome, codes in [
        ("allow", ()),
        ("refuse", ("letter-missing",)),
        ("allow", ()),
        ("refuse", ("letter-forged",)),
    ]:
        ledger.commit(entry(outcome=outcome, codes=codes, officer="idp|4711", unit="U1", extra={"x": "y"}))
    while sequencer.step():
        pass


def test_events_name_their_evidence(engine, ledger, sequencer):
    fill(ledger, sequencer)
    page = read(engine, 0, 10)
    with engine.connect() as connection:
        leaves = connection.execute(select(POSITIONS.c.leaf_hash).order_by(POSITIONS.c.position)).scalars().all()
    assert [(e["sequence"], e["type"], e["severity"], e["position"], e["leafhash"]) for e in page.events] == [
        ("1", REFUSED.type, "medium", "1", leaves[1].hex()),
        ("2", REFUSED.type, "medium", "3", leaves[3].hex()),
        ("3", FORGED.type, "high", "3", leaves[3].hex()),
    ]
    assert {e["source"] for e in page.events} == {"urn:sidecar:county"}
    data = page.events[2]["data"]
    assert (data["codes"], data["officer"], data["unit"], data["position"], data["rules"], data["extra"]) == (
        ["letter-forged"], "idp|4711", "U1", 3, ["Q5", "R18"], {"x": "y"},
    )  # fmt: skip
    assert "salt" not in data
    assert "answer" not in data
    assert verify_database(engine).events == 3


def test_events_are_cloudevents_1_0(engine, ledger, sequencer):
    fill(ledger, sequencer)
    with engine.connect() as connection:
        bodies = connection.execute(select(EVENTS.c.body).order_by(EVENTS.c.seq)).scalars().all()
    events = [JSONFormat().read(get_event_factory_for_version("1.0"), body) for body in bodies]
    assert [(e.get_specversion(), e.get_time()) for e in events] == [("1.0", NOW)] * 3
    assert len({e.get_id() for e in events}) == 3


def test_events_are_a_function_of_the_entries(engine, ledger, sequencer):
    fill(ledger, sequencer)
    first = read(engine, 0, 10)
    with engine.begin() as connection:
        connection.execute(delete(EVENTS))
        connection.execute(delete(POSITIONS))
        connection.execute(STATE.update().values(size=0, roots=b""))
        for writer in connection.execute(select(WRITERS.c.id)).scalars().all():
            connection.execute(
                WRITERS.update()
                .where(WRITERS.c.id == writer)
                .values(integrated_seq=0, integrated_chain=merkle.chain_start(writer))
            )
    while sequencer.step():
        pass
    assert read(engine, 0, 10) == first


def test_a_policy_that_is_down_delays_alerts_and_loses_none(engine, ledger, sequencer, rules):
    rules.down = True
    with pytest.raises(EngineUnavailable):
        fill(ledger, sequencer)
    assert read(engine, 0, 10) == EventPage((), 0, 0)
    rules.down = False
    while sequencer.step():
        pass
    assert read(engine, 0, 10).last == 3


def test_pages_follow_one_another_and_can_be_read_again(engine, ledger, sequencer):
    fill(ledger, sequencer)
    first = read(engine, 0, 2)
    assert (len(first.events), first.next, first.last) == (2, 2, 3)
    assert read(engine, 0, 2) == first
    assert [e["sequence"] for e in read(engine, first.next, 2).events] == ["3"]
    assert read(engine, 3, 2) == EventPage((), 3, 3)


@pytest.mark.parametrize(("after", "limit"), [(-1, 1), (0, 0), (0, MAX_PAGE + 1)])
def test_cursors_out_of_range_are_refused(engine, after, limit):
    with pytest.raises(ValueError, match="expected after"):
        read(engine, after, limit)


def test_a_database_without_the_feed_is_unavailable(engine):
    EVENTS.drop(engine)
    with pytest.raises(LedgerUnavailable):
        read(engine, 0, 1)
