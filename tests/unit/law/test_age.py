"""Full years of age against an oracle that counts with dates (S5, R4)."""

import sqlite3
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.law.age import LEAP_BIRTHDAYS, adult_at, is_leap_year, leap_shift
from sidecar.law.days import day_of

DAY = timedelta(days=1)
LEAP = st.sampled_from(LEAP_BIRTHDAYS)
BIRTHS = st.dates(min_value=date(1800, 1, 1), max_value=date(2400, 12, 31))


def birthday(birth: date, years: int, leap: str) -> date:
    """The oracle: the birthday ``years`` later, as a date."""
    try:
        return birth.replace(year=birth.year + years)
    except ValueError:
        return date(birth.year + years, int(leap[:2]), int(leap[2:]))


def oracle(birth: date, offence: date, years: int, leap: str) -> bool:
    return offence >= birthday(birth, years, leap) + DAY


@pytest.mark.parametrize(
    ("birth", "offence", "leap", "adult"),
    [
        (20050601, 20230601, "0301", False),
        (20050601, 20230602, "0301", True),
        (20051231, 20231231, "0301", False),
        (20051231, 20240101, "0301", True),
        (20040229, 20220228, "0301", False),
        (20040229, 20220301, "0301", False),
        (20040229, 20220302, "0301", True),
        (20040229, 20220228, "0228", False),
        (20040229, 20220301, "0228", True),
        (20040301, 20220302, "0301", True),
        (20040228, 20220301, "0301", True),
    ],
)
def test_s5_a_full_year_is_reached_on_the_day_after_the_birthday(birth, offence, leap, adult):
    assert adult_at(birth, offence, 18, leap) is adult


@pytest.mark.parametrize("leap", LEAP_BIRTHDAYS)
def test_s5_holds_for_every_birth_date_of_a_century_around_majority(leap):
    birth = date(1900, 1, 1)
    while birth < date(2001, 1, 1):
        reached = birthday(birth, 18, leap)
        born = day_of(birth)
        assert not adult_at(born, day_of(reached - DAY), 18, leap), birth
        assert not adult_at(born, day_of(reached), 18, leap), birth
        assert adult_at(born, day_of(reached + DAY), 18, leap), birth
        birth += DAY


@pytest.mark.parametrize("leap", LEAP_BIRTHDAYS)
def test_r4_holds_for_every_29_february_and_every_number_of_years(leap):
    for year in filter(is_leap_year, range(1800, 2401)):
        birth = date(year, 2, 29)
        for years in range(1, 30):
            around = date(year + years, 2, 26)
            for offence in (around + DAY * n for n in range(7)):
                expected = oracle(birth, offence, years, leap)
                assert adult_at(day_of(birth), day_of(offence), years, leap) is expected, (birth, offence)


@given(BIRTHS, st.dates(min_value=date(1800, 1, 1)), st.integers(1, 40), LEAP)
def test_the_integer_comparison_equals_the_calendar_for_any_two_dates(birth, offence, years, leap):
    assert adult_at(day_of(birth), day_of(offence), years, leap) is oracle(birth, offence, years, leap)


@given(BIRTHS, st.integers(-3, 3), LEAP)
def test_the_documented_sql_gives_the_same_at_eighteen(birth, offset, leap):
    offence = day_of(birthday(birth, 18, "0301") + offset * DAY)
    shift = 72 if leap == "0301" else 0
    sql = "SELECT :o - :b > 180000 + CASE WHEN :b % 10000 = 229 THEN :s ELSE 0 END"
    with sqlite3.connect(":memory:") as connection:
        (found,) = connection.execute(sql, {"o": offence, "b": day_of(birth), "s": shift}).fetchone()
    connection.close()
    assert bool(found) is adult_at(day_of(birth), offence, 18, leap)


@given(BIRTHS, LEAP)
def test_growing_up_is_never_undone(birth, leap):
    first = day_of(birthday(birth, 18, leap))
    later = [day_of(birthday(birth, 18, leap) + n * DAY) for n in range(1, 40)]
    assert not adult_at(day_of(birth), first, 18, leap)
    assert all(adult_at(day_of(birth), day, 18, leap) for day in later)


def test_an_unknown_reading_of_the_leap_birthday_is_refused():
    with pytest.raises(ValueError, match=r"expected one of .* got '0229'"):
        leap_shift(20040229, 18, "0229")
