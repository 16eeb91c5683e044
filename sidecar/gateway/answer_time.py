"""When an answer leaves: at the first multiple of its database's step after its request arrived (P3)."""

from __future__ import annotations

import math


def leaving(arrived: float, done: float, step: float) -> float:
    """The instant at which an answer may leave.

    The grid starts at the request's arrival, not at the full second: whoever chose the moment of asking would
    else choose on which side of a grid point an answer falls, and learn from averages what the step was to hide.

    Args:
        arrived: when the request came, in seconds of a monotonic clock.
        done: when its answer was ready, by the same clock.
        step: seconds, more than 0.

    Returns:
        One step after the arrival; where the work took longer, the next multiple that is not before ``done``.
    """
    return arrived + step * max(1, math.ceil((done - arrived) / step))
