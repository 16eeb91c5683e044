"""The seal register: marks by pseudonym, and an import by two people, whole or not at all."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event, select

from sidecar.clock import FixedClock
from sidecar.errors import CodedError, ConfigurationError, LedgerUnavailable
from sidecar.keys.generate import add_pseudonym_year, create_ring
from sidecar.keys.ring import FileKeyRing
from sidecar.ledger.open import open_ledger
from sidecar.ledger.tables import ENTRIES
from sidecar.papers.register import MAX_DECISIONS, SealRegister, effective, import_register
from sidecar.papers.tables import SEAL_REGISTER
from sidecar.records.types import RegisterMarks, Search, Subject
from tests.support.state import new_state, settings_for

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
NUMBER = "11010519491231002X"
PERSON = Subject(person_id=NUMBER)
NAMED = Subject(name="张三", birth_date="1949-12-31")
ONE = {
    "effect": "seal",
    "database": "cases",
    "record_key": "7",
    "number": "（2024）浙0102刑封12号",
    "authority": "示例县人民法院",
    "date": "2024-05-06",
    "ground": "s1",
    "subject": {"person_id": NUMBER, "name": "张三"},
}


class World:
    def __init__(self, folder):
        settings = settings_for(folder)
        self.folder, self.clock = folder, FixedClock(NOW)
        create_ring(folder / "ring", 2026)
        self.engine = new_state(settings)
        self.ledger = open_ledger(settings, self.clock, engine=self.engine)
        self.start()

    def start(self):
        """As a worker does it."""
        self.keys = FileKeyRing.load(self.folder / "ring", self.clock)
        self.register = SealRegister(self.engine, self.keys)

    def run(self, *decisions, ledger=None, **more):
        file = self.folder / "register.yaml"
        file.write_bytes(orjson.dumps({"register": 1, "decisions": decisions}))
        more = {"registrar": "张三", "confirmed_by": "李四"} | more
        return import_register(
            file, engine=self.engine, ledger=ledger or self.ledger, clock=self.clock, keys=self.keys, **more
        )

    def marks(self, target, database="cases"):
        return self.register.marks(SimpleNamespace(database=database, target=target))

    def rows(self, table):
        with self.engine.connect() as connection:
            return [dict(row) for row in connection.execute(select(table)).mappings()]


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    made.ledger.close()
    made.engine.dispose()


@pytest.mark.parametrize("target", [PERSON, NAMED, Search(())])
def test_a_decision_is_found_however_the_person_is_named(world, target):
    assert world.run(ONE).new == 2
    assert world.marks(target) == RegisterMarks(sealed=frozenset({"7"}))
    assert world.marks(target, "other") == RegisterMarks()


def test_another_person_has_no_marks_but_the_query_runs(world):
    world.run(ONE)
    world.marks(NAMED)
    statements = []
    event.listen(world.engine, "before_cursor_execute", lambda *a: statements.append(a[2]))
    world.marks(NAMED)
    found, statements[:] = list(statements), []
    assert world.marks(Subject(name="李四", birth_date="1949-12-31")) == RegisterMarks()
    assert statements == found
    (query,) = (text for text in statements if "SELECT" in text and "RECURSIVE" not in text)  # that one asks for keys
    with world.engine.connect() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", ("cases", "k", "p")).all()
    assert not [step for step in plan if step[3].startswith("SCAN")]


def test_marks_of_an_earlier_years_key_are_still_found(world):
    world.run(ONE)
    add_pseudonym_year(world.folder / "ring", 2027)
    world.clock.set(datetime(2027, 1, 5, tzinfo=UTC))
    assert world.marks(PERSON).sealed == {"7"}
    assert world.run(ONE).new == 2
    assert world.marks(PERSON).sealed == {"7"}


def lose(world, year):
    """The year's key is deleted, and the process starts again."""
    (world.folder / "ring" / f"pseudonym-{year}.key").unlink()
    world.start()


