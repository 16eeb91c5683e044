"""How the story is printed: rows of one table, one step after the other, and the bytes of answers."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sidecar.demo.exchange import Answer
from sidecar.demo.people import Person

_OWN = re.compile(r"\.{12,}")

COLUMNS = (
    ("Who", 2),
    ("What was asked", 4),
    ("Decided", 3),
    ("Rule", 2),
    ("What came back", 4),
    ("Ledger and feed", 4),
)
"""Heading and share of the width."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row: who asked what, how it was decided under which rule, what came back, what ledger and feed now say."""

    who: str
    asked: str
    decided: str
    rule: str
    answer: str
    recorded: str

    def cells(self) -> tuple[str, ...]:
        """The cells in the columns' order."""
        return self.who, self.asked, self.decided, self.rule, self.answer, self.recorded


class Teller:
    """Prints steps as they happen."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._number = 0

    def note(self, text: str) -> None:
        """A line of progress."""
        self._console.print(Text(f"· {text}", style="dim"))

    def step(self, title: str, rows: list[Row]) -> None:
        """One step: its title and its rows."""
        self._number += 1
        table = Table(
            title=f"{self._number}. {title}", title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, expand=True
        )
        for heading, share in COLUMNS:
            table.add_column(heading, ratio=share, overflow="fold")
        for row in rows:
            table.add_row(*(Text(cell) for cell in row.cells()))
        self._console.print(table)

    def bytes(self, title: str, answer: Answer) -> None:
        """An answer as it went over the wire, ids, receipt and Date put out."""
        self._console.print(Text(title, style="bold"))
        text = answer.anonymous().decode("utf-8", "backslashreplace").replace("\r", "")
        self._console.print(Text(_OWN.sub(lambda own: f"‹{len(own[0])} bytes of its own›", text) + "\n"))

    def failed(self, step: str, reason: str) -> None:
        """The step that did not go as told."""
        self._console.print(Text(f"{step}: not as told: {reason}", style="bold red"))

    def plain(self, text: str) -> None:
        """Text as it is."""
        self._console.print(Text(text))


def introduce(person: Person) -> str:
    """Who asks."""
    return f"{person.title}\n{person.unit.title}"
