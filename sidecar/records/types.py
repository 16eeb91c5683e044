"""What is asked of a legacy database and what may leave it (P3, P6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from sidecar.codes import FieldClass
from sidecar.policy.types import Attributes, Views
from sidecar.records.expr import key_text, leaf


@dataclass(frozen=True, slots=True)
class Subject:
    """One person: a normalised 18-digit citizen number, or a name with a birth date (YYYY-MM-DD)."""

    person_id: str | None = None
    name: str | None = None
    birth_date: str | None = None


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of a search on a declared field; operator: eq ne lt le gt ge in prefix."""

    field: str
    operator: str
    value: str | int | tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Search:
    """A search over declared fields; all conditions hold."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class SortKey:
    """Order by a declared field."""

    field: str
    descending: bool = False


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which page: at most ``size`` records after ``after`` (the last record's sort values and key, from the cursor)."""

    size: int
    sort: tuple[SortKey, ...] = ()
    after: tuple[Any, ...] | None = None


@dataclass(frozen=True, slots=True)
class RegisterMarks:
    """Seal register entries that concern this fetch: record keys (canonical text form) sealed and unsealed."""

    sealed: frozenset[str] = frozenset()
    unsealed: frozenset[str] = frozenset()


class Row(NamedTuple):
    """One fetched record, before redaction; there are many, hence a tuple.

    Attributes:
        attributes: what the policy classifies.
        fields: released field names → canonical values (decoded text, ISO dates, integers).
        joint: whether the record has a cover mark or belongs to a joint case (R16b).
        key_columns: the key's columns as the database has them.
        cover_mark: whether it has the cover mark 含犯罪记录封存信息 (S10).
    """

    attributes: Attributes
    fields: Mapping[str, Any]
    joint: bool
    key_columns: tuple[str | None, ...]
    cover_mark: bool = False

    @property
    def key(self) -> str:
        """The canonical text form of the record's key."""
        return key_text([leaf(column) for column in self.key_columns])


@dataclass(frozen=True, slots=True)
class Fetched:
    """What the compiled filter let through.

    Attributes:
        rows: one page of rows, in order; a row with a value that cannot be read is not among them.
        total: of all pages, without unreadable rows of this page.
        more: whether more rows follow.
        classes: released field → class, in the catalog's order.
        unreadable: rows of this page that could not be read, for the operator's report only.
        end: position of the last row of this page, readable or not; None where the page is empty.
        covering: released fields that tell of a cover mark or a joint case.
    """

    rows: tuple[Row, ...]
    total: int
    more: bool
    classes: Mapping[str, FieldClass]
    unreadable: int = 0
    end: tuple[Any, ...] | None = None
    covering: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Release:
    """What the inquirer gets: records in order (JSON-able), the total of all released, position of the next page."""

    records: tuple[Mapping[str, Any], ...]
    count: int
    next: tuple[Any, ...] | None


@dataclass(frozen=True, slots=True)
class Withheld:
    """What stayed back, by ground; for the operator's report only, never in one object with a ``Release`` (P3)."""

    tally: Mapping[str, int]


class Connector(Protocol):
    """Reads one legacy database by one catalog and one revision. Read-only, thread-safe.

    Raises ``DatabaseUnavailable``, ``DatabaseTimeout``, ``DatabaseClosed``; never for a fault of one row: a row that
    cannot be mapped has undecidable attributes and is withheld (P3).
    """

    database: str

    def fetch(
        self,
        target: Subject | Search,
        views: Views,
        page: PageRequest,
        marks: RegisterMarks,
        inquiry_id: str,
    ) -> Fetched:
        """Read one page of what ``views`` lets be seen, in one statement; the inquiry's id goes along bound."""

    def canary(self) -> None:
        """Run the production filter over literal rows in the live database; raises ``DatabaseClosed`` on a difference."""

    def close(self) -> None:
        """Release the pool."""
