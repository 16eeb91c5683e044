"""Answers leave at multiples of the step after the arrival, never before they are ready."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.gateway.answer_time import leaving

STEPS = st.sampled_from([1 / 256, 1 / 64, 0.25, 1.0])  # of which multiples are exact
INSTANTS = st.integers(0, 2**20).map(lambda n: n / 1024)


@given(INSTANTS, INSTANTS, STEPS)
def test_an_answer_leaves_at_a_multiple_of_the_step_after_its_arrival(arrived, work, step):
    waited = leaving(arrived, arrived + work, step) - arrived
    assert waited % step == 0
    assert waited >= max(work, step)
    assert waited - work < step or waited == step


@given(INSTANTS, STEPS, st.lists(st.floats(0, 1), min_size=2, max_size=2))
def test_what_is_done_within_one_step_leaves_at_one_instant(arrived, step, shares):
    first, second = (leaving(arrived, arrived + share * step, step) for share in shares)
    assert first == second == arrived + step


@pytest.mark.parametrize(
    ("done", "left"), [(0.0, 1.0), (0.999, 1.0), (1.0, 1.0), (1.001, 2.0), (2.0, 2.0), (7.5, 8.0), (-3.0, 1.0)]
)
def test_what_takes_longer_leaves_at_the_next_multiple(done, left):
    assert leaving(100.0, 100.0 + done, 1.0) == 100.0 + left
