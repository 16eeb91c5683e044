"""Does time tell? Fixed against random, by Welch's t as in dudect (Reparaz, Balasch, Verbauwhede 2017): ``make timing``.

Persons without a sealed record are asked about in random alternation with persons who have one or five, over open
connections to a served deployment; the slowest tenth of all answers is left out, as dudect does. In the same run 50 µs
are planted, in the work and where an answer leaves, so that it is known what the measurement would notice. What was
measured is kept in a folder: a run that was ended goes on where it stood. Nothing else should run.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import random
import selectors
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from urllib.parse import quote

import orjson

from sidecar.demo import legacy
from sidecar.demo.archive_catalog import ARCHIVE, archive_catalog
from sidecar.demo.world import wait_for
from sidecar.settings import Settings
from tests.probes.held import AT_LEAVING, AT_WORK, NOWHERE
from tests.probes.people import SEED, person_of
from tests.support.archive import FACTS, ArchiveWorld, record
from tests.support.world import make_keys
from tests.worlds.served import write_settings
from tests.worlds.wire import free_port, listens, process

PAIRS = int(os.environ.get("PAIRS", "100000"))
SECONDS = float(os.environ.get("TIMING_SECONDS", "inf"))
"""Longest that this run measures; what is missing then is measured by the next one."""

FOLDER = Path(os.environ.get("TIMING_FOLDER", "build/timing"))
KEPT = 0.9
"""Share of answers that is looked at: the slow ones are the machine's affair."""

PERSONS = 200
"""Of each kind."""

POINTS = 40
"""Of the plot."""

WARM = 200
"""Answers that are not looked at, at each start."""

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reports" / "time.md"

TELLING, NOTICED = 4.5, 10.0
LATER = "left 50 µs later"

FIXED, ONE, FIVE, WORKED, LEFT = "none", "one", "five", "work", "leaving"
PLANTED = {WORKED: AT_WORK, LEFT: AT_LEAVING}
SEALED = {ONE: 1, FIVE: 5}


@dataclass(frozen=True)
class Phase:
    """One measurement.

    Attributes:
        title: in the report.
        database: ``sql`` or ``http``.
        stepped: whether the steps are as they are by default; else 0.
        workers: of the deployment, of two threads each.
        connections: that ask at the same time.
        part: share of ``PAIRS``.
        shares: kind of question → how often it is asked, beside one half of ``FIXED``.
    """

    title: str
    database: str
    stepped: bool
    workers: int
    connections: int
    part: float
    shares: Mapping[str, float]


_STEPPED = {FIXED: 10.0, ONE: 5.0, FIVE: 5.0, WORKED: 1.0, LEFT: 1.0}
_BARE = {FIXED: 4.0, ONE: 2.0, FIVE: 2.0, WORKED: 2.0}

PHASES = {
    "sql": Phase("Over SQL, step of 5 ms", "sql", stepped=True, workers=1, connections=3, part=1.0, shares=_STEPPED),
    "http": Phase(
        "In front of HTTP, step of 50 ms", "http", stepped=True, workers=1, connections=10, part=1.0, shares=_STEPPED
    ),
    "sql-off": Phase("Over SQL, no step", "sql", stepped=False, workers=1, connections=1, part=0.25, shares=_BARE),
    "http-off": Phase(
        "In front of HTTP, no step", "http", stepped=False, workers=1, connections=1, part=0.1, shares=_BARE
    ),
}

Samples = Mapping[str, "array[float]"]
"""Kind of question → times in µs, in the order of asking."""


# --- statistics ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Compared:
    """Two classes of answers: t at a growing number of pairs, and the difference of means with its 95 % interval (µs)."""

    name: str
    pairs: int
    course: tuple[tuple[int, float], ...]
    difference: float
    half_width: float

    @property
    def t(self) -> float:
        """At the end."""
        return self.course[-1][1]


def _moments(values: Sequence[float]) -> tuple[int, float, float]:
    """Number, mean, variance."""
    mean = math.fsum(values) / len(values)
    return len(values), mean, math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)


def welch(one: Sequence[float], two: Sequence[float]) -> tuple[float, float, float]:
    """Welch's t of the slow-cut samples, the difference of their means (second minus first) and its standard error."""
    cut = sorted([*one, *two])[int(KEPT * (len(one) + len(two))) - 1]
    (n, mean, spread), (m, other, width) = (_moments([v for v in side if v <= cut]) for side in (one, two))
    error = math.sqrt(spread / n + width / m)
    return ((other - mean) / error if error else 0.0), other - mean, error


