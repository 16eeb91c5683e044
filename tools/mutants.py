"""Mutation testing of the policies: a change of a rule or of a legal parameter that no test notices is a gap (P1, P4).

Each mutant changes one thing in a copy of ``policies/``: a number plus or minus one, a boolean flipped, an element of a
list removed (parameters); a rule removed, a conjunct removed, a comparison flipped or moved by one, a ``not`` dropped,
a number plus or minus one (Rego). The tests nearest to the change run first, and the whole suite only where they pass.
Survivors must stand in ``policies/mutants-accepted.yaml`` with the reason; an entry there that no longer survives, or
names no mutant, is an error as well. A mutant that does not compile counts as killed: it could not be built either.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
POLICIES = ROOT / "policies"
ACCEPTED = POLICIES / "mutants-accepted.yaml"
PARAMETERS = "params/data.json"

TIMEOUT_SECONDS = 60
"""A mutant that loops is killed by time; the whole suite takes three seconds."""

FIRST = ("test_classification", "test_decision")
"""The tables of cases: they notice most mutants, so they are asked before the other tests of their folder."""

COMPARISONS = {
    "==": ("!=",),
    "!=": ("==",),
    "<": (">", "<="),
    "<=": (">", "<"),
    ">": ("<", ">="),
    ">=": ("<", ">"),
}
"""Each comparison and what it becomes: flipped, and moved by one."""

_COMPARISON = re.compile(r" (==|!=|<=|>=|<|>) ")
_NUMBER = re.compile(r'(?<![\w."-])\d+(?![\w."])')
_STRING = re.compile(r'"[^"]*"')
_NOT = re.compile(r"\bnot ")


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change: a stable name, the file it is in and that file's new text."""

    name: str
    path: str
    text: str


def _blank_strings(line: str) -> str:
    """The line with strings and comments blanked, so that positions stay."""
    line = _STRING.sub(lambda m: '"' + "_" * (len(m[0]) - 2) + '"', line)
    code, mark, comment = line.partition("#")
    return code + mark + " " * len(comment)


def rules(lines: list[str]) -> Iterator[tuple[int, int]]:
    """First and last line (exclusive) of each rule of a formatted module; package, imports and comments are none."""
    start, depth = None, 0
    for number, line in enumerate(lines):
        code = _blank_strings(line).split("#")[0]
        if start is None:
            if not code.strip() or code.startswith(("package ", "import ")):
                continue
            start = number
        depth += sum(code.count(c) for c in "{[(") - sum(code.count(c) for c in "}])")
        if depth == 0:
            yield start, number + 1
            start = None


def _in_line(line: str) -> Iterator[tuple[str, str]]:
    """What was changed in a line, and the changed line."""
    code = _blank_strings(line).split("#")[0]
    for match in _COMPARISON.finditer(code):
        for other in COMPARISONS[match[1]]:
            yield f"{match[1]} to {other}", line[: match.start(1)] + other + line[match.end(1) :]
    for match in _NOT.finditer(code):
        yield "not dropped", line[: match.start()] + line[match.end() :]
    for match in _NUMBER.finditer(code):
        for step in (1, -1):
            yield f"{match[0]}{step:+d}", line[: match.start()] + str(int(match[0]) + step) + line[match.end() :]


def _conjuncts(lines: list[str], first: int, last: int) -> Iterator[int]:
    """Lines that are one conjunct of a body each: between ``if {`` and its end, one tab deep, complete in one line."""
    body = False
    for number in range(first, last):
        code = _blank_strings(lines[number]).split("#")[0].rstrip()
        if (
            body
            and re.match(r"\t[^\t}]", code)
            and code.count("{") == code.count("}")
            and code.count("(") == code.count(")")
        ):
            yield number
        body = body or code.endswith("if {")


def of_rego(path: str, text: str) -> Iterator[Mutant]:
    """Mutants of a module."""
    lines = text.splitlines()
    seen: Counter[str] = Counter()

    def mutant(what: str, where: str, changed: list[str]) -> Mutant:
        name = f"{path}: {what}: {where.strip()}"
        seen[name] += 1
        return Mutant(f"{name} (#{seen[name]})" if seen[name] > 1 else name, path, "\n".join(changed) + "\n")

    for first, last in rules(lines):
        yield mutant("rule removed", lines[first], lines[:first] + lines[last:])
        for number in _conjuncts(lines, first, last):
            yield mutant("conjunct removed", lines[number], lines[:number] + lines[number + 1 :])
        for number in range(first, last):
            for what, changed in _in_line(lines[number]):
                yield mutant(what, lines[number], [*lines[:number], changed, *lines[number + 1 :]])


