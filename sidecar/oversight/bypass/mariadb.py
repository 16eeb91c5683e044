"""Lines of MariaDB's ``server_audit`` plugin (MariaDB 10.6 to 11): one a table that a statement opens, one a statement.

The table's line comes first and says what was read, through views and prepared statements too; the statement's line
with the same connection and query number has its text, and in it an inquiry's id. Hence ``server_audit_events`` needs
QUERY and TABLE, and ``server_audit_query_log_limit`` must be longer than any statement of ours.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from typing import Final

from sidecar.oversight.bypass.lines import (
    MAX_RECORD,
    Line,
    Nothing,
    Statement,
    Unreadable,
    Watched,
    ids,
    shape,
    split_lines,
)

_LINE: Final = re.compile(
    r"(\d{8} \d\d:\d\d:\d\d),([^,]*),([^,]*),([^,]*),(\d{1,20}),(\d{1,20}),([A-Z_]{1,40}),(.*)", re.DOTALL
)
_TABLE: Final = re.compile(r"([^,]*),([^,]*),")
_QUERY: Final = re.compile(r"([^,]*),'(.*)',\d{1,10}", re.DOTALL)
_CONNECT: Final = re.compile(r"[^,]*,[^,]*,\d{1,10}")
_TABLE_EVENTS: Final = frozenset({"READ", "WRITE", "CREATE", "ALTER", "RENAME", "DROP"})
_CONNECT_EVENTS: Final = frozenset({"CONNECT", "DISCONNECT", "FAILED_CONNECT", "CHANGEUSER"})
_QUERY_EVENTS: Final = frozenset({"QUERY", "QUERY_DCL", "QUERY_DDL", "QUERY_DML", "QUERY_DML_NO_SELECT"})
_TAMPERS: Final = re.compile(r"\bserver_audit|\buninstall\s+(?:plugin|soname)\b", re.IGNORECASE)
_MENTIONS: Final = "QUERY"


class MariaDb:
    """See ``Format``."""

    def __init__(self, watched: Watched, zone: tzinfo) -> None:
        self._watched = watched
        self._zone = zone

    def split(self, data: bytes, *, final: bool) -> Iterator[bytes]:
        """See ``Format``; the plugin writes an end of line inside a statement as two characters."""
        return split_lines(data, final=final)

    def parse(self, record: bytes) -> Line:
        """See ``Format``."""
        if len(record) > MAX_RECORD:
            return Unreadable()
        match = _LINE.fullmatch(record.decode("utf-8", "replace").rstrip("\r\n"))
        if match is None:
            return Unreadable()
        try:
            time = datetime.strptime(match[1], "%Y%m%d %H:%M:%S").replace(tzinfo=self._zone).astimezone(UTC)
        except (ValueError, OverflowError):
            return Unreadable()
        return self._event(time, match)

    def _event(self, time: datetime, match: re.Match[str]) -> Line:
        event, rest = match[7], match[8]
        if event in _TABLE_EVENTS and (table := _TABLE.fullmatch(rest)):
            found = self._watched.table(table[2]) if self._ours(table[1]) else ""
            if event == "RENAME":  # old|db.new
                found = self._watched.table(table[2].partition("|")[0]) if self._ours(table[1]) else ""
            return self._statement(time, match, event, found, "") if found else Nothing(time)
        if event in _QUERY_EVENTS and (query := _QUERY.fullmatch(rest)):
            return self._statement(time, match, _MENTIONS, "", query[2])
        if event in _CONNECT_EVENTS and _CONNECT.fullmatch(rest):
            return Nothing(time)
        return Unreadable()

    def _ours(self, dbname: str) -> bool:
        return not self._watched.dbname or dbname == self._watched.dbname

    def _statement(self, time: datetime, match: re.Match[str], action: str, table: str, text: str) -> Statement:
        return Statement(
            time=time,
            user=match[3],
            client=match[4],
            action=action,
            object=table,
            ids=ids(text),
            shape=shape(text.replace("\\'", "'").replace('\\"', '"').replace("\\n", " ")),
            key=f"{match[5]}/{match[6]}",
            tampers=_TAMPERS.search(text) is not None,
        )

    def join(self, lines: list[Line]) -> list[Line]:
        """See ``Format``: a table's line gets id and shape of its statement's; that one is left only if it tampers."""
        texts = {line.key: line for line in lines if isinstance(line, Statement) and line.action == _MENTIONS}
        joined: list[Line] = []
        for line in lines:
            found = line
            if isinstance(line, Statement):
                if line.action == _MENTIONS:
                    found = line if line.tampers else Nothing(line.time)
                elif line.key in texts:
                    found = replace(line, ids=texts[line.key].ids, shape=texts[line.key].shape)
                else:
                    found = replace(line, whole=False)
            joined.append(found)
        return joined