def compared(name: str, one: Sequence[float], two: Sequence[float]) -> Compared:
    """Two samples in µs, of times that were taken in the same minutes."""
    parts = sorted({max(10 / len(two), i / POINTS) for i in range(1, POINTS + 1)})
    course = [(int(len(two) * p), welch(one[: max(10, int(len(one) * p))], two[: int(len(two) * p)])[0]) for p in parts]
    _, difference, error = welch(one, two)
    return Compared(name, len(two), tuple(course), difference, 1.96 * error)


def _mixed(one: Sequence[float], two: Sequence[float]) -> list[float]:
    """All of both, in about the order of asking."""
    placed = [(i / len(each), value) for each in (one, two) for i, value in enumerate(each)]
    return [value for _, value in sorted(placed)]


def comparisons(samples: Samples) -> list[Compared]:
    """Of one measurement."""
    first = samples[FIXED]
    mixed = _mixed(samples[ONE], samples[FIVE])
    found = [
        compared("one or five sealed records", first, mixed),
        compared("one sealed record", first, samples[ONE]),
        compared("five sealed records", first, samples[FIVE]),
        compared("50 µs more work", first, samples[WORKED]),
    ]
    return [*found, compared(LATER, first, samples[LEFT])] if LEFT in samples else found


# --- the deployment --------------------------------------------------------------------------------------------------


def classes_of(count: int) -> tuple[dict[str, list[str]], list[legacy.Case]]:
    """Numbers of persons with 0, 1 and 5 sealed records, each with one open record besides; and all records."""
    cases: list[legacy.Case] = []
    numbers: dict[str, list[str]] = {FIXED: [], ONE: [], FIVE: []}
    for i in range(3 * count):
        kind, who = (FIXED, ONE, FIVE)[i % 3], person_of(i)
        numbers[kind].append(who.SFZH)
        own = replace(legacy.OPEN, SFZH=who.SFZH, XM=who.XM)
        cases.append(replace(own, AJBH=f"AJ{i:06d}A"))
        cases += [replace(own, AJBH=f"AJ{i:06d}{n}", FCBJ="1") for n in range(SEALED.get(kind, 0))]
    random.Random(SEED).shuffle(cases)
    return numbers, cases


class TimedWorld(ArchiveWorld):
    """County and archive, with their default steps or none."""

    def __init__(self, folder: Path, keys: Path, url: str, cases: Sequence[legacy.Case], *, stepped: bool) -> None:
        self._steps = {} if stepped else {"answer_step_ms": 0}
        super().__init__(folder, url, catalog=archive_catalog(url, **self._steps), keys=keys, cases=cases)

    def _settings(self, sections: Mapping[str, Mapping[str, object]]) -> Settings:
        settings = super()._settings(sections)
        file = self.folder / "county.yaml"
        for name, value in self._steps.items():
            own = file.read_text(encoding="utf-8")
            file.write_text(own.replace("{kind: sql,", f"{{kind: sql, {name}: {value},"), encoding="utf-8")
        return settings