def _leaves(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[str, tuple[str | int, ...], Any]]:
    """Changes of a JSON value: what, where, and the new value (``None``: the element is removed)."""
    if isinstance(value, bool):
        yield "flipped", path, not value
    elif isinstance(value, int):
        for step in (1, -1):
            yield f"{step:+d}", path, value + step
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield f"{inner!r} removed", (*path, index), None
            yield from _leaves(inner, (*path, index))


def of_parameters(path: str, text: str) -> Iterator[Mutant]:
    """Mutants of the legal parameters."""
    document = json.loads(text)
    for what, where, new in _leaves(document, ()):
        changed = copy.deepcopy(document)
        parent: Any = changed
        for key in where[:-1]:
            parent = parent[key]
        if new is None:
            del parent[where[-1]]
        else:
            parent[where[-1]] = new
        name = f"{path}: {'.'.join(str(k) for k in where[: -1 if new is None else None])}: {what}"
        yield Mutant(name, path, json.dumps(changed, ensure_ascii=False))


def all_mutants(policies: Path) -> list[Mutant]:
    """Every mutant of the sources in ``policies``; names are unique."""
    found = list(of_parameters(PARAMETERS, (policies / PARAMETERS).read_text("utf-8")))
    for file in sorted((policies / "sidecar").rglob("*.rego")):
        if not file.name.endswith("_test.rego"):
            path = file.relative_to(policies).as_posix()
            found += of_rego(path, file.read_text("utf-8"))
    return found


@dataclass(frozen=True, slots=True)
class Question:
    """Tests that are evaluated together: their folder, and a query for what each of them yields."""

    folder: str
    query: str


def questions(policies: Path) -> list[Question]:
    """All tests, those of the tables (``FIRST``) before the others of their folder.

    The rules are evaluated as they are: ``opa test`` traces every step for its report, which takes five times as long.
    """
    found: list[Question] = []
    for file in sorted(policies.rglob("*_test.rego")):
        text = file.read_text("utf-8")
        package = re.search(r"^package (\S+)$", text, re.MULTILINE)
        names = sorted(set(re.findall(r"^(test_\w+)", text, re.MULTILINE)))
        for part in ([n for n in names if n in FIRST], [n for n in names if n not in FIRST]):
            if package and part:
                rules_ = [f"data.{package[1]}.{name}" for name in part]
                query = "{" + ", ".join(f'"{rule}": [x | x := {rule}]' for rule in rules_) + "}"
                found.append(Question(file.parent.relative_to(policies).as_posix(), query))
    return found


def yields(opa: str, folder: Path, query: str) -> Any:
    """What the tests yield; None where the policies do not compile, an evaluation fails or takes too long."""
    command = [opa, "eval", "--bundle", str(folder), "--timeout", f"{TIMEOUT_SECONDS}s", "--format", "raw", query]
    environment = {**os.environ, "GOMAXPROCS": "1", "GOGC": "400"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    return json.loads(done.stdout) if done.returncode == 0 else None


@dataclass(frozen=True, slots=True)
class Suite:
    """The tests, and what they yield on the unchanged policies."""

    expected: dict[Question, Any]

    def order(self, path: str) -> list[Question]:
        """Tests nearest to the changed file first, the invariants last."""
        near = Path(path).parent.as_posix()
        return sorted(self.expected, key=lambda q: (q.folder != near, q.folder == "invariants"))


def survives(opa: str, place: Path, mutant: Mutant, suite: Suite) -> bool:
    """Whether no test notices the mutant; the place is as before afterwards."""
    return not any(
        _notices(opa, place / asked.folder, mutant, asked.query, was) for asked, was in _ordered(suite, mutant)
    )


def _ordered(suite: Suite, mutant: Mutant) -> list[tuple[Question, Any]]:
    return [(asked, suite.expected[asked]) for asked in suite.order(mutant.path)]


def _notices(opa: str, folder: Path, mutant: Mutant, query: str, expected: Any) -> bool:
    file = folder / mutant.path
    if not file.exists():  # these tests do not read it
        return False
    original = file.read_bytes()
    file.write_text(mutant.text, "utf-8")
    try:
        return bool(yields(opa, folder, query) != expected)
    finally:
        file.write_bytes(original)


def copy_sources(policies: Path, place: Path, folders: set[str]) -> None:
    """One folder a folder of tests, with the sources and those tests only: what is not loaded takes no time."""
    for tests in folders:
        for file in policies.rglob("*"):
            relative = file.relative_to(policies)
            folder = relative.parent.as_posix()
            source = file.suffix == ".rego" and (not file.name.endswith("_test.rego") or folder in {tests, "fixtures"})
            alone = tests == Path(PARAMETERS).parent.as_posix() and folder != tests
            if (source and not alone) or relative.as_posix() == PARAMETERS:
                target = place / tests / relative
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, target)


