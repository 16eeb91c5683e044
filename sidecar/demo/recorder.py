"""What ledger and feed say after a step: exported by ``sidecar ledger export`` and read as the prosecutor reads it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sidecar.demo.people import ZHOU
from sidecar.demo.world import DemoFailed, World, wait_for


@dataclass(frozen=True, slots=True)
class Recorded:
    """New entries of the ledger, in order of positions, and new events of the feed."""

    entries: tuple[Mapping[str, Any], ...]
    events: tuple[Mapping[str, Any], ...]

    def outcomes(self, kind: str = "inquiry") -> list[tuple[str, tuple[str, ...]]]:
        """Outcome and codes of the entries of one kind."""
        return [(e["outcome"], tuple(e["codes"])) for e in self.entries if e["kind"] == kind]

    def alerts(self) -> list[str]:
        """What the events are about."""
        return [alert(event) for event in self.events]

    def about(self, identifier: str) -> Recorded:
        """What is under one id."""
        entries = tuple(entry for entry in self.entries if entry["id"] == identifier)
        return Recorded(entries, tuple(event for event in self.events if event["data"]["id"] == identifier))

    def text(self) -> str:
        """For the table."""
        lines = [_line(entry) for entry in self.entries] or ["no entry, hence no answer"]
        return "\n".join(lines + [f"alert {e['sequence']}: {alert(e)} ({e['severity']})" for e in self.events])


class Recorder:
    """Reads what is new since it was last asked."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._position = 0
        self._sequence = 0
        self.events: list[Mapping[str, Any]] = []

    def skip(self) -> None:
        """Let what there is by now be no news."""
        self.news()
        self.events.clear()

    def news(self) -> Recorded:
        """Wait until every entry has its position, and read what is new."""
        found: list[list[dict[str, Any]]] = []
        wait_for("the sequencer", lambda: self._settled(found))
        entries = [row for row in found[0] if row["position"] >= self._position]
        self._position += len(entries)
        events = self._feed()
        self.events += events
        return Recorded(tuple(json.loads(row["body"]) for row in entries), tuple(events))

    def _settled(self, found: list[list[dict[str, Any]]]) -> bool:
        folder = self._world.folder / "export"
        shutil.rmtree(folder, ignore_errors=True)
        self._world.cli("ledger", "export", str(folder))
        if (folder / "pending.jsonl").read_text(encoding="utf-8"):
            return False
        lines = (folder / "entries.jsonl").read_text(encoding="utf-8").splitlines()
        found[:] = [[json.loads(line) for line in lines]]
        return True

    def _feed(self) -> Sequence[Mapping[str, Any]]:
        """Events after the last one we saw, as the prosecutor's client pulls them."""
        answer = self._world.ask("GET", f"/oversight/v1/events?after={self._sequence}", self._world.token(ZHOU))
        if answer.status != 200:
            raise DemoFailed(f"the prosecutor's feed: expected 200, got {answer.status}")
        events: list[Mapping[str, Any]] = answer.json()["events"]
        for event in events:
            self._sequence += 1
            if int(event["sequence"]) != self._sequence:
                raise DemoFailed(f"the feed: expected event {self._sequence}, got {event['sequence']}")
        return events


def _line(entry: Mapping[str, Any]) -> str:
    codes = ", ".join(entry["codes"])
    return f"{entry['kind']}: {entry['outcome']}" + (f" [{codes}]" if codes else "")


def alert(event: Mapping[str, Any]) -> str:
    """The middle of its type: ``sealed-records.attempt.letter-replayed.v1`` → ``letter-replayed``."""
    return str(event["type"]).split(".")[-2]
