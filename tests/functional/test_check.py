"""`sidecar check --rows` on a whole deployment: a catalog's grade in counts, and nothing of any row."""

from __future__ import annotations

from collections.abc import Iterator

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


def test_a_catalog_is_graded_on_live_rows(world: World) -> None:
    found = {finding["check"]: finding for finding in orjson.loads(world.cli("check", "--rows", "1000", "--json"))}
    grade = found["catalog county"]["grade"]
    assert found["catalog county"]["ok"]
    assert grade["rows"] == len(legacy.TOLD)
    assert 0 < grade["sealed"] < grade["rows"]
    assert sum(grade["grounds"].values()) >= grade["sealed"]
    assert grade["different"] == 0


def test_no_value_of_a_row_is_told(world: World) -> None:
    said = world.cli("check", "--rows", "1000")
    assert "catalog county: " in said
    assert not [case.SFZH for case in legacy.TOLD if case.SFZH in said]
    assert not [case.XM for case in legacy.TOLD if case.XM in said]


def test_without_rows_nothing_is_read(world: World) -> None:
    assert "catalog county" not in world.cli("check")
