"""Lines of pgaudit in PostgreSQL's jsonlog and csvlog (pgAudit 1.4 to 17, PostgreSQL 12 to 17).

An audited statement is an ordinary log record whose message is ``AUDIT: `` and a line of CSV: kind, statement and
substatement number, class, command, kind and name of object, statement, parameters. An inquiry's id is a bound
parameter, hence ``pgaudit.log_parameter = on``; one in the statement's text does not count.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Final

import orjson

from sidecar.oversight.bypass.lines import (
    MAX_IDS,
    MAX_RECORD,
    Line,
    Nothing,
    Statement,
    Unreadable,
    Watched,
    is_id,
    shape,
    split_lines,
)

PREFIX: Final = "AUDIT: "
FIELDS: Final = 9
"""Of a pgaudit line; ``pgaudit.log_rows`` adds one."""

_REPEATED: Final = "<previously logged>"
_FIELD: Final = re.compile(r'(?:"((?:[^"]|"")*)"|([^",]*))(,|$)', re.DOTALL)
_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,6})?) ([A-Za-z]{1,8}|[+-]\d\d(?::?\d\d)?)")
_OFFSET: Final = re.compile(r"([+-])(\d\d):?(\d\d)?")
_TAMPERS: Final = re.compile(r"\bpgaudit\b", re.IGNORECASE)
_CSV_USER, _CSV_DATABASE, _CSV_CLIENT, _CSV_SESSION, _CSV_MESSAGE = 1, 2, 4, 5, 13


def fields(text: str) -> list[str] | None:
    """The fields of one CSV record; None where it is none."""
    found, place = [], 0
    while True:
        match = _FIELD.match(text, place)
        if match is None:
            return None
        found.append(match[1].replace('""', '"') if match[1] is not None else match[2])
        if not match[3]:
            return found
        place = match.end()


def instant(text: str, zone: tzinfo) -> datetime | None:
    """A log record's time. UTC, GMT and offsets say what they are; any other abbreviation is the zone of the settings."""
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    try:
        local = datetime.fromisoformat(match[1])
        return local.replace(tzinfo=_zone(match[2], zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _zone(written: str, zone: tzinfo) -> tzinfo:
    if written in {"UTC", "GMT"}:
        return UTC
    match = _OFFSET.fullmatch(written)
    if match is None:
        return zone
    offset = timedelta(hours=int(match[2]), minutes=int(match[3] or 0))
    return timezone(-offset if match[1] == "-" else offset)


class _PgAudit:
    """What both log formats share."""

    def __init__(self, watched: Watched, zone: tzinfo) -> None:
        self._watched = watched
        self._zone = zone

    def join(self, lines: list[Line]) -> list[Line]:
        """See ``Format``. A line that repeats a statement has the parameters of its first one, if that is here."""
        known: dict[str, Statement] = {}
        joined: list[Line] = []
        for line in lines:
            found = line
            if isinstance(line, Statement):
                first = known.setdefault(line.key, line)
                if line.shape == _REPEATED:
                    found = _like(line, first)
            joined.append(found)
        return [line if not isinstance(line, Statement) or line.object or line.tampers else Nothing(line.time)
                for line in joined]  # fmt: skip

    def line(self, *record: object) -> Line:
        """The line of one log record: time, account, database, client, session, message."""
        texts = [text for text in record if isinstance(text, str)]
        if len(texts) != len(record):
            return Unreadable()
        written, user, dbname, client, session, message = texts
        time = instant(written, self._zone)
        if time is None:
            return Unreadable()
        if not message.startswith(PREFIX):
            return Nothing(time)
        if self._watched.dbname and dbname != self._watched.dbname:
            return Nothing(time)
        audited = fields(message[len(PREFIX) :])
        if audited is None or len(audited) < FIELDS:
            return Unreadable()
        return self._statement(time, user, client, session, audited)

    def _statement(self, time: datetime, user: str, client: str, session: str, audited: list[str]) -> Statement:
        _, number, _, kind, _, _, qualified, text, parameters = audited[:FIELDS]
        bound = fields(parameters) or []
        watched = self._watched.table(qualified) if qualified else self._watched.mentioned(text)
        return Statement(
            time=time,
            user=user,
            client=client.rpartition(":")[0] or client,
            action=kind,
            object=watched,
            ids=tuple([value for value in bound if is_id(value)][:MAX_IDS]),
            shape=_REPEATED if text == _REPEATED else shape(text),
            key=f"{session}/{number}",
            tampers=_TAMPERS.search(text) is not None,
        )


def _like(line: Statement, first: Statement) -> Statement:
    return Statement(
        line.time, line.user, line.client, line.action, line.object, first.ids, first.shape, line.key, line.tampers
    )


class PgAuditJson(_PgAudit):
    """``log_destination = 'jsonlog'``: an object a line."""

    def split(self, data: bytes, *, final: bool) -> Iterator[bytes]:
        """See ``Format``."""
        return split_lines(data, final=final)

    def parse(self, record: bytes) -> Line:
        """See ``Format``."""
        if len(record) > MAX_RECORD:
            return Unreadable()
        try:
            found = orjson.loads(record.decode("utf-8", "replace"))
        except orjson.JSONDecodeError:
            return Unreadable()
        if not isinstance(found, dict):
            return Unreadable()
        read = found.get
        return self.line(
            read("timestamp"),
            read("user", ""),
            read("dbname", ""),
            read("remote_host", ""),
            read("session_id", ""),
            read("message", ""),
        )


class PgAuditCsv(_PgAudit):
    """``log_destination = 'csvlog'``: records whose quoted fields may hold ends of line."""

    def split(self, data: bytes, *, final: bool) -> Iterator[bytes]:
        """See ``Format``. A record ends where its quotes are even."""
        start = place = quotes = 0
        while (end := data.find(b"\n", place)) >= 0:
            quotes += data.count(b'"', place, end)
            place = end + 1
            if quotes % 2 == 0:
                yield data[start:place]
                start, quotes = place, 0
        if final and start < len(data):
            yield data[start:]

    def parse(self, record: bytes) -> Line:
        """See ``Format``."""
        if len(record) > MAX_RECORD:
            return Unreadable()
        found = fields(record.decode("utf-8", "replace").rstrip("\r\n"))
        if found is None or len(found) <= _CSV_MESSAGE:
            return Unreadable()
        return self.line(
            found[0],
            found[_CSV_USER],
            found[_CSV_DATABASE],
            found[_CSV_CLIENT],
            found[_CSV_SESSION],
            found[_CSV_MESSAGE],
        )
