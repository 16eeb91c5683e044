"""The seal register in memory: the same marks as the database's, given only on condition that they are the present ones."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from sidecar.errors import LedgerUnavailable
from sidecar.keys.generate import add_pseudonym_year
from sidecar.ledger.types import EffectRefused
from sidecar.papers.kept_register import AGAIN_SECONDS, REGISTER_UNCHANGED, KeptRegister
from sidecar.records.types import RegisterMarks, Search, Subject
from tests.support.state import entry
from tests.unit.papers.test_register import NAMED, NUMBER, ONE, PERSON, World

OTHER = Subject(person_id="110105199003070011")
EVERYONE = Search(())


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    made.ledger.close()
    made.engine.dispose()


def kept(world, most=100) -> KeptRegister:
    return KeptRegister(world.register, world.engine, world.clock, most)


def asked(target, database="cases") -> SimpleNamespace:
    return SimpleNamespace(database=database, target=target)


class Statements:
    """Counts statements to the state database."""

    def __init__(self, engine) -> None:
        self.number = 0
        event.listen(engine, "before_cursor_execute", self._count)

    def _count(self, *_) -> None:
        self.number += 1


def test_what_is_kept_costs_no_statement(world):
    world.run(ONE)
    register = kept(world)
    register.marks(asked(PERSON))
    statements = Statements(world.engine)
    assert register.marks(asked(PERSON)).marks.sealed == {"7"}
    assert register.marks(asked(OTHER)).marks == RegisterMarks()
    assert register.marks(asked(EVERYONE)).marks.sealed == {"7"}
    assert statements.number == 0


def test_an_answer_is_committed_only_while_the_register_is_as_it_was_read(world):
    register = kept(world)
    before = register.marks(asked(PERSON))
    world.ledger.commit(entry(), before.conditions)
    world.run(ONE)
    with pytest.raises(EffectRefused) as refused:
        world.ledger.commit(entry(), before.conditions)
    assert refused.value.name == REGISTER_UNCHANGED


def test_after_a_refusal_the_database_is_asked_and_then_read_anew(world):
    register = kept(world)
    world.run(ONE)
    old = register.marks(asked(PERSON))
    world.run(ONE | {"record_key": "8", "effect": "unseal"})
    fresh = register.marks(asked(PERSON), old.conditions)
    assert (old.marks.unsealed, fresh.marks.unsealed, fresh.conditions) == (frozenset(), {"8"}, ())
    again = register.marks(asked(PERSON))
    assert again.marks.unsealed == {"8"}
    world.ledger.commit(entry(), again.conditions)


def test_a_late_loser_does_not_throw_the_present_register_away(world):
    register = kept(world)
    old = register.marks(asked(PERSON))
    world.run(ONE)
    register.marks(asked(PERSON), old.conditions)
    register.marks(asked(PERSON))  # read anew
    register.marks(asked(PERSON), old.conditions)
    statements = Statements(world.engine)
    assert register.marks(asked(PERSON)).marks.sealed == {"7"}
    assert statements.number == 0


def test_a_register_that_cannot_be_read_whole_is_asked_each_time(world, monkeypatch):
    world.run(ONE)
    register = kept(world)

    def slow(query, values):
        if values == {}:
            raise LedgerUnavailable("statement time-out")
        return []

    monkeypatch.setattr(register, "_reader", SimpleNamespace(rows=slow))
    for _ in range(2):
        held = register.marks(asked(PERSON))
        assert (held.marks.sealed, held.conditions) == ({"7"}, ())


def test_a_key_that_was_never_here_is_missed_at_once(world):
    """A decision of another replica's year holds from the next inquiry on, also where the register is asked."""
    register = kept(world)
    old = register.marks(asked(PERSON))
    add_pseudonym_year(world.folder / "ring", 2027)
    world.clock.set(world.clock.now().replace(year=2027))
    world.start()
    world.run(ONE)
    (world.folder / "ring" / "pseudonym-2027.key").unlink()
    world.clock.set(world.clock.now().replace(year=2026))
    world.start()
    behind = KeptRegister(world.register, world.engine, world.clock, 0)
    assert behind.marks(asked(OTHER), old.conditions).marks.sealed == {"7"}


@pytest.mark.parametrize("most", [0, 1])
def test_a_register_that_is_too_large_is_asked_each_time(world, most):
    world.run(ONE)  # two rows: by number and by name
    register = kept(world, most)
    for _ in range(2):
        held = register.marks(asked(PERSON))
        assert (held.marks.sealed, held.conditions) == ({"7"}, ())


def test_a_register_that_was_too_large_is_tried_again_later(world):
    world.run(ONE)
    register = kept(world, most=1)
    register.marks(asked(PERSON))
    register._most = 100
    assert not register.marks(asked(PERSON)).conditions
    world.clock.set(world.clock.now() + timedelta(seconds=AGAIN_SECONDS))
    assert register.marks(asked(PERSON)).conditions


def test_decisions_under_a_lost_key_hold_for_whoever_asks(world):
    world.run(ONE)
    world.clock.set(world.clock.now().replace(year=2027))
    add_pseudonym_year(world.folder / "ring", 2027)
    (world.folder / "ring" / "pseudonym-2026.key").unlink()
    world.start()
    register = kept(world)
    assert register.marks(asked(OTHER)) == register.marks(asked(PERSON))
    assert register.marks(asked(OTHER)).marks == world.marks(OTHER) == RegisterMarks(sealed=frozenset({"7"}))


DECISIONS = st.lists(
    st.fixed_dictionaries(
        {
            "record_key": st.sampled_from(["7", "8", "a|b"]),
            "database": st.sampled_from(["cases", "other"]),
            "effect": st.sampled_from(["seal", "unseal"]),
            "date": st.sampled_from(["2024-05-06", "2024-05-07"]),
            "subject": st.sampled_from(
                [{"person_id": NUMBER, "name": "张三"}, {"name": "李四", "birth_date": "1990-03-07"}]
            ),
        }
    ),
    max_size=6,
    unique_by=lambda decision: repr(sorted(decision.items())),
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(decisions=DECISIONS)
def test_memory_and_database_say_the_same(world, decisions):
    for decision in decisions:
        world.run(ONE | decision)
    register = kept(world)
    for target in (PERSON, NAMED, OTHER, Subject(name="李四", birth_date="1990-03-07"), EVERYONE):
        for database in ("cases", "other", "none"):
            assert register.marks(asked(target, database)).marks == world.marks(target, database)
