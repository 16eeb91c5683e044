"""Grades of catalogs: planted faults are counted under their attribute's name, and values are never told."""

import sqlite3
from dataclasses import asdict

import pytest

from sidecar.errors import DatabaseClosed
from sidecar.records.catalog import parse
from sidecar.records.grade import grade
from tests.support import records as r


def graded(folder, *changes, limit=100):
    connector = r.sqlite(folder, r.rows(*changes))
    try:
        return grade(connector, r.PARAMETERS, limit)
    finally:
        connector.close()


def test_a_clean_catalog_has_no_fault(tmp_path):
    found = graded(tmp_path, {}, {}, {})
    assert (found.rows, found.sealed, found.different) == (3, 0, 0)
    assert not any((*found.undecidable.values(), *found.unmapped.values()))


@pytest.mark.parametrize(
    ("column", "attribute"),
    [
        ("AJLB", "kind"), ("GTFZ", "joint"), ("ZYXW", "main_acts"), ("XZDM", "sentence_months"), ("MCBZ", "exempted"),
        ("FCBJ", "seal_mark"), ("FMBJ", "cover_mark"), ("XB", "released.sex"),
    ],
)  # fmt: skip
def test_a_planted_code_is_counted_under_its_attribute_alone_and_not_told(tmp_path, column, attribute):
    found = graded(tmp_path, {}, {column: "𠀁"})
    assert {name: count for name, count in found.unmapped.items() if count} == {attribute: 1}
    assert "𠀁" not in repr(asdict(found))
    assert found.different == 0


@pytest.mark.parametrize(
    ("column", "attribute"), [("CSRQ", "minor"), ("XQ_YUE", "sentence_months"), ("JARQ", "era"), ("AJLB", "kind")]
)
def test_junk_makes_its_attribute_undecidable(tmp_path, column, attribute):
    found = graded(tmp_path, {}, {column: "~"})
    assert {name: count for name, count in found.undecidable.items() if count} == {attribute: 1}


def test_no_more_rows_are_read_than_asked_for(tmp_path):
    assert graded(tmp_path, {}, {}, {}, limit=2).rows == 2


def test_a_filter_that_is_not_the_engines_word_is_found(tmp_path):
    def word(records):
        return [type(c)(not c.is_open, c.record_class, c.grounds, c.review) for c in r.classify(records)]

    connector = r.sqlite(tmp_path, r.rows({}, {}), word=word)
    try:
        assert grade(connector, r.PARAMETERS, 100).different > 0
    finally:
        connector.close()


def test_rows_with_a_fault_are_named_by_their_keys_pseudonym_alone(tmp_path):
    connector = r.sqlite(tmp_path, r.rows({}, {"AJLB": "𠀁"}, {"CSRQ": "20050231"}, {"XB": "7"}))
    try:
        found = grade(connector, r.PARAMETERS, 100, lambda key: f"p:{key[::-1]}")
    finally:
        connector.close()
    assert found.faulty == {"kind": ("p:1|2JA",), "minor": ("p:1|3JA",), "released.sex": ("p:1|4JA",)}


def test_the_most_rows_of_one_person_are_counted_in_the_whole_table(tmp_path):
    assert (
        graded(tmp_path, {}, {"SFZH": "1"}, {"SFZH": " 1 "}, {"SFZH": "1"}, {"SFZH": None}, limit=1).subject_rows == 3
    )


def test_an_index_that_a_look_up_lacks_is_named(tmp_path):
    connector = r.sqlite(tmp_path, r.rows({}))
    assert grade(connector, r.PARAMETERS, 10).unindexed == ("T_AJXX (SFZH)",)
    connector.close()
    with sqlite3.connect(tmp_path / "county.db") as direct:
        direct.execute("CREATE INDEX I ON T_AJXX (SFZH)")
    direct.close()
    connector = r.connect(tmp_path, f"sqlite:///{tmp_path / 'county.db'}")
    assert grade(connector, r.PARAMETERS, 10).unindexed == ()
    connector.close()


def test_all_missing_columns_are_named_at_once(tmp_path):
    connector = r.sqlite(tmp_path, r.rows({}), catalog=parse(r.TEXT.replace("ZYXW", "ZYX").replace("GTFZ", "GT")))
    with pytest.raises(DatabaseClosed, match="no columns 'ZYX', 'GT' as the catalog names it"):
        grade(connector, r.PARAMETERS, 10)
    connector.close()
