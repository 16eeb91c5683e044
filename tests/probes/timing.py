"""Does time tell? Fixed against random, by Welch's t as in dudect (Reparaz, Balasch, Verbauwhede 2017): ``make timing``.

Persons without a sealed record are asked about in random alternation with persons who have one or five, on one open
connection to a served deployment; the slowest tenth of all answers is left out, as dudect does. In the same run 50 µs are
planted for one class of equal persons, so that it is known what the measurement would notice. Nothing else should run.
"""

from __future__ import annotations

import math
import os
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from tests.probes.people import SEED, person_of
from tests.support.world import make_keys
from tests.worlds.calls import by_number
from tests.worlds.county import Person, base
from tests.worlds.served import PLANTED
from tests.worlds.sides import Pairing, SqlitePlaces
from tests.worlds.wire import WireSession, served

PAIRS = int(os.environ.get("PAIRS", "100000"))
KEPT = 0.9
"""Share of answers that is looked at: the slow ones are the machine's affair."""

POINTS = 60
"""Of the plot."""

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reports" / "timing.md"


@dataclass(frozen=True)
class Compared:
    """Two classes of answers: t at a growing number of pairs, and the difference of means with its 95 % interval (µs)."""

    name: str
    course: tuple[tuple[int, float], ...]
    difference: float
    half_width: float

    @property
    def t(self) -> float:
        """At the end."""
        return self.course[-1][1]


def welch(one: Sequence[float], two: Sequence[float]) -> tuple[float, float, float]:
    """Welch's t of the slow-cut samples, the difference of their means (second minus first) and its standard error."""
    cut = sorted([*one, *two])[int(KEPT * (len(one) + len(two))) - 1]
    a, b = ([value for value in side if value <= cut] for side in (one, two))
    error = math.sqrt(statistics.variance(a) / len(a) + statistics.variance(b) / len(b))
    difference = statistics.fmean(b) - statistics.fmean(a)
    return (difference / error if error else 0.0), difference, error


def compared(name: str, one: Sequence[float], two: Sequence[float]) -> Compared:
    """Two equally long samples in µs."""
    steps = sorted({max(10, len(one) * i // POINTS) for i in range(1, POINTS + 1)})
    course = tuple((n, welch(one[:n], two[:n])[0]) for n in steps)
    _, difference, error = welch(one, two)
    return Compared(name, course, difference, 1.96 * error)


class Clocked:
    """Asks about persons and clocks the answers."""

    def __init__(self, session: WireSession) -> None:
        self._session = session

    def micros(self, who: Person, *, planted: bool = False) -> float:
        """Time of one answer."""
        body = orjson.dumps(self._session.plain("police", by_number(who)))
        headers = {PLANTED: "1" if planted else "0"}
        began = time.perf_counter_ns()
        answer = self._session.send("POST", "/v1/inquiries", "police", headers, body, "thin")
        passed = time.perf_counter_ns() - began
        assert answer.startswith(b"HTTP/1.1 200")
        return passed / 1000


def measure(clocked: Clocked, classes: dict[str, list[Person]], pairs: int) -> list[Compared]:
    """All comparisons of one run, their answers in one random order."""
    dice = random.Random(SEED)
    kinds = {"no sealed record": "0", "1 sealed record": "1", "5 sealed records": "5", "50 µs planted": "0"}
    times: dict[str, list[float]] = {name: [] for name in kinds}
    for name in kinds:
        clocked.micros(classes[kinds[name]][0])
    for _ in range(pairs):
        for name in dice.sample(sorted(kinds), len(kinds)):
            times[name].append(clocked.micros(dice.choice(classes[kinds[name]]), planted=name.endswith("planted")))
    first = times.pop("no sealed record")
    return [compared(name, first, found) for name, found in times.items()]


def classes_of(count: int) -> tuple[dict[str, list[Person]], list[dict[str, object]]]:
    """Persons with 0, 1 and 5 sealed rows, each with one open row; and all rows."""
    persons = {name: [person_of(3 * i + k) for i in range(count)] for k, name in enumerate(("0", "1", "5"))}
    rows = [base(who) for found in persons.values() for who in found]
    rows += [base(who, FCBJ="1") for name, found in persons.items() for who in found for _ in range(int(name))]
    random.Random(SEED).shuffle(rows)
    return persons, [{**row, "AJBH": f"AJ{i:06d}"} for i, row in enumerate(rows)]


def page(found: Sequence[Compared], pairs: int) -> str:
    """The report."""
    rows = [
        f"| {each.name} | {each.t:+.2f} | {each.difference:+.1f} µs | ± {each.half_width:.1f} µs |" for each in found
    ]
    return "\n".join(
        [
            "# Time",
            "",
            f"{pairs:,} answers about persons without a sealed record, in random alternation with as many about persons with one and with",
            "five, over an indexed SQLite database, without an answer step; each person has one open record besides. Welch's t of the",
            "quicker nine tenths, as dudect computes it: beyond ±4.5 time tells something. 50 µs planted in the same run show what would",
            "be noticed.",
            "",
            "| Against no sealed record | t | Difference | 95 % interval |",
            "| --- | --- | --- | --- |",
            *rows,
            "",
            "![Course of t](timing.svg)",
            "",
            "`make timing` makes this page anew; nothing else should run meanwhile.",
            "",
        ]
    )


def plot(found: Sequence[Compared]) -> str:
    """How t grows with the number of pairs, as SVG."""
    left, top, width, height = 60, 30, 520, 240
    most = max(n for each in found for n, _ in each.course)
    high = max(12.0, *(abs(t) for each in found for _, t in each.course))
    colours = ("#4477aa", "#228833", "#cc6677")

    def place(n: float, t: float) -> str:
        return f"{left + width * n / most:.1f},{top + height / 2 * (1 - t / high):.1f}"

    lines = [
        f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{" ".join(place(n, t) for n, t in each.course)}"/>'
        f'<text x="{left + 8 + 150 * i}" y="{top + height + 36}" fill="{colour}">{each.name}</text>'
        for i, (each, colour) in enumerate(zip(found, colours, strict=True))
    ]
    bounds = [
        f'<polyline fill="none" stroke="#999" stroke-dasharray="4" points="{place(0, t)} {place(most, t)}"/>'
        f'<text x="{left - 8}" y="{place(0, t).partition(",")[2]}" text-anchor="end">{t:g}</text>'
        for t in (-4.5, 0, 4.5)
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 320" width="640" height="320" font-family="sans-serif" font-size="12">'
        f'<text x="8" y="18" font-size="14">Welch’s t by number of pairs (to {most:,})</text>{"".join(bounds)}{"".join(lines)}</svg>\n'
    )


def run(folder: Path, keys: Path, pairs: int) -> list[Compared]:
    """Serve a deployment and measure."""
    persons, rows = classes_of(200)
    pairing = Pairing(folder, keys, SqlitePlaces(folder))
    try:
        with served(pairing, folder) as both:
            pairing.sides[0].plant(rows)
            session = WireSession(pairing.sides[0], both.ports[0])
            found = measure(Clocked(session), persons, pairs)
            session.close()
            return found
    finally:
        pairing.close()


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="timing-"))
    try:
        make_keys(folder / "keys")
        found = run(folder, folder / "keys", PAIRS)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    PAGE.write_text(page(found, PAIRS), encoding="utf-8")
    PAGE.with_suffix(".svg").write_text(plot(found), encoding="utf-8")
    print(PAGE.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
