"""What the worlds were like: a run in which nobody asked for what differs would prove nothing."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.worlds.calls import Ask, Call, Legacy, More, Next, operation
from tests.worlds.county import Pair, Values

_COLUMNS = {"ZM": "ZM", "crime": "ZM", "case": "AJBH", "term": "XQ_SM"}
_HOLDS: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": lambda held, given: bool(held == given),
    "ne": lambda held, given: bool(held != given),
    "ge": lambda held, given: bool(held >= given),
    "prefix": lambda held, given: bool(held.startswith(given)),
    "in": lambda held, given: held in given,
}


def wanted(stated: Mapping[str, Any], row: Values) -> bool:
    """Whether somebody asks for this row, read in the plainest way; in doubt not."""
    subject = stated.get("subject")
    if subject is None:
        return all(_holds(condition, row) for condition in stated["filter"])
    if "name" in subject:
        born = subject.get("birth_date", "").replace("-", "")
        return bool(row["XM"] == subject["name"] and row["CSRQ"] == born)
    number, held = subject["person_id"].upper(), row["SFZH"] or ""
    return bool(number in {held, held[:6] + held[8:17]})


def _holds(condition: Mapping[str, Any], row: Values) -> bool:
    held, given = row.get(_COLUMNS.get(condition["field"], "")), condition["value"]
    if condition["field"] == "term":
        held, given = str(held), given if isinstance(given, list) else str(given)
        return condition["operator"] == "eq" and held == given
    holds = _HOLDS.get(condition["operator"])
    return holds is not None and isinstance(held, str) and isinstance(given, (str, list)) and holds(held, given)


def _named(call: Call) -> str:
    """What a call is counted under: the first parts of its path."""
    told = operation(call)
    return "/".join(told[1].split("/")[:3]) if told else ""


@dataclass
class Tally:
    """Counts worlds and answers."""

    worlds: int = 0
    hit: int = 0
    joint: int = 0
    calls: int = 0
    pages: int = 0
    legacy: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    differing: Counter[int] = field(default_factory=Counter)
    operations: Counter[str] = field(default_factory=Counter)

    def count(self, pair: Pair, calls: Sequence[Call], answers: Sequence[bytes]) -> None:
        answered = [(call, answer[9:12].decode()) for call, answer in zip(calls, answers, strict=True) if answer]
        asked = [call for call, status in answered if isinstance(call, Ask) and status == "200"]
        self.worlds += 1
        self.calls += len(answered)
        self.hit += any(wanted(call.stated, row) for call in asked for row in pair.differing)
        self.joint += pair.joint and any(b'"address":null' in answer for answer in answers)
        self.pages += sum(isinstance(call, (More, Next)) and status == "200" for call, status in answered)
        self.legacy += sum(isinstance(call, (Legacy, Next)) and status == "200" for call, status in answered)
        self.statuses.update(status for _, status in answered)
        self.operations.update(_named(call) for call, _ in answered)
        self.differing[len(pair.differing)] += 1

    def note(self, kind: str) -> None:
        """Add a line to the file for the report, if there is to be one."""
        if file := os.environ.get("WORLDS_REPORT"):
            with Path(file).open("a", encoding="utf-8") as lines:
                seed = os.environ.get("WORLDS_SEED", "")
                lines.write(json.dumps({"kind": kind, "seed": seed, **vars(self)}) + "\n")

    def __str__(self) -> str:
        statuses = ", ".join(f"{count} × {status}" for status, count in sorted(self.statuses.items()))
        return (
            f"{self.worlds} worlds, {self.calls} calls ({statuses}), {self.pages} further pages;"
            f" {self.hit} worlds in which an answered inquiry asks for a sealed row that differs,"
            f" {self.joint} with joint cases that say different things"
        )
