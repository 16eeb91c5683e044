"""The seal register in memory, with the proof in step 9's statement that it is still the present one.

An inquiry needs no round trip for it, and yet a decision to seal holds from the next inquiry on: the answer is recorded,
and hence given, only on the condition that the register has the version it was looked up in. Where it has another, nothing
is committed, and the inquiry is made again with what the database says then. It makes no difference to time or work whether
a person is in the register (P3).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from threading import Lock
from typing import Any, Final

import structlog
from sqlalchemy import Engine, Select, func, select

from sidecar.clock import Clock
from sidecar.errors import LedgerUnavailable
from sidecar.ledger.types import Effect
from sidecar.papers.register import Asked, SealRegister, effective
from sidecar.papers.tables import SEAL_REGISTER, SEAL_REGISTER_VERSION
from sidecar.records.types import RegisterMarks, Subject
from sidecar.storage.reader import Reader

log = structlog.get_logger(__name__)

REGISTER_UNCHANGED: Final = "register_unchanged"
"""Condition refused where the register was changed since it was read."""

AGAIN_SECONDS: Final = 60.0
"""A register that was too large, could not be read, or changed while it was read, is tried again after so long."""

_UNCHANGED: Final = (
    "SELECT 1 WHERE {guard} AND"
    " COALESCE((SELECT version FROM seal_register_version WHERE id = 1), '') = CAST(%(version)s AS TEXT)"
)

Decision = tuple[str, str, int]
"""Record key, effect, day."""


@dataclass(frozen=True, slots=True)
class Held:
    """Marks, and the conditions under which they are the present ones."""

    marks: RegisterMarks
    conditions: Sequence[Effect] = ()


@dataclass(slots=True)
class _Kept:
    """All decisions as of one version, by what they are asked by."""

    version: str
    about: dict[tuple[str, str, str], list[Decision]] = field(default_factory=lambda: defaultdict(list))
    under: dict[tuple[str, str], list[Decision]] = field(default_factory=lambda: defaultdict(list))
    searched: dict[str, RegisterMarks] = field(default_factory=dict)
    keys: frozenset[str] = frozenset()

    @property
    def condition(self) -> Effect:
        return Effect(REGISTER_UNCHANGED, _UNCHANGED, {"version": self.version}, required=True)


class KeptRegister:
    """``gateway.ports.Register`` over ``SealRegister``. Thread-safe.

    Args:
        register: asked where nothing is kept.
        engine: the state database.
        clock: for the pause before another try.
        most: most decisions kept in memory; a larger register is asked for each inquiry. 0 keeps none.
    """

    def __init__(self, register: SealRegister, engine: Engine, clock: Clock, most: int) -> None:
        self._register = register
        self._reader = Reader(engine)
        self._clock = clock
        self._most = most
        self._lock = Lock()
        self._kept: _Kept | None = None
        self._not_before = float("-inf") if most else float("inf")

    def marks(self, inquiry: Asked, refused: Sequence[Effect] = ()) -> Held:
        """Marks that concern an inquiry; see ``SealRegister.marks``.

        Args:
            inquiry: as read.
            refused: conditions of an earlier look that did not hold: then the database is asked.

        Raises:
            LedgerUnavailable: the state database does not answer: nothing may be released.
            KeyMissing: a year's key cannot be read any more.
        """
        kept = self._kept
        if refused and kept is not None and kept.condition.params == refused[0].params:
            self._kept = None  # another thread may have read the new one meanwhile: that stays
        kept = None if refused else kept or self._load()
        if kept is None:
            return Held(self._register.marks(inquiry))
        return Held(self._found(kept, inquiry), (kept.condition,))

    def _found(self, kept: _Kept, inquiry: Asked) -> RegisterMarks:
        database = inquiry.database
        if not isinstance(inquiry.target, Subject):
            return kept.searched.get(database, RegisterMarks())
        names = self._register.names(inquiry.target)
        decisions = [d for named in names.items() for d in kept.about.get((database, *named), ())]
        for lost in kept.keys - names.keys():  # they may be about this person
            decisions += kept.under.get((database, lost), ())
        return effective(decisions) if decisions else _NONE

    def _load(self) -> _Kept | None:
        """Read the register; None while another thread does, and where it is too large or changes meanwhile."""
        if self._clock.monotonic() < self._not_before or not self._lock.acquire(blocking=False):
            return None
        kept = None
        try:
            kept = self._kept = self._read()
        except LedgerUnavailable:
            log.warning("register-not-kept", code=LedgerUnavailable.code)
        finally:
            if kept is None:
                self._not_before = self._clock.monotonic() + AGAIN_SECONDS
            self._lock.release()
        return kept

    def _read(self) -> _Kept | None:
        version = self._version()
        [(decisions,)] = self._reader.rows(_number(), {})
        if decisions > self._most:
            return None
        rows = self._reader.rows(_everything(), {})
        return _kept(version, rows) if self._version() == version else None

    def _version(self) -> str:
        found = self._reader.rows(_present(), {})
        return str(found[0][0]) if found else ""


_NONE: Final = RegisterMarks()


def _kept(version: str, rows: Sequence[tuple[Any, ...]]) -> _Kept:
    kept = _Kept(version)
    everywhere: dict[str, list[Decision]] = defaultdict(list)
    for database, key_id, subject, *decision in rows:
        one: Decision = tuple(decision)
        kept.about[database, key_id, subject].append(one)
        kept.under[database, key_id].append(one)
        everywhere[database].append(one)
    kept.searched = {database: effective(decisions) for database, decisions in everywhere.items()}
    kept.keys = frozenset(key_id for _, key_id in kept.under)
    return kept


@cache
def _present() -> Select[Any]:
    return select(SEAL_REGISTER_VERSION.c.version)


@cache
def _number() -> Select[Any]:
    return select(func.count()).select_from(SEAL_REGISTER)


@cache
def _everything() -> Select[Any]:
    c = SEAL_REGISTER.c
    return select(c.database, c.subject_key, c.subject, c.record_key, c.effect, c.date)
