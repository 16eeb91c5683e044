"""Redaction: what each view releases (Q9, R15, R16b), and that the classification has the last word."""

from dataclasses import replace

import pytest

from sidecar.codes import FieldClass, View
from sidecar.policy.types import Classification, RecordKind, Views
from sidecar.records.redaction import redact, withheld
from sidecar.records.types import Fetched, Row
from tests.support.policy import RECORD

CLASSES = {
    "name": FieldClass.IDENTITY,
    "crime": FieldClass.CRIME,
    "term": FieldClass.TERM,
    "story": FieldClass.NARRATIVE,
}
FIELDS = {"name": "何大伟", "crime": "盗窃罪", "term": 18, "story": "供述。"}
ROW = Row(RECORD, FIELDS, joint=False, key_columns=("AJ1 ", "1"))
VIEWS = Views(
    open={"judgment": View.FULL},
    sealed={"judgment": View.LIMITED},
    fields={View.FULL: frozenset(FieldClass), View.LIMITED: frozenset({FieldClass.CRIME, FieldClass.TERM})},
    joint_dropped=frozenset({FieldClass.NARRATIVE}),
    cover_mark=False,
)
OPEN = Classification(True, "judgment", (), review=False)
SEALED = Classification(False, "judgment", ("S1",), review=False)
OTHER = Classification(False, str(RecordKind.VIOLATION), ("S15",), review=True)


def fetched(*rows: Row, total: int | None = None, more: bool = False, unreadable: int = 0) -> Fetched:
    end = rows[-1].key_columns if rows else None
    return Fetched(rows, len(rows) if total is None else total, more, CLASSES, unreadable, end)


def test_full_and_limited_show_their_fields():
    release = redact(fetched(ROW, ROW), [OPEN, SEALED], VIEWS)
    assert release.records == (FIELDS, {"crime": "盗窃罪", "term": 18, "punished": True})
    assert (release.count, release.next) == (2, None)


@pytest.mark.parametrize(
    ("crime", "term", "punished"),
    [(None, None, False), ("", 0, False), ("盗窃罪", None, True), (None, 18, True)],
)
def test_without_crime_and_term_a_person_was_not_punished(crime, term, punished):
    row = ROW._replace(fields={**FIELDS, "crime": crime, "term": term})
    [record] = redact(fetched(row), [SEALED], VIEWS).records
    assert record["punished"] is punished


def test_a_joint_record_loses_the_dropped_classes_in_the_same_shape():
    [record] = redact(fetched(ROW._replace(joint=True)), [OPEN], VIEWS).records
    assert record == {**FIELDS, "story": None}


@pytest.mark.parametrize("cover_mark", [False, True])
def test_a_field_of_the_cover_marks_column_is_for_who_may_see_the_mark(cover_mark):
    """R16b: of every record, or its absence would tell."""
    page = replace(fetched(ROW, ROW._replace(joint=True)), covering=frozenset({"crime"}))
    records = redact(page, [OPEN, OPEN], replace(VIEWS, cover_mark=cover_mark)).records
    assert ["crime" in record for record in records] == [cover_mark, cover_mark]


@pytest.mark.parametrize("covered", [False, True])
def test_the_cover_mark_is_released_only_where_the_views_say_so(covered):
    row = ROW._replace(cover_mark=covered)
    [hidden] = redact(fetched(row), [OPEN], VIEWS).records
    [shown] = redact(fetched(row), [OPEN], replace(VIEWS, cover_mark=True)).records
    assert "cover_mark" not in hidden
    assert shown["cover_mark"] is covered


def test_a_row_that_the_classification_omits_is_neither_released_nor_counted_but_reported():
    page = fetched(ROW, ROW, total=7, more=True, unreadable=1)
    release = redact(page, [OPEN, OTHER], VIEWS)
    assert len(release.records) == 1
    assert (release.count, release.next) == (6, ("AJ1 ", "1"))
    assert withheld(page, [OPEN, OTHER], VIEWS).tally == {"S15": 1, "unreadable": 1}


def test_the_next_page_starts_after_the_last_row_read_even_where_no_row_was_readable():
    page = Fetched((), 5, True, CLASSES, 2, ("AJ2", "1"))
    assert redact(page, [], VIEWS).next == ("AJ2", "1")


def test_a_classification_too_few_is_an_error_and_not_a_release():
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        redact(fetched(ROW, ROW), [OPEN], VIEWS)
