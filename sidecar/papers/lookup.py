"""Applications as an inquiry needs them: read by id, with what time has done to them since (Q5, Q6, R17)."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Engine, Row, select
from sqlalchemy.exc import SQLAlchemyError

from sidecar.codes import Code
from sidecar.errors import LedgerUnavailable
from sidecar.papers.tables import APPLICATIONS
from sidecar.papers.types import Absent, Application, ApplicationState, Invalid
from sidecar.storage.engine import reading

_READ = [column for column in APPLICATIONS.c if column.name not in {"content", "content_key_id"}]

LASTING: Final = frozenset({ApplicationState.DRAFT, ApplicationState.APPROVED})
"""States that end by themselves, after the row's ``valid_to``."""


class ApplicationReader:
    """Reads applications; their sealed content is not fetched. Thread-safe."""

    def __init__(self, engine: Engine) -> None:
        self._engine = reading(engine)

    def read(self, text: str, now: datetime) -> Absent | Application | Invalid:
        """The application of an id.

        Args:
            text: as stated; blank is absent.
            now: an approval whose ``valid_to`` is before it is over; that second itself is still inside.

        Raises:
            LedgerUnavailable: the state database does not answer.
        """
        if not text.strip():
            return Absent()
        identifier = _identifier(text)
        found = self._row(identifier) if identifier else None
        if found is None:
            return Invalid(Code.APPLICATION_UNKNOWN.value)
        return application_of(found, int(now.timestamp()))

    def _row(self, identifier: str) -> Row[Any] | None:
        try:
            with self._engine.connect() as connection:
                return connection.execute(select(*_READ).where(APPLICATIONS.c.id == identifier)).first()
        except SQLAlchemyError as exc:
            raise LedgerUnavailable("applications cannot be read from the state database") from exc


def application_of(row: Row[Any], now: int) -> Application:
    """A stored application at an instant, POSIX seconds; an approval or a draft that is over is expired."""
    state = ApplicationState(row.state)
    if state in LASTING and (row.valid_to is None or row.valid_to < now):
        state = ApplicationState.EXPIRED
    return Application(
        id=row.id,
        state=state,
        officer_issuer=row.officer_issuer,
        officer=row.officer,
        unit=row.unit,
        subject=row.subject,
        database=row.database,
        scope=row.scope,
        basis=row.basis,
        purpose=row.purpose,
        valid_to=row.valid_to,
        approver=row.approver,
        copies_approved=row.copies_approved,
        undertaking_by=row.undertaking_by,
        subject_key=row.subject_key,
    )


def _identifier(text: str) -> str:
    """The id as we write it, or "": what is no UUID names no application, and is not sent to the database."""
    try:
        return str(uuid.UUID(text.strip()))
    except ValueError:
        return ""
