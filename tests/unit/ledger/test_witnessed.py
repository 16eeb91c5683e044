"""A clock is held against the witnesses' (tlog-cosignature): none of them alone stops anything, nor does their silence."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sidecar.ledger.witnessed import CARRY_SECONDS, WitnessedTime
from tests.support.state import NOW

SECOND = int(NOW.timestamp())


def told(*words):
    """A watch that has seen each word arrive: (monotonic, times)."""
    watch = WitnessedTime()
    for monotonic, times in words:
        watch.look(times, monotonic)
    return watch


def at(seconds):
    return NOW + timedelta(seconds=seconds)


def test_without_a_word_every_clock_agrees():
    assert told().agrees(NOW, 0.0)
    assert told((5.0, {})).agrees(NOW, 9.0)


@pytest.mark.parametrize(
    ("away", "agrees"), [(0, True), (60, True), (61, False), (-60, True), (-61, False), (86400, False)]
)
def test_more_than_a_minute_from_a_fresh_word_is_away(away, agrees):
    watch = told((0.0, {"a": SECOND - 60}), (60.0, {"a": SECOND}))
    assert watch.agrees(at(away), 60.0) is agrees
    assert watch.agrees(at(300 + away), 360.0) is agrees  # the word is carried on


def test_what_was_there_before_us_says_only_that_it_is_later():
    watch = told((0.0, {"a": SECOND}))
    assert watch.agrees(at(5000), 1.0)
    assert not watch.agrees(at(-61), 1.0)


def test_a_silent_witness_stops_nothing():
    watch = told((0.0, {"a": SECOND - 60}), (60.0, {"a": SECOND}))
    for later in (CARRY_SECONDS / 2, CARRY_SECONDS, 10 * CARRY_SECONDS):
        assert watch.agrees(at(later), 60.0 + later)


def test_a_machine_that_slept_is_right_again_after_a_while():
    watch = told((0.0, {"a": SECOND - 60}), (60.0, {"a": SECOND}))
    assert not watch.agrees(at(7200), 61.0)
    assert watch.agrees(at(7200 + CARRY_SECONDS), 61.0 + CARRY_SECONDS)


def test_one_wrong_witness_stops_nothing_and_all_of_them_do():
    watch = told((0.0, {"a": SECOND - 60, "b": SECOND + 3540}), (60.0, {"a": SECOND, "b": SECOND + 3600}))
    assert watch.agrees(NOW, 60.0)
    assert watch.agrees(at(3600), 60.0)
    assert not watch.agrees(at(1800), 60.0)


def test_a_word_that_goes_back_is_no_word():
    watch = told((0.0, {"a": SECOND - 60}), (60.0, {"a": SECOND}), (61.0, {"a": SECOND - 3600}))
    assert watch.agrees(NOW, 61.0)
    assert not watch.agrees(at(-3600), 61.0)
