"""Every golden case, whole: legacy rows, issued papers, an HTTP inquiry, and what the asker sees (S1 to R18)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from sidecar.records.catalog import RESERVED
from sidecar.records.redaction import PUNISHED
from tests.support.golden import CATALOG, NOBODY, STATUS, Answer, Ask, GoldenWorld, asks

pytestmark = pytest.mark.functional

ASKS = asks()
CLASSES = {name: field.value for name, field in CATALOG.field_classes().items()}
SHOWN = {"full": set(CLASSES.values()), "limited": {"crime", "term"}}
"""Classes of the catalog's fields that each view shows (Q9)."""


@pytest.fixture(params=ASKS.values(), ids=ASKS)
def ask(request: pytest.FixtureRequest) -> Ask:
    """One ask of one case."""
    return request.param


def classes_of(record: Mapping[str, Any]) -> set[str]:
    """Classes of the fields that a record shows."""
    return {CLASSES[name] for name in record.keys() - RESERVED}


def check_record(record: Mapping[str, Any], row: Mapping[str, Any], view: str) -> None:
    """A record shows what its view shows of its own row, and nothing else."""
    assert classes_of(record) == SHOWN[view]
    assert (PUNISHED in record) == (view == "limited")
    for name in record.keys() - RESERVED:
        assert record[name] == row[CATALOG.released[name].column], name


def check_release(ask: Ask, answer: Answer) -> None:
    """Omitted rows are neither in the answer nor in its count; the others are there in order."""
    views = ask.expect["views"]
    shown = [(row, view) for row, view in zip(ask.rows, views, strict=True) if view != "omitted"]
    records = answer.document["records"]
    assert len(records) == len(shown) == answer.document["count"]
    assert answer.document["next_cursor"] is None
    for record, (row, view) in zip(records, shown, strict=True):
        check_record(record, row, view)
    if "fields" in ask.expect:
        assert sorted(classes_of(records[0])) == ask.expect["fields"]


def check_refusal(ask: Ask, answer: Answer) -> None:
    """All reasons and all that is missing, and no word about records."""
    assert sorted(reason["code"] for reason in answer.document["reasons"]) == ask.expect["codes"]
    assert sorted(answer.document["missing"]) == ask.expect["missing"]
    assert not {"records", "count"} & answer.document.keys()


def test_case_ends_as_expected(golden: GoldenWorld, ask: Ask):
    answer = golden.answer(ask)
    allowed = ask.expect["outcome"] == "allow"
    assert answer.status == STATUS[ask.expect["outcome"]], answer.document
    (check_release if allowed else check_refusal)(ask, answer)
    assert list(answer.alerts) == [(alert["type"], alert["severity"]) for alert in ask.expect["alerts"]]
    entry = golden.entries()[-1]
    assert (entry["outcome"], entry["codes"]) == (ask.expect["outcome"], ask.expect["codes"])


@pytest.mark.parametrize(
    "alike",
    [pytest.param(a, id=name) for name, a in ASKS.items() if a.expect.get("same_as") or a.expect["outcome"] != "allow"],
)
def test_answer_is_the_one_about_nobody(golden: GoldenWorld, alike: Ask):
    """Refusals too: whoever the subject is (Q13)."""
    assert golden.answer(alike).without_ids() == golden.answer(alike.about(NOBODY)).without_ids()
