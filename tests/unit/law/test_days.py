"""Beijing days and strict calendar dates (R3)."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.law import days

DATES = st.dates(min_value=date(1800, 1, 1))


@pytest.mark.parametrize(
    ("instant", "day"),
    [
        (datetime(2025, 12, 31, 15, 59, 59, tzinfo=UTC), 20251231),
        (datetime(2025, 12, 31, 16, 0, 0, tzinfo=UTC), 20260101),
        (datetime(2026, 1, 1, 0, 30, tzinfo=timezone(timedelta(hours=9))), 20251231),
        (datetime(2012, 12, 31, 23, 59, tzinfo=days.BEIJING), 20121231),
    ],
)
def test_r3_a_legal_day_begins_at_midnight_in_beijing(instant, day):
    assert days.beijing_day(instant) == day


def test_an_instant_without_zone_is_refused():
    with pytest.raises(ValueError, match="naive"):
        days.beijing_day(datetime(2026, 1, 1))  # noqa: DTZ001  # that is the fault under test


@given(DATES)
def test_every_real_date_is_read_in_each_notation(value):
    day = days.day_of(value)
    assert days.parse_day(day) == days.parse_day(f"{day:08d}") == days.parse_day(value.isoformat()) == day
    assert days.to_date(day) == value
    assert days.day_text(day) == value.isoformat()


@given(st.integers(min_value=10**8))
def test_a_number_of_any_size_in_a_number_column_is_no_day_and_no_error(number):
    assert not days.is_day(number)
    assert days.parse_day(-number) is None


@given(st.integers(min_value=-(10**9), max_value=10**9))
def test_an_integer_is_a_day_exactly_when_the_calendar_has_it(number):
    try:
        real = number // 10000 >= 1800 and bool(date(number // 10000, number // 100 % 100, number % 100))
    except ValueError:
        real = False
    assert days.is_day(number) is real
    assert days.parse_day(number) == (number if real else None)


@pytest.mark.parametrize(
    "value",
    [
        "",
        " 20050601",
        "20050601\n",
        "2005-6-1",
        "2005/06/01",
        "20050600",
        "20051301",
        "20050229",
        "19000229",
        "17991231",
        "050601",
        "２００５０６０１",
        "٢٠٠٥٠٦٠١",
        "2005-0601",
        True,
        0,
        -20050601,
        100000101,
    ],
)
def test_r3_partial_impossible_and_foreign_dates_are_unknown(value):
    assert days.parse_day(value) is None


@given(st.text(max_size=12))
def test_no_text_raises_and_whatever_is_read_is_real(text):
    day = days.parse_day(text)
    assert day is None or days.is_day(day)


@given(st.dates(min_value=date(1801, 1, 1), max_value=date(9990, 1, 1)), st.integers(-300, 3000))
def test_adding_days_agrees_with_the_calendar(value, count):
    assert days.to_date(days.add_days(days.day_of(value), count)) == value + timedelta(days=count)


@given(st.dates(min_value=date(1800, 1, 2), max_value=date(9999, 12, 30)))
def test_r17_both_ends_of_a_day_belong_to_it(value):
    day = days.day_of(value)
    start, last = days.day_start(day), days.day_last_second(day)
    assert days.beijing_day(start) == days.beijing_day(last) == day
    assert days.beijing_day(start - timedelta(seconds=1)) == days.add_days(day, -1)
    assert days.beijing_day(last + timedelta(seconds=1)) == days.add_days(day, 1)
    assert start.tzinfo is UTC
