"""What the lines of every kind of audit have in common: a statement or request, and what can be kept of it (P6).

A line is written by a server about what a stranger sent, so that nothing in it is believed but its place in the form.
What cannot be read is told as such: nobody hides a read behind a line that breaks a reader.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

MAX_RECORD: Final = 1_048_576
"""Bytes of a record; a longer one is not read. Our own statements have some ten thousand."""

MAX_SHAPE: Final = 65_536
"""Characters of a statement that its shape is made from."""

MAX_IDS: Final = 16
"""Ids looked at in one statement; one of ours holds one."""

MAX_NAME: Final = 64
"""Characters of an account's or client's name that are kept; both databases allow about as many."""

_ID: Final = re.compile(
    r"(?<![0-9a-f-])[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}(?![0-9a-f-])"
)
_NAME: Final = re.compile(rf"[A-Za-z0-9_.@%:/\[\]-]{{1,{MAX_NAME}}}")
_LITERALS: Final = re.compile(
    r"""'(?:[^'\\]|''|\\.?)*'?|"(?:[^"\\]|""|\\.?)*"?|/\*.*?(?:\*/|$)|--[^\n]*|\#[^\n]*|\$?[0-9][0-9a-fA-Fx.]*|\s+""",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement or request that the audit tells of.

    Attributes:
        time: when, aware.
        user: account; client: address or host. As logged; see ``name``.
        action: what kind, e.g. READ or GET.
        object: what was read, by the catalog's or the settings' name; "" where the line does not say.
        ids: what in it may be an inquiry's id.
        shape: its text without values, for grouping; it is never kept itself, only its keyed hash.
        key: what the lines of one statement share.
        tampers: it changes how the database is audited.
        whole: all that the audit tells of the statement was there to be put together.
    """

    time: datetime
    user: str
    client: str
    action: str
    object: str
    ids: tuple[str, ...]
    shape: str
    key: str
    tampers: bool = False
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record that is none of the format's, or too long: a finding, as it may hide one."""


@dataclass(frozen=True, slots=True)
class Nothing:
    """A record that tells of nothing that is watched; ``time`` where it has one."""

    time: datetime | None = None


Line = Statement | Unreadable | Nothing


@dataclass(frozen=True, slots=True)
class Watched:
    """What of a database is watched.

    Attributes:
        tables: bare names, lower case; empty means everything that is logged.
        dbname: the database's name on its server; "" means any.
    """

    tables: frozenset[str]
    dbname: str = ""

    def table(self, name: str) -> str:
        """The watched table that a qualified and quoted name means, or ""."""
        bare = name.rpartition(".")[2].strip('"`').lower()
        return bare if bare in self.tables else ""

    def mentioned(self, text: str) -> str:
        """A watched table whose name stands in a text, or ""; for audits that do not name objects."""
        words = set(re.findall(r"\w+", text[:MAX_RECORD].lower()))
        return min(self.tables & words, default="")


class Format(Protocol):
    """Reads one format. ``split`` and ``parse`` never raise, whatever the bytes."""

    def split(self, data: bytes, *, final: bool) -> Iterator[bytes]:
        """The whole records that the bytes begin with, ends of line included; ``final`` takes an unfinished last one."""

    def parse(self, record: bytes) -> Line:
        """One record."""

    def join(self, lines: list[Line]) -> list[Line]:
        """Put together what several records tell of one statement; as many lines come back, in the same order."""


def split_lines(data: bytes, *, final: bool) -> Iterator[bytes]:
    """Lines with their ends."""
    start = 0
    while (end := data.find(b"\n", start)) >= 0:
        yield data[start : end + 1]
        start = end + 1
    if final and start < len(data):
        yield data[start:]


def ids(text: str) -> tuple[str, ...]:
    """What in a text may be an inquiry's id: version 7 UUIDs in our spelling."""
    return tuple(match[0] for match, _ in zip(_ID.finditer(text), range(MAX_IDS), strict=False))


def is_id(text: str) -> bool:
    """Whether a text is one, and nothing else."""
    return _ID.fullmatch(text) is not None


def shape(text: str) -> str:
    """A statement without strings, numbers and comments, so that a flood that changes these is one finding."""
    return _LITERALS.sub(lambda found: " " if found[0].isspace() else "?", text[:MAX_SHAPE]).strip().lower()


def name(text: str) -> str:
    """A name as it may be kept: plain characters only; "" where it is none."""
    return text if _NAME.fullmatch(text) else ""
