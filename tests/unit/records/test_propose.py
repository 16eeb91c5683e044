"""Catalogs proposed without a word from anyone, on twenty generated schemas whose truth is known."""

import random
import sqlite3
from collections import Counter
from datetime import date

import pytest

from sidecar.clock import SystemClock
from sidecar.errors import ConfigurationError
from sidecar.records import draft
from sidecar.records.catalog import parse
from sidecar.records.connectors.sql import open_driver
from sidecar.records.driver import Limits
from sidecar.records.grade import grade
from sidecar.records.propose import Table, called, date_format, propose
from sidecar.records.survey import survey
from tests.support import baseline, schemas

SEEDS = range(1, 21)
LEAST_RIGHT = 0.8


def tables_of(path, rows=200):
    driver = open_driver(f"sqlite:///{path}", path.parent, "county", Limits(10_000, 1), SystemClock())
    try:
        return survey(driver, rows)
    finally:
        driver.close()


@pytest.fixture(scope="module")
def proposed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("schemas")
    made = [schemas.generate(folder, seed) for seed in SEEDS]
    return [(schema, propose(tables_of(schema.path))) for schema in made]


def test_most_attributes_are_right_and_none_is_wrong(proposed):
    words = Counter()
    for schema, proposal in proposed:
        for part in schema.truth.keys() | {guess.part for guess in proposal.guesses}:
            guess = draft.taken(proposal.of(part))
            words["left out" if guess is None else schemas.verdict(schema, part, guess.value)] += 1
    assert words["wrong"] == 0, words
    assert words["right"] >= LEAST_RIGHT * sum(len(schema.truth) for schema, _ in proposed), words


def test_table_and_key_are_found(proposed):
    assert [(p.table, p.key) for _, p in proposed] == [(s.table, (s.key,)) for s, _ in proposed]


def test_every_proposal_loads_and_check_accepts_it(proposed, tmp_path):
    with baseline.engine() as engine:
        for schema, proposal in proposed[:6]:
            catalog = parse(draft.write(proposal, "county", "county.dsn"))
            connector = baseline.connect(catalog, f"sqlite:///{schema.path}", tmp_path, engine)
            found = grade(connector, baseline.parameters(), 1000)
            if proposal.of("attributes.kind") == draft.taken(proposal.of("attributes.kind")):
                connector.canary()
            connector.close()
            assert (found.rows, found.different) == (schemas.ROWS, 0)


def test_no_value_of_a_person_is_in_a_proposal(proposed):
    for schema, proposal in proposed:
        with sqlite3.connect(schema.path) as database:
            number, name = schema.truth["subject.person_id"], schema.truth["subject.name"]
            people = database.execute(f'SELECT "{number}", "{name}" FROM "{schema.table}"').fetchall()
        database.close()
        told = repr(proposal) + draft.write(proposal, "county", "county.dsn") + repr(draft.document(proposal))
        assert not [person for person in people if person[0] in told or person[1] in told]


def test_a_doubtful_column_is_named_but_not_taken():
    rows = [(f"A{i}", "x", "20200101", "20200102") for i in range(30)]
    proposal = propose([Table("T", ("BH", "XM", "ZARQ", "FARQ"), rows, ("BH",))])
    assert proposal is not None
    guess = proposal.of("attributes.minor.offences")
    assert guess is not None
    assert draft.taken(guess) is None
    assert {guess.value[0]["column"], *proposal.others[guess.part]} == {"ZARQ", "FARQ"}


def test_an_answer_is_taken_where_the_shape_fits_and_only_there():
    rows = [(f"A{i}", "x", "20200101", "20200102") for i in range(30)]
    table = Table("T", ("BH", "XM", "ZARQ", "FARQ"), rows, ("BH",))
    part = "attributes.minor.offences"
    said = propose([table], answers={part: "FARQ"})
    assert said is not None
    assert said.of(part) == draft.taken(said.of(part))
    assert said.of(part).value == [{"column": "FARQ", "format": "YYYYMMDD"}]
    unfit = propose([table], answers={part: "XM"})
    assert unfit is not None
    assert unfit.of(part) is None


def test_a_birth_date_that_the_numbers_contradict_is_not_taken():
    number = schemas.citizen_number(date(1985, 7, 11), random.Random(1))
    rows = [("A", number, "19900101")] * 30
    proposal = propose([Table("T", ("BH", "SFZH", "CSRQ"), rows, ("BH",))])
    assert proposal is not None
    assert draft.taken(proposal.of("attributes.minor.birth")) is None


def test_small_numbers_may_be_years_and_are_left_out():
    rows = [(f"A{i}", "x", str(i % 9 + 1)) for i in range(30)]
    proposal = propose([Table("T", ("BH", "XM", "XQ"), rows, ("BH",))])
    assert proposal is not None
    assert draft.taken(proposal.of("attributes.sentence_months")) is None


def test_without_key_or_person_there_is_no_catalog():
    rows = [("x", "y", "z")] * 30
    proposal = propose([Table("T", ("A", "B", "C"), rows)])
    assert proposal is not None
    with pytest.raises(ConfigurationError, match="no key was found"):
        draft.write(proposal, "county", "county.dsn")
    keyed = propose([Table("T", ("A", "B", "C"), rows, ("A",))])
    assert keyed is not None
    with pytest.raises(ConfigurationError, match="no column finds a person"):
        draft.write(keyed, "county", "county.dsn")


@pytest.mark.parametrize(("name", "score"), [("CSRQ", 1.0), ("F_CSRQ", 1.0), ("csrq_old", 0.6), ("DJRQ", 0.0)])
def test_names_are_compared_without_the_habits_of_a_house(name, score):
    assert called(name, "attributes.minor.birth") == score


def test_shapes_of_days():
    assert date_format(["20200101"] * 30) == "YYYYMMDD"
    assert date_format(["2020年1月1日", "二〇二〇年一月一日"]) == "YYYY年M月D日"
    assert date_format(["20200101"] * 8 + ["不详"] * 2) is None
    assert date_format([]) is None
