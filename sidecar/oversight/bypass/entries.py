"""The ledger's side: which entries there are for the ids that an audit tells of."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, Final

from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import SQLAlchemyError

from sidecar.codes import EntryKind, Outcome
from sidecar.errors import LedgerUnavailable
from sidecar.ledger.build import milliseconds
from sidecar.ledger.entry import decode
from sidecar.ledger.tables import ENTRIES, POSITIONS, STATE, WRITERS
from sidecar.storage.engine import reading

READ_AS: Final = "read"
"""Member of ``extra`` that names another id under which the records of an entry were read first."""

PORTION: Final = 500
"""Ids asked for at once."""

MAX_SCANNED: Final = 100_000
"""Entries looked through for an id that has none of its own; beyond, it counts as without entry."""

NEWEST: Final = 200
"""Entries looked at for whether there were inquiries at all."""

_BODIES = select(POSITIONS.c.entry_id, ENTRIES.c.body).join(
    ENTRIES, (ENTRIES.c.writer == POSITIONS.c.writer) & (ENTRIES.c.writer_seq == POSITIONS.c.writer_seq)
)
_WAITING = (
    select(ENTRIES.c.body)
    .join(WRITERS, (WRITERS.c.id == ENTRIES.c.writer) & (ENTRIES.c.writer_seq > WRITERS.c.integrated_seq))
    .limit(MAX_SCANNED)
)


@dataclass(frozen=True, slots=True)
class Known:
    """An entry that accounts for reads: when it was begun, of which database, and of what kind."""

    time: datetime
    database: str
    kind: str


class Entries:
    """Looks entries up by id. Whoever asks MUST have waited until an entry would be there."""

    def __init__(self, engine: Engine, twin: timedelta) -> None:
        self._engine = engine
        self._twin = twin  # how much older than a read the inquiry may be that it was counted to

    def beat(self) -> datetime:
        """When the sequencer was last at work: what it has not seen yet is not judged.

        Raises:
            LedgerUnavailable: the state database does not answer.
        """
        with self._reading() as connection:
            return datetime.fromtimestamp((connection.scalar(select(STATE.c.beat)) or 0) / 1000, UTC)

    def find(self, ids: Collection[str], first: datetime, last: datetime) -> Mapping[str, list[Known]]:
        """Entries by id.

        Args:
            ids: what was read under.
            first: when the first of them was read.
            last: when the last was.

        Raises:
            LedgerUnavailable: the state database does not answer.
        """
        found: defaultdict[str, list[Known]] = defaultdict(list)
        if not ids:
            return found
        with self._reading() as connection:
            for portion in _portions(sorted(ids)):
                for row in connection.execute(_BODIES.where(POSITIONS.c.entry_id.in_(portion))):
                    found[row.entry_id].append(_known(decode(bytes(row.body))))
            if missing := set(ids) - set(found):
                self._further(connection, missing, (first - self._twin, last + self._twin), found)
        return found

    def _further(
        self,
        connection: Connection,
        missing: Collection[str],
        between: tuple[datetime, datetime],
        found: defaultdict[str, list[Known]],
    ) -> None:
        """Entries that have no position yet, and those that name an id as their first."""
        for body in connection.execute(_WAITING).scalars():
            _note(decode(bytes(body)), missing, found)
        low, high = (_prefix(instant) for instant in between)
        near = _BODIES.where(POSITIONS.c.entry_id.between(low, high)).limit(MAX_SCANNED)
        for row in connection.execution_options(yield_per=PORTION).execute(near):
            body = bytes(row.body)
            if READ_AS.encode() in body:
                _note(decode(body), missing, found)

    def newest(self, database: str, after: datetime, before: datetime) -> int:
        """How many inquiries of a database that were allowed are among the newest entries between two times.

        Raises:
            LedgerUnavailable: the state database does not answer.
        """
        low, high = _prefix(after), _prefix(before)
        query = _BODIES.where(POSITIONS.c.entry_id.between(low, high)).order_by(POSITIONS.c.entry_id.desc())
        with self._reading() as connection:
            rows = connection.execute(query.limit(NEWEST)).all()
        fields = (decode(bytes(row.body)) for row in rows)
        return len({each["id"] for each in fields if _allowed(each, database)})

    @contextlib.contextmanager
    def _reading(self) -> Iterator[Connection]:
        """A connection whose errors are ours."""
        try:
            with reading(self._engine).connect() as connection:
                yield connection
        except SQLAlchemyError as exc:
            raise LedgerUnavailable("the state database does not answer") from exc


def _known(fields: Mapping[str, Any]) -> Known:
    return Known(datetime.fromisoformat(str(fields["time"])), str(fields["database"]), str(fields["kind"]))


def _note(fields: Mapping[str, Any], missing: Collection[str], found: defaultdict[str, list[Known]]) -> None:
    for identifier in (fields.get("id"), (fields.get("extra") or {}).get(READ_AS)):
        if identifier in missing:
            found[str(identifier)].append(_known(fields))


def _allowed(fields: Mapping[str, Any], database: str) -> bool:
    return (fields["kind"], fields["database"], fields["outcome"]) == (EntryKind.INQUIRY, database, Outcome.ALLOW)


def _prefix(instant: datetime) -> str:
    """What the ids made at an instant begin with (RFC 9562 §5.7)."""
    text = f"{max(0, milliseconds(instant)):012x}"
    return f"{text[:8]}-{text[8:12]}"


def _portions(ids: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(ids)
    while portion := list(islice(rest, PORTION)):
        yield portion
