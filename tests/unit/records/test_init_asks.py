"""`sidecar init` at a terminal: what a person answers is taken, what nobody explains is left out."""

import random
import sqlite3
from datetime import date

import pytest
from click.testing import CliRunner

from sidecar.cli.root import cli
from sidecar.records.catalog import load
from tests.support.schemas import citizen_number


@pytest.fixture
def legacy(tmp_path):

    with sqlite3.connect(tmp_path / "legacy.db") as database:
        database.execute("CREATE TABLE T (BH TEXT PRIMARY KEY, SFZH TEXT, CSRQ TEXT, ZD1 TEXT, ZARQ TEXT, AJLB TEXT)")
        number = citizen_number(date(1985, 7, 11), random.Random(1))
        database.executemany(
            "INSERT INTO T VALUES (?, ?, '19850711', '20200101', '20200102', ?)",
            [(f"A{i}", number, "78"[i % 2]) for i in range(30)],
        )
    database.close()
    (tmp_path / "legacy.dsn").write_text(f"sqlite:///{tmp_path / 'legacy.db'}", encoding="utf-8")
    return tmp_path


def run(folder, *arguments, answers=""):
    command = ["init", "town", "--dsn-file", str(folder / "legacy.dsn"), "--out", str(folder / "town.yaml"), *arguments]
    return CliRunner().invoke(cli, command, input=answers)


def test_a_column_and_codes_that_a_person_names_are_taken(legacy):
    # person, name, birth, offences, term, kind, joint, seal mark, concluded, crime; then the codes 7 and 8
    done = run(legacy, answers="\n\n\nZD1\n\nAJLB\n\n\n\n\njudgment\nunknown\n")
    assert done.exit_code == 0, done.output
    maps = load(legacy / "town.yaml").catalog.attributes
    assert maps.minor is not None
    assert [each.column for each in maps.minor.offences] == ["ZD1"]
    assert maps.kind is not None
    assert maps.kind.map == {"7": "judgment"}


def test_nothing_is_asked_with_yes_and_doubt_is_left_out(legacy):
    done = run(legacy, "--yes")
    assert done.exit_code == 0, done.output
    found = load(legacy / "town.yaml").catalog
    assert found.attributes.kind is None
    assert found.attributes.minor is not None
    assert "left out" in done.output
    assert "# left out: kind, perhaps AJLB" in (legacy / "town.yaml").read_text(encoding="utf-8")


def test_a_table_that_is_not_there_is_named(legacy):
    done = run(legacy, "--table", "X", "--yes")
    assert done.exit_code != 0
    assert not (legacy / "town.yaml").exists()
