"""A slower path within one step leaves at the same instant; that our own code does the same work is counted here, call by call.

What is counted are the calls of the product's own functions, which no machine's load changes. The database's own work is
not among them: it reads what it reads (the threat model).
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

import pytest

from sidecar.clock import SystemClock
from sidecar.records.connectors.sql import SqlConnector
from sidecar.records.types import Fetched, PageRequest
from tests.worlds.calls import Ask, Call, by_name, by_number
from tests.worlds.county import ADULT, NOBODY, YOUNG
from tests.worlds.mutants import UNFILTERED
from tests.worlds.sides import Pairing, Session, Side
from tests.worlds.test_mutants import PAIR

CALLS: tuple[Call, ...] = tuple(
    Ask("police", {**target, "page_size": 2})
    for who in (ADULT, YOUNG, NOBODY)
    for target in (by_number(who), by_name(who))
)
DRIVER = "sqlite.py"
"""Called back by SQLite while it works, as often as it likes; it looks at the clock then."""


def counted(side: Side, calls: Sequence[Call]) -> list[Counter[str]]:
    """Per call: function of ours → how often it was entered."""
    session, found = Session(side), []
    for call in calls:
        counts: Counter[str] = Counter()
        sys.setprofile(_counter(counts))
        try:
            session.make(call)
        finally:
            sys.setprofile(None)
        found.append(counts)
    return found


def _counter(counts: Counter[str]) -> Callable[[FrameType, str, Any], None]:
    def count(frame: FrameType, event: str, _: Any) -> None:
        code, caller = frame.f_code, frame.f_back
        if event != "call" or "/sidecar/" not in code.co_filename or code.co_filename.endswith(DRIVER):
            return
        if caller is None or not caller.f_code.co_filename.endswith(DRIVER):
            counts[f"{code.co_filename.rpartition('/sidecar/')[2]} {code.co_qualname}"] += 1

    return count


def worked(pairing: Pairing) -> tuple[list[Counter[str]], ...]:
    """The work of both worlds, in which each has been asked the same before."""
    for side, rows in zip(pairing.sides, (PAIR.first, PAIR.second), strict=True):
        side.plant(rows)
        session = Session(side)
        for call in CALLS:
            session.make(call)
    return tuple(counted(side, CALLS) for side in pairing.sides)


def test_both_worlds_are_the_same_work(sqlite_pairing: Pairing) -> None:
    one, two = worked(sqlite_pairing)
    assert one == two
    assert all(counts["records/connectors/sql.py SqlConnector.fetch"] == 1 for counts in one)


def _reading(change: Callable[[int], None]) -> Any:
    """A fetch that reads everything besides, and does something with the number of rows that are kept back."""
    fetch = SqlConnector.fetch

    def mutant(self: Any, target: Any, views: Any, page: PageRequest, *rest: Any) -> Fetched:
        everything = fetch(self, target, UNFILTERED, PageRequest(1000), *rest)
        found = fetch(self, target, views, page, *rest)
        change(everything.total - found.total)
        return found

    return mutant


def _delay(withheld: int) -> None:
    clock, until = SystemClock(), withheld
    while until:
        clock.monotonic()
        until -= 1


SLOWER = {"a slower path": _delay, "sealed rows are read and dropped": lambda _: None}


@pytest.mark.parametrize("name", SLOWER)
def test_a_slower_path_is_caught(sqlite_pairing: Pairing, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(SqlConnector, "fetch", _reading(SLOWER[name]))
    one, two = worked(sqlite_pairing)
    assert one != two, f"nobody noticed {name}"
