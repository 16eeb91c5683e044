"""The ledger's seam: entries, effects and the commit contract (P2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

from sidecar.errors import SidecarError

T = TypeVar("T")

WRITER_REST_SECONDS: Final = 12 * 3600.0
"""A writer that committed nothing for longer is not used again: the sequencer looks seldom at those silent for a day."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry, version 1, before canonical encoding. Absent values are empty strings, never missing keys.

    Attributes:
        id: UUIDv7, the inquiry's id for inquiries.
        time: UTC with milliseconds, ``2026-11-23T08:00:00.000Z``.
        kind: a value of ``codes.EntryKind``.
        channel: a value of ``codes.Channel``.
        officer, unit: numbers in clear (the log is about them); officer is ``issuer|subject``.
        subject: pseudonym; ``filter``: keyed hash of a search. One of them at most.
        pseudonym_key: id of the year's pseudonym key.
        database, scope, basis, purpose: codes.
        letter, application: hashes (keyed) of the papers' numbers.
        outcome: allow | hold | refuse | review | error.
        codes: sorted reason codes.
        revision: label of the deciding revision.
        page: page number of the inquiry, from 1.
        answer: base64url commitment of the released bytes (HMAC-SHA-256 under the receipt's nonce).
        salt: base64url of 128 random bits.
        extra: few further clear codes of other kinds of entry (sorted by key, strings only).
    """

    id: str
    time: str
    kind: str
    channel: str
    salt: str
    officer: str = ""
    unit: str = ""
    subject: str = ""
    filter: str = ""
    pseudonym_key: str = ""
    database: str = ""
    scope: str = ""
    basis: str = ""
    purpose: str = ""
    letter: str = ""
    application: str = ""
    outcome: str = ""
    codes: tuple[str, ...] = ()
    revision: str = ""
    page: int = 0
    answer: str = ""
    extra: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Leaf:
    """Canonical padded bytes of an entry and its RFC 6962 leaf hash."""

    data: bytes
    hash: bytes


@dataclass(frozen=True, slots=True)
class Effect:
    """One change that happens with the entry or not at all.

    ``sql`` is one INSERT or UPDATE in the SQL that SQLite ≥ 3.35 and PostgreSQL share, with ``%(name)s`` placeholders
    and ``{guard}`` exactly once: a boolean SQL expression in its WHERE clause (an INSERT is written as
    ``INSERT … SELECT … WHERE {guard}``). ``params`` are its values. No trailing RETURNING: the ledger adds it.
    A *condition* is an effect that changes nothing: ``SELECT 1 WHERE {guard} AND …``, always required.
    A ``required`` effect must touch exactly one row, else nothing at all is committed and ``EffectRefused(name)`` is
    raised; its own guard is always true. The others are guarded by all required effects having succeeded.
    Effect names are unique within a commit, ``[a-z_]+``; texts are constants (prepared and cached by text).
    """

    name: str
    sql: str
    params: Mapping[str, Any]
    required: bool = False


class EffectRefused(SidecarError):
    """A required effect's condition no longer holds (e.g. the letter was used meanwhile). Nothing was committed."""

    code = "letter-used"
    status = 403

    def __init__(self, name: str) -> None:
        super().__init__(f"the condition of {name} no longer holds")
        self.name = name


@dataclass(frozen=True, slots=True)
class Committed:
    """A durable entry: leaf hash, its writer and the writer's sequence number (from 1)."""

    leaf_hash: bytes
    writer: str
    seq: int


class Ledger(Protocol):
    """Makes entries durable. Thread-safe; each commit is atomic with its effects.

    When ``commit`` returns, entry and effects survive kill -9 and power loss (fsync or a synchronous commit). When it
    raises ``EffectRefused`` nothing was written. When it raises ``LedgerUnavailable`` the entry may or may not exist;
    the caller MUST release nothing.
    """

    def commit(
        self,
        entry: Entry,
        effects: Sequence[Effect] = (),
        meanwhile: Callable[[Leaf], T] | None = None,
    ) -> tuple[Committed, T | None]:
        """Commit; ``meanwhile`` (e.g. signing the receipt) runs once while the database flushes."""

    def ready(self) -> bool:
        """Whether a commit would be expected to succeed now (for /readyz)."""

    def close(self) -> None:
        """Release connections; commits under way finish first."""
