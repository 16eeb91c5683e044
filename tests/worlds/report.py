"""The report on the worlds that were compared: ``python -m tests.worlds.report worlds.jsonl docs/reports/worlds.md``.

``make worlds`` runs the comparison in parts, each with a seed of its own, as lines of one file, and then this.
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
_SUMS = ("worlds", "calls", "pages", "legacy", "hit", "joint")


def together(runs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Runs over one kind of database as one."""
    found: dict[str, dict[str, Any]] = {}
    for run in runs:
        whole = found.setdefault(run["kind"], {"kind": run["kind"], "statuses": Counter(), **dict.fromkeys(_SUMS, 0)})
        whole["statuses"].update(run["statuses"])
        for name in _SUMS:
            whole[name] += run[name]
    return list(found.values())


def bars(title: str, counts: Mapping[str, int], label: int = LABEL) -> str:
    """A bar chart as SVG: a row a key, its count in words too."""
    most = max(counts.values(), default=1)
    rows = []
    for i, (name, count) in enumerate(counts.items()):
        y, length = 34 + i * ROW, round((WIDTH - label - 90) * count / most)
        rows.append(
            f'<text x="{label - 8}" y="{y + 12}" text-anchor="end">{name}</text>'
            f'<rect x="{label}" y="{y}" width="{length}" height="{ROW - 6}"/>'
            f'<text x="{label + length + 6}" y="{y + 12}">{count:,}</text>'
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
        "| Database | Pairs of worlds | Differences | Calls | Answered 200 | Further pages | By the proxy, 200 | Asked for what differs | Joint cases differ |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        *map(_row, together(runs)),
        "",
        "The same rows are in the archive's old HTTP service, which inquiries and legacy clients' own calls are answered from.",
        f"Parts: {len({run['seed'] for run in runs})}, by their seeds {', '.join(sorted({run['seed'] or 'the usual one' for run in runs}))}.",
        "A run ends at the first difference; this page is written after a run without one. A pair counts as asked for where an",
        "answered inquiry names a sealed row that one world has and the other has not, or has otherwise.",
        "",
        "![Rows that differ](worlds-rows.svg)",
        "",
        "![Statuses](worlds-statuses.svg)",
        "",
        "![Calls](worlds-calls.svg)",
        "",
        f"{len(MUTANTS)} faults planted in the running product are each noticed by the same comparison:",
        "",
        *(f"- {name}" for name in MUTANTS),
        "",
        "`make worlds` makes this page anew, with 10,000 new pairs (`WORLDS`), and goes on where it was stopped; `make two-worlds`, a part of `make test`, compares 500 in process",
        "and 20 through sockets, and plants the faults.",
        "",
    ]
    return "\n".join(lines)


def _row(run: Mapping[str, Any]) -> str:
    answered = run["statuses"].get("200", 0)
    return (
        f"| {run['kind']} | {run['worlds']:,} | 0 | {run['calls']:,} | {answered:,} | {run['pages']:,} | {run['legacy']:,}"
        f" | in {run['hit'] / run['worlds']:.0%} of the pairs | in {run['joint'] / run['worlds']:.0%} |"
    )


def main(source: Path, target: Path) -> None:
    runs = [json.loads(line) for line in source.read_text(encoding="utf-8").splitlines()]
    statuses, differing, operations = Counter[str](), Counter[int](), Counter[str]()
    for run in runs:
        statuses.update(run["statuses"])
        operations.update(run["operations"])
        differing.update({int(number): count for number, count in run["differing"].items()})
    target.write_text(page(runs), encoding="utf-8")
    of_rows = {str(number): differing[number] for number in sorted(differing)}
    folder = target.parent
    (folder / "worlds-rows.svg").write_text(bars("Pairs of worlds by the number of rows that differ", of_rows), "utf-8")
    listed = {name: count for name, count in operations.most_common() if count >= 20}
    (folder / "worlds-calls.svg").write_text(bars("Calls by what they ask", listed, 170), "utf-8")
    (folder / "worlds-statuses.svg").write_text(bars("Answers by status", dict(sorted(statuses.items()))), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