def unchanged(opa: str, policies: Path, place: Path, asked: list[Question]) -> Suite:
    """What the tests yield without any change.

    Raises:
        RuntimeError: the tests fail without any change, so that they say nothing.
    """
    command = [opa, "test", "--timeout", f"{TIMEOUT_SECONDS}s", "--bundle", str(policies)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"the tests fail on the unchanged policies:\n{done.stdout}{done.stderr}")
    expected = {question: yields(opa, place / question.folder, question.query) for question in asked}
    if not all(expected.values()):
        raise RuntimeError("the tests cannot be evaluated one folder at a time")
    return Suite(expected)


def survivors(opa: str, policies: Path, mutants: list[Mutant], jobs: int) -> list[str]:
    """Names of the mutants that no test notices, sorted.

    Raises:
        RuntimeError: the tests fail without any change, so that they say nothing.
    """
    asked = questions(policies)
    with tempfile.TemporaryDirectory(prefix="mutants-") as temporary:
        places: SimpleQueue[Path] = SimpleQueue()
        for job in range(jobs):
            place = Path(temporary) / str(job)
            copy_sources(policies, place, {question.folder for question in asked})
            places.put(place)
        suite = unchanged(opa, policies, Path(temporary) / "0", asked)

        def run(mutant: Mutant) -> str | None:
            place = places.get()
            try:
                return mutant.name if survives(opa, place, mutant, suite) else None
            finally:
                places.put(place)

        with ThreadPoolExecutor(jobs) as pool:
            return sorted(name for name in pool.map(run, mutants) if name is not None)


def accepted(file: Path) -> dict[str, str]:
    """Survivors that are accepted: name → reason.

    Raises:
        ValueError: an entry without a reason, or twice.
    """
    entries = yaml.safe_load(file.read_text("utf-8")) or []
    found: dict[str, str] = {}
    for entry in entries:
        name, reason = entry["mutant"], entry["reason"].strip()
        if not reason or name in found:
            raise ValueError(f"{file.name}: expected one entry with a reason for {name!r}")
        found[name] = reason
    return found


def find_opa() -> str | None:
    """OPA by SIDECAR_OPA, PATH, or the tools cache that ``make tools`` fills."""
    tools = Path(os.environ.get("SIDECAR_TOOLS", Path.home() / ".cache" / "sidecar-tools"))
    return os.environ.get("SIDECAR_OPA") or shutil.which("opa") or shutil.which("opa", path=str(tools / "bin"))


def report(names: list[str], reasons: dict[str, str], *, complete: bool, known: set[str]) -> int:
    """Print what is wrong; the exit status."""
    unexplained = [name for name in names if name not in reasons]
    stale = [name for name in reasons if (complete or name in known) and name not in names]
    for name in unexplained:
        print(f"survives: {name}")
    for name in stale:
        print(f"stale entry of {ACCEPTED.name}: {name}")
    return 1 if unexplained or stale else 0


def main(arguments: list[str] | None = None) -> int:
    """Run all mutants, or those whose name contains a text; 0 only if every survivor is accepted with a reason."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="run the mutants whose name contains this text")
    parser.add_argument("--jobs", type=int, default=2, help="OPA processes at a time")
    parser.add_argument("--list", action="store_true", help="list the mutants, run none")
    options = parser.parse_args(arguments)
    mutants = [m for m in all_mutants(POLICIES) if options.only in m.name]
    if options.list:
        print("\n".join(m.name for m in mutants))
        return 0
    opa = find_opa()
    if opa is None:
        print("expected an OPA: set SIDECAR_OPA or run `make tools`", file=sys.stderr)
        return 1
    began = time.monotonic()
    names = survivors(opa, POLICIES, mutants, options.jobs)
    status = report(names, accepted(ACCEPTED), complete=not options.only, known={m.name for m in mutants})
    print(
        f"{len(mutants)} mutants, {len(mutants) - len(names)} killed, {len(names)} survive, {time.monotonic() - began:.0f} s"
    )
    return status


if __name__ == "__main__":
    sys.exit(main())
