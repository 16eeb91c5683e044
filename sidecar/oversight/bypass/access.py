"""Lines of an HTTP service's access log, in the words of nginx's ``log_format`` (combined and the inquiry's header).

Variables that may hold what a client sent must stand in quotes, where nginx and Apache write a quote of the client's as
an escape: then a client cannot close a field and open another. What does not fit the format as a whole is unreadable.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Final

from sidecar.errors import ConfigurationError
from sidecar.oversight.bypass.lines import MAX_RECORD, Line, Nothing, Statement, Unreadable, is_id, shape, split_lines

_VARIABLE: Final = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_REQUEST: Final = re.compile(r"([A-Za-z]{1,20}) (\S+)(?: HTTP/[0-9.]{1,4})?")
_MONTHS: Final = {name: f"{i:02d}" for i, name in enumerate(
    ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), 1)}  # fmt: skip
_LOCAL: Final = re.compile(r"(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d:\d\d:\d\d) ([+-]\d\d)(\d\d)")
_HEADER: Final = re.compile(r"[a-z0-9]+(?:[-_][a-z0-9]+)*")
_TIMES: Final = frozenset({"time_local", "time_iso8601"})


def inquiry_variable(header: str) -> str:
    """How nginx calls the header that an inquiry's id goes along in."""
    return "http_" + header.lower().replace("-", "_")


class AccessLog:
    """See ``Format``.

    Args:
        log_format: the format, as nginx has it; one line.
        header: the header of the inquiry's id.
        unwatched: exact paths that hold no records.

    Raises:
        ConfigurationError: time, request or the header's variable are not in the format, or two variables touch.
    """

    def __init__(self, log_format: str, header: str, unwatched: frozenset[str]) -> None:
        self._id = inquiry_variable(header)
        self._unwatched = unwatched
        self._literals, self._names = _template(log_format)
        missing = [name for name in ("request", self._id) if name not in self._names]
        if missing or not _TIMES & set(self._names):
            raise ConfigurationError(
                f"log_format: expected $time_local or $time_iso8601, $request and ${self._id}; "
                f"missing: {', '.join(missing) or 'the time'}"
            )

    def split(self, data: bytes, *, final: bool) -> Iterator[bytes]:
        """See ``Format``."""
        return split_lines(data, final=final)

    def join(self, lines: list[Line]) -> list[Line]:
        """See ``Format``: a request is one line."""
        return lines

    def parse(self, record: bytes) -> Line:
        """See ``Format``."""
        if len(record) > MAX_RECORD:
            return Unreadable()
        found = self._fields(record.decode("utf-8", "replace").rstrip("\r\n"))
        if found is None:
            return Unreadable()
        time = _time(found)
        if time is None:
            return Unreadable()
        if not found["request"] or found["request"] == "-":
            return Nothing(time)  # a connection without a request
        match = _REQUEST.fullmatch(found["request"])
        method, target = (match[1].upper(), match[2]) if match else ("", found["request"])
        path = target.partition("?")[0]
        if path in self._unwatched:
            return Nothing(time)
        sent = found[self._id]
        return Statement(
            time=time,
            user=_said(found, "remote_user"),
            client=_said(found, "remote_addr"),
            action=method,
            object="",
            ids=(sent,) if is_id(sent) else (),
            shape=f"{method} {_path_shape(path)}",
            key="",
        )

    def _fields(self, text: str) -> dict[str, str] | None:
        """The variables' values: each goes on to where the literal behind it first stands; the last one to the end."""
        if not text.startswith(self._literals[0]):
            return None
        found, place = {}, len(self._literals[0])
        for name, literal in zip(self._names, self._literals[1:], strict=True):
            last = literal == "" or name == self._names[-1]
            end = (len(text) - len(literal) if text.endswith(literal) else -1) if last else text.find(literal, place)
            if end < place:
                return None
            found[name], place = text[place:end], end + len(literal)
            if literal.startswith('"') and '"' in found[name]:
                return None
        return found


def _template(log_format: str) -> tuple[list[str], list[str]]:
    """Literals and the variables between them."""
    literals, names, place = [], [], 0
    for match in _VARIABLE.finditer(log_format):
        literals.append(log_format[place : match.start()])
        names.append(match[1] or match[2])
        place = match.end()
    literals.append(log_format[place:])
    if "" in literals[1:-1] or len(set(names)) != len(names):
        raise ConfigurationError("log_format: expected different variables with something between any two of them")
    return literals, names


def _said(found: Mapping[str, str], name: str) -> str:
    text = found.get(name, "")
    return "" if text == "-" else text


def _time(found: Mapping[str, str]) -> datetime | None:
    try:
        if "time_iso8601" in found:
            time = datetime.fromisoformat(found["time_iso8601"])
            return time.astimezone(UTC) if time.tzinfo else None
        match = _LOCAL.fullmatch(found["time_local"])
        if match is None or match[2] not in _MONTHS:
            return None
        written = f"{match[3]}-{_MONTHS[match[2]]}-{match[1]}T{match[4]}{match[5]}:{match[6]}"
        return datetime.fromisoformat(written).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _path_shape(path: str) -> str:
    """A path whose segments with a digit or an escape are one: numbers and names of persons stand there."""
    parts = path.split("/")
    return "/".join(
        "?" if any(c.isdigit() or c == "%" or not c.isascii() for c in part) else shape(part) for part in parts
    )
