"""Turns entry and effects into SQL: one data-modifying CTE for PostgreSQL, single statements for SQLite.

PostgreSQL runs all parts of the one statement on one snapshot and commits or rolls back all of them: atomic without
``BEGIN``. What must not be half done ends in a cast that fails, which undoes the statement.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sidecar.ledger.types import Effect

DONE = -1
"""Verdict of the statement: entry and effects are written. From 0: index of the required effect that was refused."""

REFUSED = "refused-effect"
"""Marks our own failing cast among the server's errors of class 22P02."""

_PLACEHOLDER = re.compile(r"%\((\w+)\)s|%%")
_NAME = re.compile(r"[a-z_]+")

ENTRY_COLUMNS = ("writer", "writer_seq", "chain", "leaf_hash", "body")


@dataclass(frozen=True, slots=True)
class Single:
    """One effect for SQLite: SQL with ``:name`` placeholders."""

    name: str
    sql: str
    required: bool
    condition: bool


@dataclass(frozen=True, slots=True)
class Compiled:
    """One statement for PostgreSQL: ``$n`` placeholders, and where each value comes from.

    ``sources`` are (index of the effect, parameter's name); the first five placeholders are the entry's columns.
    """

    sql: bytes
    sources: tuple[tuple[int, str], ...]
    required: tuple[str, ...]


def key(effects: Sequence[Effect]) -> tuple[str, ...]:
    """What a compiled form is cached by: the texts are constants, so there are few."""
    return tuple([effect.sql for effect in effects])


def is_condition(effect: Effect) -> bool:
    """Whether an effect changes nothing and only has to hold."""
    return effect.sql.startswith("SELECT ")


def check(effects: Sequence[Effect]) -> None:
    """Refuse what breaks the effects' contract; a programming error, found when a form is first compiled.

    Raises:
        ValueError: names are not unique or not ``[a-z_]+``, ``{guard}`` does not stand exactly once, or a condition is
            not required.
    """
    names = [effect.name for effect in effects]
    if len(set(names)) != len(names):
        raise ValueError(f"expected unique names of effects, got {names}")
    for effect in effects:
        if not _NAME.fullmatch(effect.name):
            raise ValueError(f"expected a name of [a-z_]+, got {effect.name!r}")
        if effect.sql.count("{guard}") != 1:
            raise ValueError(f"{effect.name}: expected {{guard}} exactly once, got {effect.sql.count('{guard}')}")
        if is_condition(effect) and not effect.required:
            raise ValueError(f"{effect.name}: expected a condition to be required")


def for_sqlite(effects: Sequence[Effect]) -> tuple[Single, ...]:
    """The effects, required ones first: they run one by one within a savepoint."""
    check(effects)
    ordered = sorted(effects, key=lambda effect: not effect.required)
    return tuple(
        Single(e.name, _placeholders(e.sql.replace("{guard}", "1=1"), lambda n: f":{n}"), e.required, is_condition(e))
        for e in ordered
    )


def for_postgresql(effects: Sequence[Effect]) -> Compiled:
    """One statement: required effects, the entry, the others; it returns the index of the refused effect or -1."""
    check(effects)
    required = tuple(effect.name for effect in effects if effect.required)
    guard = " AND ".join(f"EXISTS (SELECT 1 FROM r_{name})" for name in required) or "1=1"  # noqa: S608  # [a-z_]+
    sources: list[tuple[int, str]] = []
    parts: list[str] = []
    # What others are guarded by stands before them.
    for index, effect in sorted(enumerate(effects), key=lambda pair: not pair[1].required):
        sql = effect.sql.replace("{guard}", "1=1" if effect.required else guard)
        sql = _placeholders(sql, _numbering(index, sources))
        returning = "" if is_condition(effect) else " RETURNING 1"
        parts.append(f"{'r' if effect.required else 'e'}_{effect.name} AS ({sql}{returning})")
    columns = ", ".join(ENTRY_COLUMNS)
    parts.append(
        f"entry AS (INSERT INTO ledger_entries ({columns}) SELECT $1, $2, $3, $4, $5 WHERE {guard} RETURNING 1)"
    )
    return Compiled(f"WITH {', '.join(parts)} {_verdict(required)}".encode(), tuple(sources), required)


def _verdict(required: tuple[str, ...]) -> str:
    """``DONE``, or 0 where nothing was written. Anything between may have changed rows, so the failing cast undoes it.

    The cast's argument depends on a count, so that the planner cannot evaluate it in advance.
    """
    if not required:
        return f"SELECT {DONE}"
    counts = ", ".join(f"(SELECT count(*) FROM r_{name}) AS c{i}" for i, name in enumerate(required))  # noqa: S608  # [a-z_]+
    every = " AND ".join(f"c{i} = 1" for i in range(len(required)))
    none = " AND ".join(f"c{i} = 0" for i in range(len(required)))
    first = " ".join(f"WHEN c{i} <> 1 THEN {i}" for i in range(len(required)))
    return (
        f"SELECT CASE WHEN {every} THEN {DONE} WHEN {none} THEN 0 "  # noqa: S608  # numbers only
        f"ELSE CAST('{REFUSED}:' || (CASE {first} END)::text || ':' AS integer) END FROM (SELECT {counts}) AS counts"
    )


def _numbering(index: int, sources: list[tuple[int, str]]) -> Callable[[str], str]:
    def number(name: str) -> str:
        # Each occurrence has a number of its own: the server infers the type of each from its place.
        sources.append((index, name))
        return f"${len(sources) + len(ENTRY_COLUMNS)}"

    return number


def _placeholders(sql: str, replace: Callable[[str], str]) -> str:
    return _PLACEHOLDER.sub(lambda match: replace(match[1]) if match[1] else "%", sql)


def wire(value: Any) -> bytes | None:
    """A parameter's bytes: text format for all but bytes, which travel as they are.

    Raises:
        TypeError: a type that effects do not use.
    """
    kind = type(value)
    if kind is str:
        encoded: bytes = value.encode()
        return encoded
    if kind is bytes or value is None:
        return value  # type: ignore[no-any-return]
    if kind is bool:
        return b"t" if value else b"f"
    if kind is int:
        return b"%d" % value
    if isinstance(value, str):
        return str.__str__(value).encode()
    raise TypeError(f"expected str, bytes, int, bool or None, got {kind.__name__}")
