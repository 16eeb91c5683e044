"""The operators' page explains every event that is logged and every metric that is served."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "operators.md").read_text(encoding="utf-8")
LOGGERS = frozenset({"log", "_log"})
SERVING = ("gateway", "identity", "ledger", "oversight", "papers", "policy", "records", "serve", "storage", "web")


def calls() -> Iterator[ast.Call]:
    for package in SERVING:
        for file in (ROOT / "sidecar" / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                    yield node


def events() -> set[str]:
    return {
        str(call.args[0].value)  # type: ignore[attr-defined]
        for call in calls()
        if isinstance(call.func, ast.Attribute)
        and isinstance(call.func.value, ast.Name)
        and call.func.value.id in LOGGERS
        and call.func.attr in {"info", "warning", "error", "critical"}
    }


def metrics() -> set[str]:
    kinds = {"Counter", "Gauge", "Histogram", "Summary"}
    made = (call for call in calls() if isinstance(call.func, ast.Name) and call.func.id in kinds)
    return {str(call.args[0].value) for call in made if str(call.args[0].value).startswith("sidecar_")}  # type: ignore[attr-defined]


def test_there_are_events_and_metrics() -> None:
    assert len(events()) > 10
    assert len(metrics()) > 1


@pytest.mark.parametrize("name", sorted(events() | metrics()))
def test_what_is_logged_or_measured_is_explained(name: str) -> None:
    assert f"`{name}`" in PAGE
