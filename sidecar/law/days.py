"""Legal days as integers YYYYMMDD: Beijing days of instants, strict calendar dates (R3; GB/T 7408).

An integer compares like the date it stands for, in Python and in every SQL dialect alike.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone
from functools import lru_cache

BEIJING = timezone(timedelta(hours=8), "UTC+8")
"""Legal days are Beijing days; China has kept one zone without daylight saving since 1992 (R3)."""

BEIJING_SECONDS = 8 * 3600
DAY_SECONDS = 24 * 3600

FIRST_YEAR = 1800
"""Years before it are impossible in our records (R23)."""

LAST_DAY = 99991231
"""Of the calendar; a number column may hold any number."""

_EPOCH = date(1970, 1, 1).toordinal()
_DAY = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})|([0-9]{4})-([0-9]{2})-([0-9]{2})", re.ASCII)


def beijing_day(instant: datetime) -> int:
    """The Beijing day of an aware instant, YYYYMMDD (R3).

    Raises:
        ValueError: the instant has no zone.
    """
    if instant.tzinfo is None:
        raise ValueError("expected an instant with a zone, got a naive one")
    return _nth_day(int((instant.timestamp() + BEIJING_SECONDS) // DAY_SECONDS))


@lru_cache(maxsize=1024)
def _nth_day(number: int) -> int:
    """The day so many days after 1 January 1970."""
    return day_of(date.fromordinal(_EPOCH + number))


def day_of(value: date) -> int:
    """A date as YYYYMMDD."""
    return value.year * 10000 + value.month * 100 + value.day


def to_date(day: int) -> date:
    """The date of a YYYYMMDD integer.

    Raises:
        ValueError: it is no calendar date.
    """
    return date(day // 10000, day // 100 % 100, day % 100)


def is_day(day: int) -> bool:
    """Whether the integer is a real calendar date from the year 1800 on."""
    if not FIRST_YEAR * 10000 <= day <= LAST_DAY:
        return False
    try:
        to_date(day)
    except ValueError:
        return False
    return True


def parse_day(value: str | int) -> int | None:
    """Read ``YYYYMMDD`` (text or integer) or ``YYYY-MM-DD``; None for whatever is no real date from 1800 on (S14, R3).

    Partial dates (``20050600``), other digits than 0–9, surrounding space and two-digit years are no dates.
    """
    if isinstance(value, str):
        match = _DAY.fullmatch(value)
        if match is None:
            return None
        value = int("".join(part for part in match.groups() if part))
    elif isinstance(value, bool):
        return None
    return value if is_day(value) else None


def day_text(day: int) -> str:
    """``YYYY-MM-DD`` of a YYYYMMDD integer."""
    return f"{day // 10000:04d}-{day // 100 % 100:02d}-{day % 100:02d}"


def add_days(day: int, count: int) -> int:
    """The day ``count`` days later (earlier where negative).

    Raises:
        ValueError: ``day`` is no calendar date.
        OverflowError: the result is beyond the calendar.
    """
    return day_of(to_date(day) + timedelta(days=count))


def day_start(day: int) -> datetime:
    """First instant of a Beijing day, in UTC; both ends of a validity are inclusive (R17).

    Raises:
        ValueError: ``day`` is no calendar date.
    """
    value = to_date(day)
    return datetime(value.year, value.month, value.day, tzinfo=BEIJING).astimezone(UTC)


def day_last_second(day: int) -> datetime:
    """Last whole second of a Beijing day, in UTC (R17).

    Raises:
        ValueError: ``day`` is no calendar date.
    """
    return day_start(day) + timedelta(days=1, seconds=-1)
