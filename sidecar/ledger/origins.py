"""The origins of a ledger: one log a calendar year, and a new one after a rollback (C2SP tlog-checkpoint).

A year is Beijing's, like that of the pseudonym keys (R3). The first origin has the deployment's name, each later one a
label behind a slash: ``county``, ``county/2027``, and ``county/2027.2`` where the year's log had to be begun anew. All of them
have the same log key; a verifier key names its origin, so that there is one verifier key a year.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, select

from sidecar.errors import ConfigurationError
from sidecar.law.days import BEIJING
from sidecar.ledger.tables import ORIGINS

YEAR_OVER = "year"
"""Why an origin was closed: its year is over."""

ROLLED_BACK = "rolled-back"
"""Why an origin was closed: it contradicts what was signed, and is kept as evidence."""

_LABEL = re.compile(r"([0-9]{4})(?:\.([0-9]{1,3}))?")


@dataclass(frozen=True, slots=True)
class Origin:
    """One log of the ledger.

    Attributes:
        number: from 1, in the order of time.
        name: as its checkpoints have it.
        label: its year, and which of the year's it is where there are several: ``2027``, ``2027.2``.
        year: calendar year in Beijing.
        opened: POSIX milliseconds.
        first: how many entries earlier origins hold.
        first_event: number of the first alert that an entry of it can raise.
        closed: POSIX milliseconds; 0 while it is open, the fields below mean nothing then.
        reason: why it was closed.
        size, root: its last tree.
        seen_size, seen_root: of one that was rolled back, the largest tree that is known to have been signed.
        destroyed: POSIX milliseconds; 0 while its entries are there.
    """

    number: int
    name: str
    label: str
    year: int
    opened: int
    first: int
    first_event: int
    closed: int
    reason: str
    size: int
    root: bytes
    seen_size: int
    seen_root: bytes
    destroyed: int


def beijing_year(instant: datetime) -> int:
    """The calendar year of an aware instant in Beijing (R3)."""
    return instant.astimezone(BEIJING).year


def year_of(milliseconds: int) -> int:
    """The calendar year in Beijing of POSIX milliseconds."""
    return beijing_year(datetime.fromtimestamp(milliseconds / 1000, UTC))


def begins(year: int) -> datetime:
    """The first instant of a Beijing year, in UTC."""
    return datetime(year, 1, 1, tzinfo=BEIJING).astimezone(UTC)


def first_row(deployment: str, created: int) -> dict[str, object]:
    """The row of a ledger's first origin; ``created`` in POSIX milliseconds."""
    year = year_of(created)
    empty: dict[str, object] = dict.fromkeys(("first", "closed", "size", "seen_size", "destroyed"), 0)
    named = {"number": 1, "name": deployment, "label": str(year), "year": year, "opened": created, "first_event": 1}
    return {**empty, **named, "reason": "", "root": b"", "seen_root": b""}


def family(name: str) -> str:
    """The deployment that an origin belongs to."""
    return name.partition("/")[0]


def order(name: str) -> tuple[int, int] | None:
    """By what the origins of one family are ordered; None where the name is none of an origin."""
    _, slash, label = name.partition("/")
    if not slash:
        return 0, 0
    match = _LABEL.fullmatch(label)
    return (int(match[1]), int(match[2] or 1)) if match else None


def file_name(name: str) -> str:
    """An origin's name as the beginning of a file's; no deployment has an underscore in its name."""
    return name.replace("/", "_")


def all_of(connection: Connection) -> list[Origin]:
    """The ledger's origins, the present one last."""
    rows = connection.execute(select(*ORIGINS.c).order_by(ORIGINS.c.number)).all()
    return [Origin(**row._asdict()) for row in rows]


def by_label(connection: Connection, label: str) -> Origin | None:
    """The origin with this label; None where there is none."""
    return next((origin for origin in all_of(connection) if origin.label == label), None)


def named(connection: Connection, which: str) -> Origin:
    """The origin with this name or label.

    Raises:
        ConfigurationError: there is none.
    """
    known = all_of(connection)
    for origin in known:
        if which in {origin.name, origin.label}:
            return origin
    raise ConfigurationError(f"expected an origin, one of {', '.join(o.name for o in known)}; got {which!r}")


def holding(connection: Connection, position: int) -> Origin:
    """The origin of a position that counts over all of them."""
    return next(origin for origin in reversed(all_of(connection)) if origin.first <= position)


def next_label(known: list[Origin], year: int, beyond: str = "") -> str:
    """The label of the next origin of a year; it comes after that of ``beyond``, which the database may have lost."""
    count = max(sum(origin.year == year for origin in known), _count(beyond, year))
    return f"{year}.{count + 1}" if count else str(year)


def _count(name: str, year: int) -> int:
    """Which of a year's origins this name is; 0 where it is of another year."""
    of_year, count = order(name) or (0, 0)
    return count if of_year == year else 0
