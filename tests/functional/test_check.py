"""`sidecar check --rows` on a whole deployment: a catalog's grade in counts, and nothing of any row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from sidecar.demo import legacy
from sidecar.demo.world import World
from tests.support.deployment import deployment

pytestmark = pytest.mark.functional


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with deployment("sqlite", "wasm") as found:
        yield found


@pytest.fixture(scope="module")
def told(world: World) -> dict[str, Any]:
    """What the whole check says."""
    said = orjson.loads(world.cli("check", "--rows", "1000", "--qualify", "--json"))
    return {finding["check"]: finding for finding in said}


def test_a_catalog_is_graded_on_live_rows(told: dict[str, Any]) -> None:
    grade = told["catalog county"]["grade"]
    assert told["catalog county"]["ok"]
    assert grade["rows"] == len(legacy.TOLD)
    assert 0 < grade["sealed"] < grade["rows"]
    assert sum(grade["grounds"].values()) >= grade["sealed"]
    assert grade["different"] == 0


def test_no_value_of_a_row_is_told(world: World) -> None:
    said = world.cli("check", "--rows", "1000")
    assert "catalog county: " in said
    assert not [case.SFZH for case in legacy.TOLD if case.SFZH in said]
    assert not [case.XM for case in legacy.TOLD if case.XM in said]


def test_rows_with_a_fault_have_pseudonyms_and_a_person_has_few_rows(told: dict[str, Any]) -> None:
    grade = told["catalog county"]["grade"]
    faults = {name: count for name, count in (grade["undecidable"] | grade["unmapped"]).items() if count}
    assert grade["faulty"].keys() == faults.keys()
    named = {name for each in grade["faulty"].values() for name in each}
    assert not named & {f"{case.AJBH}|{case.XH}" for case in legacy.TOLD}
    assert grade["subject_rows"] == max(Counter(case.SFZH for case in legacy.TOLD).values())
    assert grade["unindexed"] == []


def test_the_dialect_is_tried_on_request(told: dict[str, Any]) -> None:
    assert told["dialect county"]["ok"]
    assert "readings of" in told["dialect county"]["text"]


def test_without_rows_nothing_is_read(world: World) -> None:
    assert "catalog county" not in world.cli("check")
