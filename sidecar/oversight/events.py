"""Reads the feed of events by cursor, for ``GET /oversight/v1/events?after=``: at least once, in order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Engine, func, select
from sqlalchemy.exc import SQLAlchemyError

from sidecar.errors import LedgerUnavailable
from sidecar.oversight.tables import EVENTS
from sidecar.storage.engine import reading

MAX_PAGE = 1000
"""Most events a page."""


@dataclass(frozen=True, slots=True)
class EventPage:
    """Events after a cursor, oldest first.

    Attributes:
        events: CloudEvents as JSON objects.
        next: cursor for the following page: the last event's sequence, or the given cursor when there is none.
        last: sequence of the newest event there is; 0 if none.
    """

    events: tuple[dict[str, Any], ...]
    next: int
    last: int


def read(engine: Engine, after: int, limit: int) -> EventPage:
    """Events with a sequence above ``after``. Reading changes nothing: the same cursor gives the same events again.

    Raises:
        ValueError: ``after`` is negative or ``limit`` not between 1 and ``MAX_PAGE``; the caller checks its input.
        LedgerUnavailable: the database does not answer.
    """
    if after < 0 or not 1 <= limit <= MAX_PAGE:
        raise ValueError(f"expected after ≥ 0 and a limit from 1 to {MAX_PAGE}, got {after} and {limit}")
    query = select(EVENTS.c.seq, EVENTS.c.body).where(EVENTS.c.seq > after).order_by(EVENTS.c.seq).limit(limit)
    try:
        with reading(engine).connect() as connection:
            rows = connection.execute(query).all()
            last = connection.execute(select(func.max(EVENTS.c.seq))).scalar_one() or 0
    except SQLAlchemyError as exc:
        raise LedgerUnavailable("the state database does not answer") from exc
    events = tuple(orjson.loads(row.body) for row in rows)
    return EventPage(events, rows[-1].seq if rows else after, last)
