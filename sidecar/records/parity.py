"""Parity: the filter in the database against the classification of single records, over live rows (P4).

The tests run it on synthetic databases; an operator runs it on a sample of the real one. The result counts; it names no
record.
"""

from __future__ import annotations

from dataclasses import dataclass

from sidecar.codes import View
from sidecar.policy.types import RecordKind, Views
from sidecar.records.connectors.sql import SqlConnector
from sidecar.records.types import PageRequest, RegisterMarks, Row, Search

PAGE = 500
"""Rows read at a time."""

_SHOWN = {str(kind): View.LIMITED for kind in RecordKind}
_OPEN = Views(open=_SHOWN, sealed={}, fields={}, joint_dropped=frozenset(), cover_mark=False)
_SEALED = Views(open={}, sealed=_SHOWN, fields={}, joint_dropped=frozenset(), cover_mark=False)


@dataclass(frozen=True, slots=True)
class Parity:
    """What was compared.

    Attributes:
        open: rows that the filter calls open.
        sealed: rows that it calls sealed.
        different: rows of either that the classification calls otherwise.
        both: rows that the filter let through as open and as sealed.
    """

    open: int
    sealed: int
    different: int
    both: int

    @property
    def holds(self) -> bool:
        """Whether filter and classification agree on every row."""
        return self.different == 0 and self.both == 0


def compare(connector: SqlConnector, limit: int, marks: RegisterMarks, inquiry_id: str) -> Parity:
    """Compare the first ``limit`` open and the first ``limit`` sealed rows, in the order of their keys.

    Raises:
        DatabaseUnavailable, DatabaseTimeout, DatabaseClosed: the database could not be read.
    """
    open_rows = _read(connector, _OPEN, limit, marks, inquiry_id)
    sealed_rows = _read(connector, _SEALED, limit, marks, inquiry_id)
    different = 0
    for rows, is_open in ((open_rows, True), (sealed_rows, False)):
        words = connector.classify([row.attributes for row in rows])
        different += sum(word.is_open is not is_open for word in words)
    both = {row.key for row in open_rows} & {row.key for row in sealed_rows}
    return Parity(len(open_rows), len(sealed_rows), different, len(both))


def _read(connector: SqlConnector, views: Views, limit: int, marks: RegisterMarks, inquiry_id: str) -> list[Row]:
    rows: list[Row] = []
    after = None
    while len(rows) < limit:
        page = PageRequest(min(PAGE, limit - len(rows)), (), after)
        fetched = connector.fetch(Search(()), views, page, marks, inquiry_id)
        rows += fetched.rows
        after = fetched.end
        if not fetched.more:
            break
    return rows