@contextlib.contextmanager
def upstream(folder: Path, cases: Sequence[legacy.Case]) -> Iterator[str]:
    """The legacy HTTP service; its address."""
    port, file = free_port(), folder / "upstream.json"
    file.write_text(json.dumps([record(case) for case in cases]), encoding="utf-8")
    running = subprocess.Popen(
        [sys.executable, "-m", "tests.probes.upstream", str(file), str(port)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        wait_for("the legacy service", lambda: _accepts(port))
        yield f"http://127.0.0.1:{port}"
    finally:
        running.terminate()
        running.wait()


def _accepts(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


# --- asking ----------------------------------------------------------------------------------------------------------

Question = tuple[str, bytes]
"""Kind, and the bytes of the request."""


class Questions:
    """Draws questions at random."""

    def __init__(self, phase: Phase, token: str, numbers: Mapping[str, Sequence[str]], seed: float) -> None:
        self._dice = random.Random(seed)
        self._kinds, self._weights = list(phase.shares), list(accumulate(phase.shares.values()))
        make = _by_sql if phase.database == "sql" else _by_http
        self._made = {
            kind: [make(token, number, PLANTED.get(kind, NOWHERE)) for number in numbers.get(kind, numbers[FIXED])]
            for kind in self._kinds
        }

    def next(self) -> Question:
        """The next one."""
        [kind] = self._dice.choices(self._kinds, cum_weights=self._weights)
        return kind, self._dice.choice(self._made[kind])


def _by_sql(token: str, number: str, planted: str) -> bytes:
    stated = {
        "database": "county",
        "subject": {"person_id": number},
        "reason": FACTS["reason"],
        "basis": {"instrument": FACTS["basis-instrument"], "article": FACTS["basis-article"]},
        "purpose": FACTS["purpose"],
        "case_number": FACTS["case-number"],
    }
    body = orjson.dumps(stated)
    head = f"POST /v1/inquiries HTTP/1.1\r\nHost: x\r\nPlanted: {planted}\r\nAuthorization: Bearer {token}\r\n"
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def _by_http(token: str, number: str, planted: str) -> bytes:
    facts = "".join(f"Inquiry-{name}: {quote(value)}\r\n" for name, value in FACTS.items())
    head = f"GET /proxy/{ARCHIVE}/persons/{number}/records HTTP/1.1\r\nHost: x\r\nPlanted: {planted}\r\n"
    return f"{head}Authorization: Bearer {token}\r\n{facts}\r\n".encode()


class Client:
    """Some connections, each of which asks again as soon as it is answered."""

    def __init__(self, port: int, connections: int, questions: Questions) -> None:
        self._questions, self._ready = questions, selectors.DefaultSelector()
        self._wires = [socket.create_connection(("127.0.0.1", port), 30) for _ in range(connections)]
        self._asked: dict[socket.socket, tuple[str, int]] = {}
        for wire in self._wires:
            wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._ready.register(wire, selectors.EVENT_READ)

    def answers(self) -> Iterator[tuple[str, float]]:
        """Kinds and times in µs, without end."""
        for wire in self._wires:
            self._ask(wire)
        while True:
            for key, _ in self._ready.select():
                wire = key.fileobj
                assert isinstance(wire, socket.socket)
                answer, came = wire.recv(65536), time.perf_counter_ns()
                kind, began = self._asked[wire]
                _check(answer)
                self._ask(wire)
                yield kind, (came - began) / 1000

    def _ask(self, wire: socket.socket) -> None:
        kind, request = self._questions.next()
        self._asked[wire] = kind, time.perf_counter_ns()
        wire.sendall(request)

    def close(self) -> None:
        self._ready.close()
        for wire in self._wires:
            wire.close()


def _check(answer: bytes) -> None:
    """One whole answer with what was asked for."""
    head, _, body = answer.partition(b"\r\n\r\n")
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    assert answer.startswith(b"HTTP/1.1 200"), answer
    assert len(body) == int(length[15:]), "an answer in parts"


def measure(folder: Path, keys: Path, phase: Phase, missing: int, seconds: float) -> dict[str, array[float]]:
    """Serve a deployment and ask until so many answers of kind ``FIXED`` came, or so long."""
    numbers, cases = classes_of(PERSONS)
    samples = {kind: array("d") for kind in phase.shares}
    with contextlib.ExitStack() as running:
        url = running.enter_context(upstream(folder, cases))
        world = TimedWorld(folder / "world", keys, url, cases, stepped=phase.stepped)
        running.callback(world.close)
        port, file = free_port(), folder / "served.json"
        write_settings(world.settings, port, file, workers=phase.workers, threads=2)
        running.enter_context(process(file, folder / "served.log", "tests.probes.held"))
        wait_for("the deployment", lambda: listens(port))
        client = Client(port, phase.connections, Questions(phase, world.token(), numbers, time.time_ns()))
        running.callback(client.close)
        until = time.monotonic() + seconds
        for count, (kind, micros) in enumerate(client.answers()):
            if count >= WARM:
                samples[kind].append(micros)
            if min(len(samples[FIXED]), len(samples[ONE]) + len(samples[FIVE])) >= missing or time.monotonic() > until:
                return samples
    raise AssertionError("it asks without end")


# --- what is kept ----------------------------------------------------------------------------------------------------


def kept(folder: Path, name: str) -> dict[str, array[float]]:
    """What was measured so far."""
    found = {}
    for kind in PHASES[name].shares:
        found[kind] = array("d")
        file = folder / f"{name}.{kind}"
        if file.exists():
            found[kind].frombytes(file.read_bytes())
    return found


def keep(folder: Path, name: str, samples: Samples) -> None:
    """Add to what was measured so far."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind, values in samples.items():
        with (folder / f"{name}.{kind}").open("ab") as file:
            values.tofile(file)


def go_on(folder: Path, pairs: int, seconds: float) -> bool:
    """Measure what is missing; whether nothing is any more."""
    until = time.monotonic() + seconds
    for name, phase in PHASES.items():
        missing = _missing(folder, name, pairs)
        if missing and time.monotonic() < until:
            with tempfile.TemporaryDirectory(prefix="timing-") as made:
                make_keys(Path(made) / "keys")
                keep(folder, name, measure(Path(made), Path(made) / "keys", phase, missing, until - time.monotonic()))
        print(f"{phase.title}: {_missing(folder, name, pairs):,} missing", flush=True)
    return not any(_missing(folder, name, pairs) for name in PHASES)


def _missing(folder: Path, name: str, pairs: int) -> int:
    """Pairs of a measurement."""
    samples = kept(folder, name)
    return max(0, int(pairs * PHASES[name].part) - min(len(samples[FIXED]), len(samples[ONE]) + len(samples[FIVE])))


# --- the report ------------------------------------------------------------------------------------------------------


HELD_SENTENCE = "With the steps that are on by default no |t| reaches 4.5, and 50 µs at the leaving give more than 10."


def faults(found: Mapping[str, Sequence[Compared]]) -> list[str]:
    """What is not as it is to be where there are steps: with them nothing tells, and 50 µs after them would."""
    stepped = [(PHASES[name].title, each) for name, its in found.items() if PHASES[name].stepped for each in its]
    return [
        f"{title}: {each.name}: t {each.t:+.2f}"
        for title, each in stepped
        if (each.t <= NOTICED if each.name == LATER else abs(each.t) >= TELLING)
    ]


def page(found: Mapping[str, Sequence[Compared]], pairs: Mapping[str, int]) -> str:
    """The report."""
    lines = [
        "# Time",
        "",
        "Answers about persons without a sealed record, in random alternation with answers about persons who have one or five;",
        "each person has one open record besides, and databases look persons up by an index. Welch's t of the quicker nine tenths,",
        "as dudect computes it: beyond ±4.5 time tells something. 50 µs are planted in the same run, to show what the measurement",
        "notices: in the work, which is to vanish in a step, and where an answer leaves, which is not.",
        "",
        *([f"**Not as it is to be:** {'; '.join(faults(found))}."] if faults(found) else [HELD_SENTENCE]),
        "",
    ]
    for name, each in found.items():
        phase = PHASES[name]
        asking = "one connection" if phase.connections == 1 else f"{phase.connections} connections"
        lines += [
            f"## {phase.title}",
            "",
            f"{pairs[name]:,} answers about persons without a sealed record, by {asking}.",
            "",
            "| Against no sealed record | Answers | t | Difference | 95 % interval |",
            "| --- | --- | --- | --- | --- |",
            *(
                f"| {c.name} | {c.pairs:,} | {c.t:+.2f} | {c.difference:+.1f} µs | ± {c.half_width:.1f} µs |"
                for c in each
            ),
            "",
            f"![Course of t]({PAGE.stem}-{name}.svg)",
            "",
        ]
    lines += [
        "The deployment is one worker of two threads with SQLite, WebAssembly and a durable entry for each answer (`tests/probes/held.py`).",
        "`make timing` makes this page anew; nothing else should run meanwhile. It can be ended and goes on where it stood.",
        "",
    ]
    return "\n".join(lines)


COLOURS = ("#222222", "#4477aa", "#228833", "#ccbb44", "#cc6677")


def plot(title: str, found: Sequence[Compared]) -> str:
    """How t grows with the number of pairs, as SVG."""
    left, top, width, height = 60, 30, 560, 240
    high = max(12.0, *(abs(t) for each in found for _, t in each.course))

    def place(share: float, t: float) -> str:
        return f"{left + width * share:.1f},{top + height / 2 * (1 - t / high):.1f}"

    lines = [
        f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="'
        + " ".join(place(n / each.pairs, t) for n, t in each.course)
        + f'"/><text x="{left + 190 * (i % 3)}" y="{top + height + 24 + 18 * (i // 3)}" fill="{colour}">{each.name}</text>'
        for i, (each, colour) in enumerate(zip(found, COLOURS, strict=False))
    ]
    bounds = [
        f'<polyline fill="none" stroke="#999" stroke-dasharray="4" points="{place(0, t)} {place(1, t)}"/>'
        f'<text x="{left - 8}" y="{place(0, t).partition(",")[2]}" text-anchor="end">{t:g}</text>'
        for t in (-10, -4.5, 0, 4.5, 10)
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 330" width="640" height="330" font-family="sans-serif" font-size="12">'
        f'<text x="8" y="18" font-size="14">{title}: Welch’s t as answers come in</text>{"".join(bounds)}{"".join(lines)}</svg>\n'
    )


def report(folder: Path) -> str:
    """Write page and plots."""
    samples = {name: kept(folder, name) for name in PHASES}
    found = {name: comparisons(its) for name, its in samples.items()}
    PAGE.write_text(page(found, {name: len(its[FIXED]) for name, its in samples.items()}), encoding="utf-8")
    for name, each in found.items():
        PAGE.with_name(f"{PAGE.stem}-{name}.svg").write_text(plot(PHASES[name].title, each), encoding="utf-8")
    return PAGE.read_text(encoding="utf-8")


def main() -> int:
    if not go_on(FOLDER, PAIRS, SECONDS):
        return 1
    written = report(FOLDER)
    print(written)
    shutil.rmtree(FOLDER)
    return 0 if HELD_SENTENCE in written else 1


if __name__ == "__main__":
    sys.exit(main())