@pytest.mark.parametrize("target", [PERSON, NAMED, Search(()), Subject(name="李四", birth_date="1949-12-31")])
def test_a_deleted_key_loses_no_mark(world, target):
    world.run(ONE, ONE | {"record_key": "8", "effect": "unseal"}, ONE | {"record_key": "9", "database": "other"})
    add_pseudonym_year(world.folder / "ring", 2027)
    world.clock.set(datetime(2027, 1, 5, tzinfo=UTC))
    assert world.register.lost_keys() == ()
    lost = world.rows(SEAL_REGISTER)[0]["subject_key"]
    lose(world, 2026)
    assert world.marks(target) == RegisterMarks(sealed=frozenset({"7"}), unsealed=frozenset({"8"}))
    assert world.register.lost_keys() == (lost,)


def test_a_key_deleted_under_a_running_process_loses_no_mark(world):
    add_pseudonym_year(world.folder / "ring", 2027)
    world.run(ONE)
    (world.folder / "ring" / "pseudonym-2026.key").unlink()
    assert world.marks(PERSON).sealed == {"7"}


def test_a_decision_under_a_key_that_only_another_replica_has_holds_after_a_refresh(world):
    assert world.marks(PERSON) == RegisterMarks()
    create_ring(world.folder / "other", 2026)
    own, world.keys = world.keys, FileKeyRing.load(world.folder / "other", world.clock)
    world.run(ONE)
    world.keys = own
    world.clock.set(NOW + timedelta(seconds=1))
    assert world.marks(PERSON).sealed == {"7"}


def test_without_a_snapshot_the_keys_are_asked_for_each_time(world):
    create_ring(world.folder / "other", 2026)
    register = SealRegister(world.engine, FileKeyRing.load(world.folder / "other", world.clock))
    asked = SimpleNamespace(database="cases", target=PERSON)
    assert register.marks(asked) == RegisterMarks()
    world.run(ONE)
    assert register.marks(asked).sealed == {"7"}


def test_the_keys_in_use_are_found_without_reading_the_register(world):
    world.run(ONE)
    statements = []
    event.listen(world.engine, "before_cursor_execute", lambda *a: statements.append(a[2]))
    assert world.register.lost_keys() == ()
    (query,) = (text for text in statements if "SELECT" in text)
    with world.engine.connect() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}").all()
    assert not [step for step in plan if step[3].startswith("SCAN") and "seal_register" in step[3]]


def test_a_swapped_key_loses_no_mark(world):
    world.run(ONE)
    (world.folder / "ring" / "pseudonym-2026.key").unlink()
    add_pseudonym_year(world.folder / "ring", 2026)
    world.start()
    assert world.marks(PERSON).sealed == {"7"}


def test_a_later_decision_under_a_present_key_holds_over_one_under_a_lost_key(world):
    world.run(ONE)
    add_pseudonym_year(world.folder / "ring", 2027)
    world.clock.set(datetime(2027, 1, 5, tzinfo=UTC))
    world.run(ONE | {"effect": "unseal", "date": "2027-01-02", "number": "2"})
    lose(world, 2026)
    assert world.marks(PERSON) == RegisterMarks(unsealed=frozenset({"7"}))


def test_with_a_lost_key_the_queries_do_not_depend_on_the_subject(world):
    add_pseudonym_year(world.folder / "ring", 2027)
    world.run(ONE)
    (world.folder / "ring" / "pseudonym-2026.key").unlink()
    world.marks(NAMED)
    statements = []
    event.listen(world.engine, "before_cursor_execute", lambda *a: statements.append(a[2]))
    world.marks(NAMED)
    found, statements[:] = list(statements), []
    world.marks(Subject(name="李四", birth_date="1949-12-31"))
    assert statements == found


