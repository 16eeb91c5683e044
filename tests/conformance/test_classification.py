"""What the sealing policy says of each golden row: both engines, the compiled filter and the database's SQL agree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from sidecar.codes import FieldClass, View
from sidecar.policy.filter import evaluate
from sidecar.policy.types import RecordKind, Views
from sidecar.records.types import PageRequest, RegisterMarks, Row, Subject
from tests.support.golden import GOLDEN, GoldenWorld, subject

pytestmark = pytest.mark.functional

ALL = {kind.value: View.FULL for kind in RecordKind}
FIELDS = {View.FULL: frozenset(FieldClass)}
EVERYTHING = Views(open=ALL, sealed=ALL, fields=FIELDS, joint_dropped=frozenset(), cover_mark=False)
OPEN_ONLY = Views(open=ALL, sealed={}, fields=FIELDS, joint_dropped=frozenset(), cover_mark=False)
SEALED_ONLY = Views(open={}, sealed=ALL, fields=FIELDS, joint_dropped=frozenset(), cover_mark=False)
CASES = {case["id"]: case for case in GOLDEN["cases"]}


@pytest.fixture(params=CASES.values(), ids=CASES)
def case(request: pytest.FixtureRequest) -> Mapping[str, Any]:
    """One golden case."""
    return request.param


def fetch(golden: GoldenWorld, case: Mapping[str, Any], views: Views) -> tuple[Row, ...]:
    """The case's rows that the live database lets through."""
    target = Subject(person_id=subject(case))
    return golden.database.connector.fetch(target, views, PageRequest(size=50), RegisterMarks(), "golden").rows


def test_engine_classifies_each_row_as_expected(golden: GoldenWorld, case: Mapping[str, Any]):
    rows = fetch(golden, case, EVERYTHING)
    found = golden.runtime.engine.classify([row.attributes for row in rows])
    said = [{"open": c.is_open, "grounds": list(c.grounds), "review": c.review} for c in found]
    assert said == case["classified"]


def test_filter_agrees_in_python_and_in_the_database(golden: GoldenWorld, case: Mapping[str, Any]):
    node = golden.revision.filter
    rows = fetch(golden, case, EVERYTHING)
    expected = [row["open"] for row in case["classified"]]
    assert [evaluate(node, row.attributes) for row in rows] == expected
    assert fetch(golden, case, OPEN_ONLY) == tuple(row for row, is_open in zip(rows, expected, strict=True) if is_open)
    assert fetch(golden, case, SEALED_ONLY) == tuple(
        row for row, is_open in zip(rows, expected, strict=True) if not is_open
    )


def test_engine_in_use_is_the_one_asked_for(golden: GoldenWorld, engine: str):
    assert golden.runtime.engine.name == engine
