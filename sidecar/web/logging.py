"""Logs: structured, and without personal data because only names on a list pass (P3, P6)."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import MutableMapping
from datetime import UTC
from typing import Any, Final, TextIO, cast

import structlog

from sidecar.clock import Clock, SystemClock
from sidecar.settings import Logging

ALLOWED: Final = frozenset(
    {
        "code",
        "database",
        "engine",
        "event",
        "level",
        "logger",
        "method",
        "outcome",
        "pid",
        "port",
        "reason",
        "revision",
        "role",
        "route",
        "seconds",
        "status",
        "timestamp",
        "version",
        "worker",
    }
)
"""Names that may stand in a log line. None of them is a person, a paper, a record or a count of records."""


def only_allowed(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Drop every name that is not on the list; texts of exceptions are dropped with them, their kind is kept."""
    exc_info = event.pop("exc_info", None)
    kept = {name: value for name, value in event.items() if name in ALLOWED}
    kind = _kind(exc_info)
    return kept | ({"error": kind} if kind else {})


def _kind(exc_info: Any) -> str:
    if exc_info is True:
        exc_info = sys.exc_info()
    if isinstance(exc_info, tuple):
        exc_info = exc_info[1]
    return type(exc_info).__qualname__ if isinstance(exc_info, BaseException) else ""


class _Stamp:
    """Adds the time of a line: ISO 8601, UTC, microseconds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def __call__(self, _: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        now = self._clock.now().astimezone(UTC).replace(tzinfo=None)
        event["timestamp"] = now.isoformat(timespec="microseconds") + "Z"
        return event


class _CurrentStderr(io.TextIOBase):
    """Standard error as it is when a line is written, so that a replaced stream is never written to once it is closed."""

    def write(self, text: str) -> int:
        """Write to today's standard error."""
        return sys.stderr.write(text)

    def flush(self) -> None:
        """Flush it."""
        sys.stderr.flush()


def configure(settings: Logging, clock: Clock | None = None) -> None:
    """Configure structlog and the standard library's logging, which goes through the same list.

    Args:
        settings: level and format.
        clock: time of the lines; the machine's unless given.
    """
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        _Stamp(clock or SystemClock()),
        only_allowed,
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if settings.format == "json"
        else structlog.dev.ConsoleRenderer(colors=False)
    )
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _CurrentStderr())),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    # Messages of libraries may quote statements or values: their logger's name and level are kept, their text is not.
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=[_foreign, *shared], processors=[renderer])
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(level, logging.WARNING))


def _foreign(logger: Any, _: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    record = event.get("_record")
    name = record.name if isinstance(record, logging.LogRecord) else getattr(logger, "name", "")
    return {**event, "event": "library message withheld", "logger": name}
