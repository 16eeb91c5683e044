"""Import of papers: two people, one entry, all or nothing; what was imported is found by the gateway's readers."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from sqlalchemy import select, update

from sidecar.clock import FixedClock
from sidecar.errors import CodedError, ConfigurationError
from sidecar.identity.types import Officer, WorkCertificate
from sidecar.keys.generate import create_ring
from sidecar.keys.ring import FileKeyRing
from sidecar.ledger.open import open_ledger
from sidecar.ledger.tables import ENTRIES
from sidecar.papers.content import ContentSealer
from sidecar.papers.imports import Desk, import_papers
from sidecar.papers.lookup import ApplicationReader
from sidecar.papers.paper_letters import PaperLetter, PaperLetters
from sidecar.papers.tables import APPLICATION_EVENTS, APPLICATIONS, LETTERS
from sidecar.policy.types import LegalParameters
from tests.support.state import new_state, settings_for

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
NUMBER, IDP, POLICE = "11010519491231002X", "https://idp.example", "113399010000010114"
PARAMS = LegalParameters(
    18, "0301", 20130101, 20260101, frozenset({"cpl/286"}), {"刑事诉讼法": "cpl"}, frozenset({"case"}), frozenset()
)
BASIS = {"instrument": "刑事诉讼法", "article": 286}
LETTER = {
    "unit": POLICE, "number": "京公法字[2026]337号", "officer": "li", "subjects": [NUMBER, "张三/1949-12-31"],
    "databases": ["cases"], "scope": "sealed", "basis": BASIS, "purpose": "case", "valid_from": "2026-11-01",
    "valid_to": "2026-11-30",
}  # fmt: skip
APPLICATION = {
    "issuer": IDP, "officer": "li", "unit": POLICE, "person_id": NUMBER, "database": "cases", "scope": "sealed",
    "basis": BASIS, "purpose": "case", "reason": "办理案件", "approver": {"issuer": IDP, "officer": "chen"},
    "valid_to": "2026-12-31",
}  # fmt: skip


class World:
    def __init__(self, folder):
        settings = settings_for(folder)
        self.folder, self.clock = folder, FixedClock(NOW)
        create_ring(folder / "ring", 2026)
        self.keys = FileKeyRing.load(folder / "ring", self.clock)
        self.engine = new_state(settings)
        self.ledger = open_ledger(settings, self.clock, engine=self.engine)
        self.desk = Desk(self.keys, ContentSealer.load(folder / "ring"), PARAMS, {"cases"}, self.clock)

    def run(self, letters=(), applications=(), confirmed_by="李四"):
        file = self.folder / "papers.yaml"
        file.write_bytes(orjson.dumps({"papers": 1, "letters": letters, "applications": applications}))
        return import_papers(
            file, engine=self.engine, ledger=self.ledger, desk=self.desk, registrar="张三", confirmed_by=confirmed_by
        )

    def rows(self, table):
        with self.engine.connect() as connection:
            return [dict(row) for row in connection.execute(select(table)).mappings()]

    def untouched(self):
        return [self.rows(table) for table in (LETTERS, APPLICATIONS, ENTRIES)] == [[], [], []]


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    made.ledger.close()
    made.engine.dispose()


def test_papers_go_with_one_entry_and_hold_no_subject_in_clear(world):
    done = world.run([LETTER], [APPLICATION, APPLICATION | {"person_id": None, "name": "张三", "birth_date": 19491231}])
    assert (done.letters, len(set(done.applications))) == (1, 2)
    (entry,) = world.rows(ENTRIES)
    assert orjson.loads(entry["body"])["extra"]["confirmed_by"] == "李四"
    (letter,) = world.rows(LETTERS)
    assert letter["number"] == "京公法字〔2026〕337号"
    assert set(orjson.loads(letter["subjects"])) == {
        " ".join(world.keys.pseudonym("person_id", NUMBER, 2026)),
        " ".join(world.keys.pseudonym("name_birth", "张三/1949-12-31", 2026)),
    }
    text = repr([world.rows(table) for table in (LETTERS, APPLICATIONS, ENTRIES)])
    assert NUMBER not in text
    assert "1949" not in text


def test_an_imported_application_is_approved_but_its_undertaking_is_not_signed(world):
    (made,) = world.run(applications=[APPLICATION]).applications
    found = ApplicationReader(world.engine).read(made, NOW)
    assert (found.state, found.approver, found.undertaking_by) == ("approved", f"{IDP}|chen", None)
    assert (found.subject_key, found.subject) == world.keys.pseudonym("person_id", NUMBER, 2026)


@pytest.mark.parametrize(
    ("letters", "applications"),
    [
        ([], []),
        ([LETTER, LETTER | {"subjects": ["1"]}], []),
        ([LETTER | {"basis": {"instrument": "x", "article": 1}}], [APPLICATION]),
        ([LETTER | {"databases": ["x"]}], []),
        ([LETTER | {"uses": 0}], []),
        ([LETTER | {"valid_to": "2026-10-01"}], []),
        ([LETTER], [APPLICATION | {"reason": " "}]),
        ([LETTER], [APPLICATION | {"valid_to": "2026-11-22"}]),
        ([LETTER], [APPLICATION | {"person_id": None, "name": "张三"}]),
        ([LETTER], [APPLICATION | {"more": 1}]),
        ([LETTER], [APPLICATION | {"person_id": None, "name": "张三", "birth_date": "2026-11-24"}]),
        ([LETTER, LETTER | {"number": "京公法字〔2026〕1号", "subjects": ["张三/2026-11-24"]}], []),
    ],
)
def test_one_bad_part_refuses_the_whole_file(world, letters, applications):
    with pytest.raises(ConfigurationError) as refused:
        world.run(letters, applications)
    assert "张三" not in str(refused.value)
    assert world.untouched()


def test_two_people_import_and_two_people_applied_and_approved(world):
    with pytest.raises(CodedError, match="another person"):
        world.run([LETTER], confirmed_by="张三")
    with pytest.raises(CodedError, match="as approver"):
        world.run([LETTER], [APPLICATION | {"approver": {"issuer": "https://other.example", "officer": "li"}}])
    assert world.untouched()


@pytest.mark.parametrize(
    ("letters", "applications", "text"),
    [
        ([LETTER, LETTER], [], "letters.1: expected each once, got letters.0 again"),
        ([LETTER, LETTER | {"number": "京公法字[2026]337号", "uses": 9}], [], "letters.1: expected each once"),
        (
            [LETTER],
            [APPLICATION, APPLICATION | {"reason": "another"}, APPLICATION],
            "applications.2: expected each once",
        ),
    ],
)
def test_a_file_that_names_a_paper_twice_is_refused(world, letters, applications, text):
    with pytest.raises(ConfigurationError, match=text):
        world.run(letters, applications)
    assert world.untouched()


def test_the_same_file_again_changes_and_records_nothing(world):
    first = world.run([LETTER], [APPLICATION])
    before = [world.rows(table) for table in (LETTERS, APPLICATIONS, APPLICATION_EVENTS, ENTRIES)]
    world.clock.set(NOW + timedelta(hours=1))
    again = world.run([LETTER], [APPLICATION])
    assert (first.new, again.new) == (2, 0)
    assert again.applications == first.applications
    assert [world.rows(table) for table in (LETTERS, APPLICATIONS, APPLICATION_EVENTS, ENTRIES)] == before


def test_a_longer_file_imports_what_is_new(world):
    first = world.run([LETTER], [APPLICATION])
    more = world.run(
        [LETTER, LETTER | {"number": "京公法字〔2026〕9号"}], [APPLICATION | {"reason": "other"}, APPLICATION]
    )
    assert (more.letters, more.new, more.applications[1]) == (2, 2, first.applications[0])
    assert (len(world.rows(LETTERS)), len(world.rows(APPLICATIONS)), len(world.rows(ENTRIES))) == (2, 2, 2)


def test_an_application_that_was_withdrawn_does_not_come_back(world):
    world.run(applications=[APPLICATION])
    with world.engine.begin() as connection:
        connection.execute(update(APPLICATIONS).values(state="withdrawn"))
    assert world.run(applications=[APPLICATION]).new == 0
    assert [row["state"] for row in world.rows(APPLICATIONS)] == ["withdrawn"]


def test_the_id_of_an_imported_application_cannot_be_guessed_from_what_it_says(world, tmp_path):
    (made,) = world.run(applications=[APPLICATION]).applications
    create_ring(tmp_path / "other", 2026)
    world.desk = replace(world.desk, keys=FileKeyRing.load(tmp_path / "other", world.clock))
    (other,) = world.run(applications=[APPLICATION]).applications
    assert other != made
    assert uuid.UUID(made).version == 7


def test_a_letter_that_is_registered_and_says_something_else_refuses_the_whole_file(world):
    world.run([LETTER])
    with pytest.raises(CodedError, match=r"letters.1: is registered already, and says something else") as refused:
        world.run([LETTER | {"number": "京公法字〔2026〕338号"}, LETTER | {"uses": 2}], [APPLICATION])
    assert (refused.value.code, refused.value.status) == ("state-conflict", 409)
    assert (len(world.rows(LETTERS)), len(world.rows(APPLICATIONS)), len(world.rows(ENTRIES))) == (1, 0, 1)


PAPER = PaperLetter(
    POLICE,
    "京公法字〔2026〕1号",
    "li",
    (NUMBER,),
    ("cases",),
    "open",
    ("刑事诉讼法", "286"),
    "case",
    20261101,
    20261130,
)


def clerk(subject, *roles):
    return Officer(IDP, subject, POLICE, WorkCertificate("c", "valid"), frozenset(roles), "t", 0)


def test_a_clerk_registers_a_letter_once(world):
    letters = PaperLetters(world.ledger, world.keys, world.clock)
    assert letters.register(clerk("zhao", "archive_clerk"), PAPER, PARAMS, {"cases"}) == PAPER.number
    with pytest.raises(CodedError, match="registered"):
        letters.register(clerk("zhao", "archive_clerk"), PAPER, PARAMS, {"cases"})
    first, second = (orjson.loads(row["body"]) for row in world.rows(ENTRIES))
    assert (first["outcome"], first["letter"]) == ("allow", world.keys.keyed_hash("letter", PAPER.number, 2026))
    assert (second["outcome"], second["codes"]) == ("refuse", ["state-conflict"])
    assert len(world.rows(LETTERS)) == 1


@pytest.mark.parametrize(
    ("who", "code"), [(clerk("li", "archive_clerk"), "self-approval"), (clerk("zhao", "officer"), "role-missing")]
)
def test_nobody_registers_a_letter_for_oneself_or_without_the_role(world, who, code):
    with pytest.raises(CodedError) as refused:
        PaperLetters(world.ledger, world.keys, world.clock).register(who, PAPER, PARAMS, {"cases"})
    assert refused.value.code == code
    assert [orjson.loads(row["body"])["codes"] for row in world.rows(ENTRIES)] == [[code]]
    assert world.rows(LETTERS) == []
