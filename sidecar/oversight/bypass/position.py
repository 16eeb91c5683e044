"""How far the watch has read, as the state database keeps it: moved together with the entry of what was found, or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import orjson
from sqlalchemy import Engine, select, text
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from sidecar.errors import LedgerUnavailable
from sidecar.ledger.types import Effect
from sidecar.oversight.bypass.tail import Place
from sidecar.oversight.tables import BYPASS_POSITIONS
from sidecar.storage.engine import reading

MOVE: Final = "move_bypass_position"
"""Name of the effect; refused where another watch was first."""

_MOVE: Final = (
    "UPDATE bypass_positions SET version = version + 1, state = %(state)s"
    " WHERE source = %(source)s AND version = %(version)s AND {guard}"
)
_MOVE_ALONE: Final = text(
    "UPDATE bypass_positions SET version = version + 1, state = :state WHERE source = :source AND version = :version"
)


@dataclass(frozen=True, slots=True)
class Position:
    """How far one source was read.

    Attributes:
        source: database and format.
        version: counts changes.
        started: POSIX milliseconds of the first look.
        own: POSIX milliseconds of the last read of our own that was seen.
        silent: it was told already that the audit is silent.
        files: places by file.
    """

    source: str
    version: int
    started: int
    own: int = 0
    silent: bool = False
    files: Mapping[str, Place] = field(default_factory=dict)

    def at(self, key: str, place: Place) -> Position:
        """The same with a file read further."""
        return replace(self, files={**self.files, key: place})

    def moved(self) -> Position:
        """The same after a change was stored."""
        return replace(self, version=self.version + 1)

    def effect(self) -> Effect:
        """Stores this on top of its version, with an entry."""
        return Effect(MOVE, _MOVE, self._row(), required=True)

    def _row(self) -> dict[str, Any]:
        return {"source": self.source, "version": self.version, "state": self._state()}

    def _state(self) -> str:
        files = {key: [place.offset, place.head, place.digest, place.size] for key, place in self.files.items()}
        state = {"files": files, "own": self.own, "silent": self.silent, "started": self.started}
        return orjson.dumps(state, option=orjson.OPT_SORT_KEYS).decode()


class Positions:
    """The table of positions."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def load(self, source: str) -> Position | None:
        """The stored position; None before the first look.

        Raises:
            LedgerUnavailable: the state database does not answer.
        """
        query = select(BYPASS_POSITIONS).where(BYPASS_POSITIONS.c.source == source)
        try:
            with reading(self._engine).connect() as connection:
                row = connection.execute(query).one_or_none()
        except SQLAlchemyError as exc:
            raise LedgerUnavailable("the state database does not answer, or `sidecar db upgrade` has not run") from exc
        if row is None:
            return None
        state = orjson.loads(row.state)
        files = {key: Place(*place) for key, place in state["files"].items()}
        return Position(source, row.version, state["started"], state["own"], state["silent"], files)

    def begin(self, position: Position) -> bool:
        """Store a first position; False where another watch was first."""
        try:
            with self._engine.begin() as connection:
                connection.execute(BYPASS_POSITIONS.insert().values(position._row()))  # noqa: SLF001  # its own table
        except IntegrityError:
            return False
        except SQLAlchemyError as exc:
            raise LedgerUnavailable("the state database does not answer") from exc
        return True

    def store(self, position: Position) -> bool:
        """Store a position where nothing was found; False where another watch was first."""
        try:
            with self._engine.begin() as connection:
                done = connection.execute(_MOVE_ALONE, position._row())  # noqa: SLF001  # its own table
        except SQLAlchemyError as exc:
            raise LedgerUnavailable("the state database does not answer") from exc
        return done.rowcount == 1
