"""Full years of age by integer arithmetic that SQL can repeat digit for digit (S5, R4; 法释〔2006〕1号 art. 2).

A full year of age (周岁) is reached on the day *after* the birthday. With days as integers YYYYMMDD and ``N`` the years
of majority (a parameter of the revision)::

    grown up  ⇔  offence − birth > 10000·N + shift

``shift`` is 0 except for a person born on 29 February whose birthday in the common year of majority is taken for
1 March (``leap_birthday`` = ``0301``), where it is 72 (= 301 − 229)::

    shift = 72  if leap_birthday = '0301' and birth mod 10000 = 229 and year(birth) + N is a common year, else 0

- With ``0228`` no shift is needed: in a common year "after 29 February" and "after 28 February" are the same days.
- Whoever is born on 29 February is born in a leap year, so the year of majority can be a leap year only where
  N mod 4 = 0; for any other N (18 among them) the third condition is always true and SQL may leave it out:
  ``offence - birth > 180000 + CASE WHEN birth % 10000 = 229 THEN 72 ELSE 0 END``.
- The comparison is valid for real calendar dates only; ``law.days.is_day`` comes first (S14).
"""

from __future__ import annotations

LEAP_DAY = 229
"""29 February as month·100 + day."""

LEAP_SHIFT = 301 - 229
"""From 29 February to 1 March in YYYYMMDD arithmetic."""

LEAP_BIRTHDAYS = ("0301", "0228")
"""Readings of the birthday of a person born on 29 February in common years; the first favours the minor (R4)."""


def is_leap_year(year: int) -> bool:
    """Gregorian rule."""
    return (year % 4 == 0 and year % 100 != 0) or year % 400 == 0


def leap_shift(birth: int, majority_years: int, leap_birthday: str) -> int:
    """``shift`` of the formula above.

    Raises:
        ValueError: ``leap_birthday`` is neither ``0301`` nor ``0228``.
    """
    if leap_birthday not in LEAP_BIRTHDAYS:
        raise ValueError(f"leap_birthday: expected one of {LEAP_BIRTHDAYS}, got {leap_birthday!r}")
    if leap_birthday != "0301" or birth % 10000 != LEAP_DAY:
        return 0
    return 0 if is_leap_year(birth // 10000 + majority_years) else LEAP_SHIFT


def adult_at(birth: int, offence: int, majority_years: int, leap_birthday: str) -> bool:
    """Whether a person had reached majority on the day of the offence (S1, S5, R4).

    Args:
        birth: birth date, YYYYMMDD, a real date.
        offence: day of the offence, YYYYMMDD, a real date.
        majority_years: full years at which a person is grown up; a parameter of the revision.
        leap_birthday: ``0301`` or ``0228`` (R4); a parameter of the revision.

    Raises:
        ValueError: ``leap_birthday`` is neither.
    """
    return offence - birth > majority_years * 10000 + leap_shift(birth, majority_years, leap_birthday)
