"""The report on the worlds that were compared: ``python -m tests.worlds.report worlds.jsonl docs/reports/worlds.md``.

``make worlds`` runs the comparison with ``WORLDS_REPORT`` set, and then this.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.worlds.mutants import MUTANTS

WIDTH, ROW, LABEL = 640, 22, 60


def bars(title: str, counts: Mapping[str, int]) -> str:
    """A bar chart as SVG: a row a key, its count in words too."""
    most = max(counts.values(), default=1)
    rows = []
    for i, (name, count) in enumerate(counts.items()):
        y, length = 34 + i * ROW, round((WIDTH - LABEL - 90) * count / most)
        rows.append(
            f'<text x="{LABEL - 8}" y="{y + 12}" text-anchor="end">{name}</text>'
            f'<rect x="{LABEL}" y="{y}" width="{length}" height="{ROW - 6}"/>'
            f'<text x="{LABEL + length + 6}" y="{y + 12}">{count:,}</text>'
        )
    height = 44 + len(counts) * ROW
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
        ' font-family="sans-serif" font-size="12"><style>rect{fill:#4477aa}</style>'
        f'<text x="8" y="18" font-size="14">{title}</text>{"".join(rows)}</svg>\n'
    )


def page(runs: Sequence[Mapping[str, Any]]) -> str:
    """The page."""
    lines = [
        "# Two worlds",
        "",
        "Pairs of databases that differ in sealed records only are asked the same by clients without entitlement, through the",
        "whole application. Both worlds share clock and randomness; status lines, headers, bodies, `/metrics`, log lines, entries with",
        "their positions, events and the instants at which answers leave are compared byte for byte, with nothing left out and nothing normalised.",
        "",
        "| Database | Pairs of worlds | Differences | Calls | Answered 200 | Further pages | Asked for what differs | Joint cases differ |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        *map(_row, runs),
        "",
        "A run ends at the first difference; this page is written after a run without one. A pair counts as asked for where an",
        "answered inquiry names a sealed row that one world has and the other has not, or has otherwise.",
        "",
        "![Rows that differ](worlds-rows.svg)",
        "",
        "![Statuses](worlds-statuses.svg)",
        "",
        f"{len(MUTANTS)} faults planted in the running product are each noticed by the same comparison:",
        "",
        *(f"- {name}" for name in MUTANTS),
        "",
        "`make worlds` makes this page anew, with 10,000 new pairs (`WORLDS`); `make two-worlds`, a part of `make test`, compares 500 in process",
        "and 20 through sockets, and plants the faults.",
        "",
    ]
    return "\n".join(lines)


def _row(run: Mapping[str, Any]) -> str:
    answered = run["statuses"].get("200", 0)
    return (
        f"| {run['kind']} | {run['worlds']:,} | 0 | {run['calls']:,} | {answered:,} | {run['pages']:,}"
        f" | in {run['hit'] / run['worlds']:.0%} of the pairs | in {run['joint'] / run['worlds']:.0%} |"
    )


def main(source: Path, target: Path) -> None:
    runs = [json.loads(line) for line in source.read_text(encoding="utf-8").splitlines()]
    statuses, differing = Counter[str](), Counter[int]()
    for run in runs:
        statuses.update(run["statuses"])
        differing.update({int(number): count for number, count in run["differing"].items()})
    target.write_text(page(runs), encoding="utf-8")
    of_rows = {str(number): differing[number] for number in sorted(differing)}
    folder = target.parent
    (folder / "worlds-rows.svg").write_text(bars("Pairs of worlds by the number of rows that differ", of_rows), "utf-8")
    (folder / "worlds-statuses.svg").write_text(bars("Answers by status", dict(sorted(statuses.items()))), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
