"""UUIDv7: layout, order, randomness (RFC 9562)."""

import random
import uuid
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from threading import Thread

from hypothesis import given
from hypothesis import strategies as st

from sidecar.clock import FixedClock
from sidecar.keys.ids import UuidSource

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


@given(st.lists(st.integers(-5, 5), min_size=2, max_size=40), st.randoms(use_true_random=False))
def test_ids_rise_whatever_the_clock_does(steps, rng):
    clock = FixedClock(NOW)
    source = UuidSource(clock, rng.randbytes)
    made = []
    for step in steps:
        clock.set(clock.now() + timedelta(milliseconds=step))
        made.append(source.new())
    assert all(a < b for a, b in pairwise(made))
    assert all(str(uuid.UUID(text)) == text and uuid.UUID(text).version == 7 for text in made)
    assert all(uuid.UUID(text).variant == uuid.RFC_4122 for text in made)


def test_an_id_carries_the_clocks_millisecond():
    made = uuid.UUID(UuidSource(FixedClock(NOW)).new())
    assert made.int >> 80 == int(NOW.timestamp() * 1000)


def test_a_full_millisecond_borrows_the_next():
    source = UuidSource(FixedClock(NOW), lambda count: b"\xff" * count)
    first, second = uuid.UUID(source.new()), uuid.UUID(source.new())
    assert (second.int >> 80) - (first.int >> 80) == 1


def test_two_processes_with_one_state_differ_by_their_randomness():
    ids = [UuidSource(FixedClock(NOW), random.Random(seed).randbytes).new() for seed in range(50)]
    assert len(set(ids)) == 50


def test_threads_never_get_the_same_id():
    source, made = UuidSource(FixedClock(NOW)), []
    threads = [Thread(target=lambda: made.extend(source.new() for _ in range(200))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 800