def test_a_file_goes_with_one_entry_and_the_same_again_with_none(world):
    later = ONE | {"effect": "unseal", "date": "2025-01-01", "number": "2"}
    assert world.run(ONE, later).new == 4
    assert world.run(ONE, later).new == 0
    (entry,) = world.rows(ENTRIES)
    body = orjson.loads(entry["body"])
    assert (body["kind"], body["officer"], body["extra"]["confirmed_by"]) == ("registry", "张三", "李四")
    assert world.marks(PERSON) == RegisterMarks(unsealed=frozenset({"7"}))


@pytest.mark.parametrize("part", sorted(ONE))
@pytest.mark.parametrize("effect", ["seal", "unseal"])
def test_without_one_part_nothing_of_the_file_is_imported(world, part, effect):
    lacking = {name: value for name, value in (ONE | {"effect": effect}).items() if name != part}
    with pytest.raises(ConfigurationError, match=part):
        world.run(ONE, lacking)
    with pytest.raises(ConfigurationError):
        world.run(ONE, lacking | {part: "" if part != "subject" else {"person_id": NUMBER}})
    assert world.rows(SEAL_REGISTER) == world.rows(ENTRIES) == []


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"date": "2026-11-24"}, "not to come"),
        ({"database": "elsewhere"}, "a database of"),
        ({"subject": {"name": "张三"}}, "birth_date beside the name"),
        ({"subject": {"name": "张三", "person_id": "110105194912310021"}}, "check character"),
        ({"ground": "Free text"}, "ground"),
        ({}, "decisions.1: expected each once, got decisions.0 again"),
        ({"date": 20240506}, "decisions.1: expected each once"),
        ({"subject": {"name": "张三", "birth_date": "2026-11-24"}}, "birth date that is not to come"),
        ({"subject": {"name": "张三", "person_id": NUMBER, "birth_date": "2049-12-31"}}, "birth date that is not"),
    ],
)
def test_what_cannot_be_is_refused_without_repeating_it(world, change, text):
    with pytest.raises(ConfigurationError, match=text) as refused:
        world.run(ONE, ONE | change, databases=frozenset({"cases"}))
    assert "张三" not in str(refused.value)
    assert "1949" not in str(refused.value)
    assert world.rows(SEAL_REGISTER) == []


def test_one_person_cannot_import(world):
    with pytest.raises(CodedError) as refused:
        world.run(ONE, confirmed_by=" 张 三")
    assert (refused.value.code, refused.value.status) == ("self-approval", 403)


def test_a_ledger_that_fails_leaves_nothing(world):
    world.ledger.close()
    with pytest.raises(LedgerUnavailable):
        world.run(ONE)
    assert world.rows(SEAL_REGISTER) == []


def test_no_row_holds_a_subject_in_clear(world):
    world.run(ONE)
    text = repr(world.rows(SEAL_REGISTER)) + repr(world.rows(ENTRIES))
    assert NUMBER not in text
    assert "1949" not in text


def test_the_longest_file_goes_with_one_entry(world):
    decision = ONE | {"subject": ONE["subject"] | {"birth_date": "1950-01-01"}}
    assert world.run(*(decision | {"record_key": str(n)} for n in range(MAX_DECISIONS))).new == 3 * MAX_DECISIONS
    assert len(world.marks(PERSON).sealed) == MAX_DECISIONS


DECISIONS = st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["seal", "unseal"]), st.integers(1, 4)))


@given(decisions=DECISIONS, data=st.data())
def test_marks_do_not_depend_on_the_order_and_the_latest_holds(decisions, data):
    marks = effective(decisions)
    assert marks == effective(data.draw(st.permutations(decisions)))
    assert not marks.sealed & marks.unsealed
    for key in {key for key, _, _ in decisions}:
        day = max(d for k, _, d in decisions if k == key)
        assert (key in marks.sealed) == ((key, "seal", day) in decisions)
        assert (key in marks.unsealed) != (key in marks.sealed)
