"""The five systems of docs/catalogs: each loads, its canary passes, and each of its rows is classified as it should be."""

import sqlite3
from pathlib import Path

import pytest

from sidecar.records import catalog as c
from sidecar.records.grade import grade
from sidecar.records.types import PageRequest, RegisterMarks, Search, SortKey
from tests.support import baseline
from tests.support import records as r

FOLDER = Path(__file__).parents[3] / "docs" / "catalogs"

OPEN = {
    "police": {"A1|1", "A3|1", "A5|1"},
    "court": {"(2021)浙9901刑初1号", "(2023)浙9901刑初3号"},
    "procuratorate": {"Q1"},
    "justice": {"1", "3", "10"},
    "archive": {"339901|D1", "339902|D1"},
}
SEALED = {
    "police": {"A2|1", "A4|1"},
    "court": {"(2023)浙9901刑初2号", "(2023)浙9901刑初4号", "(2020)浙9901刑初5号"},
    "procuratorate": {"Q2", "Q3", "Q4", "Q5"},
    "justice": {"2", "4"},
    "archive": {"339901|D2", "339902|D3"},
}
"""Sealed, or withheld: a code that is not mapped, a text with two terms, a day that is none."""

UNMAPPED = {"police": {"kind": 1}, "court": {}, "procuratorate": {"joint": 1}, "justice": {}, "archive": {}}


@pytest.fixture(scope="module")
def engine():
    with baseline.engine() as opened:
        yield opened


@pytest.fixture(params=sorted(OPEN))
def system(request, tmp_path, engine):
    path = tmp_path / "legacy.db"
    with sqlite3.connect(path) as database:
        database.executescript((FOLDER / f"{request.param}.sql").read_text(encoding="utf-8"))
    database.close()
    connector = baseline.connect(
        c.load(FOLDER / f"{request.param}.yaml").catalog, f"sqlite:///{path}", tmp_path, engine
    )
    yield request.param, connector
    connector.close()


def test_the_canary_passes(system):
    system[1].canary()


def test_every_row_is_classified_as_it_should_be(system):
    name, connector = system
    page, marks = PageRequest(100), RegisterMarks()
    seen = {
        views: {row.key for row in connector.fetch(Search(()), shown, page, marks, "i").rows}
        for views, shown in (("open", r.OPEN_ONLY), ("sealed", r.SEALED_ONLY))
    }
    assert seen == {"open": OPEN[name], "sealed": SEALED[name]}


def test_check_counts_what_is_not_mapped(system):
    name, connector = system
    found = grade(connector, baseline.parameters(), 100)
    assert (found.rows, found.different) == (len(OPEN[name]) + len(SEALED[name]), 0)
    assert {attribute: count for attribute, count in found.unmapped.items() if count} == UNMAPPED[name]


def test_every_field_of_the_first_row_is_released(system):
    name, connector = system
    page = PageRequest(1, (SortKey(connector.catalog.sortable[0]),))
    [row] = connector.fetch(Search(()), r.OPEN_ONLY, page, RegisterMarks(), "i").rows
    assert row.key == min(OPEN[name])
    assert all(row.fields.values())


def test_released_codes_and_days_are_read_as_declared(tmp_path, engine):
    path = tmp_path / "legacy.db"
    with sqlite3.connect(path) as database:
        database.executescript((FOLDER / "police.sql").read_text(encoding="utf-8"))
    database.close()
    connector = baseline.connect(c.load(FOLDER / "police.yaml").catalog, f"sqlite:///{path}", tmp_path, engine)
    [row, *_] = connector.fetch(Search(()), r.OPEN_ONLY, PageRequest(9), RegisterMarks(), "i").rows
    connector.close()
    assert (row.fields["sex"], row.fields["province"]) == ("男", "浙江省")
    assert (row.fields["penalty"], row.fields["concluded"]) == ("有期徒刑", "2021-01-01")


def test_every_system_is_in_the_list():
    assert {path.stem for path in FOLDER.glob("*.yaml")} == set(OPEN)
    told = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert all(f"({name}.yaml)" in told for name in OPEN)
