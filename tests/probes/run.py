"""Plays the games against all four systems; ``python -m tests.probes.run`` writes docs/reports/probes.md."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from sidecar.demo.postgres import PostgresCluster
from tests.probes import systems
from tests.probes.attacker import Attacker, Game, Score
from tests.probes.people import Subject, people
from tests.support.world import make_keys

KNOWN, UNKNOWN = 600, 4400
"""With so many games the half-width of the 95 % interval is below 0.03."""

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reports" / "probes.md"


def play(look: systems.Look, subjects: Sequence[Subject], known: int) -> Score:
    """One attacker against one system."""
    games = [Game(look(subject.who), subject.sealed) for subject in subjects]
    learnt, guessed = games[:known], games[known:]
    return Attacker(learnt).score(guessed)


def scores(folder: Path, keys: Path, cluster: PostgresCluster, known: int, unknown: int) -> Iterator[tuple[str, Score]]:
    """All systems, one after the other, over the same rows."""
    subjects, rows = people(known + unknown)
    with contextlib.ExitStack() as running:
        look, file = running.enter_context(systems.sidecar(folder, keys, rows))
        yield "sidecar", play(look, subjects, known)
        for mode in ("postfilter", "unfiltered"):
            with systems.service(file, mode) as plain:
                yield mode, play(plain, subjects, known)
    with systems.row_security(cluster, rows) as secured:
        yield "row security", play(secured, subjects, known)


NAMES = {
    "sidecar": "sidecar",
    "postfilter": "proxy that filters afterwards",
    "unfiltered": "service without a filter",
    "row security": "PostgreSQL row security with a masking view",
}


def page(found: Sequence[tuple[str, Score]]) -> str:
    """The report."""
    rows = [
        f"| {NAMES[name]} | {score.advantage:+.3f} | ± {score.half_width:.3f} | {score.games:,} | {score.channel} |"
        for name, score in found
    ]
    return "\n".join(
        [
            "# Probes",
            "",
            "An attacker asks four systems about persons of whom half have sealed records, at most four requests each. He learns from",
            f"{KNOWN} persons whom he knows, and guesses about the others. Advantage 0 is guessing blindly, 1 is knowing. He is the same",
            "for all: he takes whatever he saw (statuses, lengths, headers, totals, records, pages, plans) that told most. Time is",
            "not among it.",
            "",
            "| System | Advantage | 95 % interval | Persons | What told most |",
            "| --- | --- | --- | --- | --- |",
            *rows,
            "",
            "![Advantage](probes.svg)",
            "",
            "The services are `tests/probes/service.py`; row security is PostgreSQL's own, where the attacker may send any query under",
            "his role: what `EXPLAIN ANALYZE` says of rows that the policy removed tells him. `make probes` makes this page anew.",
            "",
        ]
    )


def plot(found: Sequence[tuple[str, Score]]) -> str:
    """Advantages with their intervals, as SVG."""
    left, width = 320, 280
    parts = []
    for i, (name, score) in enumerate(found):
        y = 40 + 34 * i
        low, high = (left + width * max(0.0, min(1.0, score.advantage + sign * score.half_width)) for sign in (-1, 1))
        middle = left + width * max(0.0, score.advantage)
        parts.append(
            f'<text x="{left - 12}" y="{y + 4}" text-anchor="end">{NAMES[name]}</text>'
            f'<line x1="{low:.0f}" y1="{y}" x2="{high:.0f}" y2="{y}" stroke="#4477aa" stroke-width="3"/>'
            f'<circle cx="{middle:.0f}" cy="{y}" r="5" fill="#4477aa"/>'
        )
    foot = 40 + 34 * len(found)
    ticks = "".join(
        f'<line x1="{left + width * t:.0f}" y1="24" x2="{left + width * t:.0f}" y2="{foot}" stroke="#bbb"/>'
        f'<text x="{left + width * t:.0f}" y="{foot + 16}" text-anchor="middle">{t}</text>'
        for t in (0, 0.5, 1)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 {foot + 30}" width="640" height="{foot + 30}"'
        f' font-family="sans-serif" font-size="12"><text x="8" y="16" font-size="14">Advantage over guessing</text>{ticks}'
        f"{''.join(parts)}</svg>\n"
    )


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="probes-", dir="/tmp"))
    folder.chmod(0o755)  # PostgreSQL's user passes through it
    try:
        make_keys(folder / "keys")
        with PostgresCluster(folder / "c") as cluster:
            found = list(scores(folder, folder / "keys", cluster, KNOWN, UNKNOWN))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(found), encoding="utf-8")
    PAGE.with_suffix(".svg").write_text(plot(found), encoding="utf-8")
    print(PAGE.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
