"""Holds a clock against the witnesses' cosignatures, each of which says at which second it was given (tlog-cosignature).

A cosignature is fresh when it is seen to arrive: from then on this process's monotonic clock says what the witness's
clock must show, for ``CARRY_SECONDS``. Every witness's word counts once: a clock is wrong that is far from all that can
be judged by, so that neither one wrong witness nor one that is away stops anything. No clock may be far behind a
cosignature, however old that is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

TOLERANCE_SECONDS = 60.0
"""How far a clock may be away."""

CARRY_SECONDS = 600.0
"""How long a witness's word is good: a machine that sleeps loses monotonic time, and must not stay shut for that."""


@dataclass(frozen=True, slots=True)
class _Word:
    """What a witness said last: POSIX seconds, and when that arrived (monotonic); None where it was there before us."""

    time: int
    arrived: float | None


class WitnessedTime:
    """What the witnesses' clocks show. One thread calls ``look``; any may call ``agrees``."""

    def __init__(self) -> None:
        self._words: Mapping[str, _Word] = {}

    def look(self, times: Mapping[str, int], monotonic: float) -> None:
        """The newest cosignatures' times by witness, as they stand in the ledger now."""
        words = dict(self._words)
        for name, time in times.items():
            known = words.get(name)
            if known is None or time > known.time:
                words[name] = _Word(time, None if known is None else monotonic)
        self._words = words

    def agrees(self, now: datetime, monotonic: float) -> bool:
        """Whether a clock that shows ``now`` is near a witness's, or none can be judged by."""
        seconds = now.timestamp()
        judged = [near for word in self._words.values() if (near := _near(word, seconds, monotonic)) is not None]
        return any(judged) or not judged


def _near(word: _Word, seconds: float, monotonic: float) -> bool | None:
    """None where the word is too old to judge by."""
    if seconds < word.time - TOLERANCE_SECONDS:
        return False
    if word.arrived is None or monotonic - word.arrived > CARRY_SECONDS:
        return None
    return abs(seconds - (word.time + monotonic - word.arrived)) <= TOLERANCE_SECONDS
