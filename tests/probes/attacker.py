"""The attacker: sees what a few requests about a person give, learns on persons known to him, guesses about others.

It knows no system. A *feature* is anything that was seen of one person: a status, a length, a number of records, and the
differences between numbers. Of all features it takes the one that told most on the persons it may learn from.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Seen = Mapping[str, object]
"""What was seen of one person: name of a channel → value."""

Z = 1.96
"""Of a confidence of 95 %."""


@dataclass(frozen=True)
class Game:
    """One person: what was seen, and the truth."""

    seen: Seen
    sealed: bool


@dataclass(frozen=True)
class Score:
    """How well somebody guesses: 0 is guessing blindly, 1 is knowing."""

    advantage: float
    half_width: float
    channel: str
    games: int


def features(seen: Seen) -> dict[str, object]:
    """All that was seen, and how numbers differ."""
    numbers = {name: value for name, value in seen.items() if isinstance(value, int)}
    differences = {
        f"{one} − {two}": numbers[one] - numbers[two] for one, two in itertools.combinations(sorted(numbers), 2)
    }
    return {**seen, **differences}


class Attacker:
    """Learns which feature tells most, and what its values mean."""

    def __init__(self, known: Sequence[Game]) -> None:
        half = len(known) // 2
        names = sorted(features(known[0].seen))
        rules = {name: _rule(name, known[:half]) for name in names}
        self.channel = max(names, key=lambda name: _right(name, rules[name], known[half:]))
        self._rule = _rule(self.channel, known)

    def guess(self, seen: Seen, coin: bool) -> bool:
        """Whether the person has a sealed record; the coin decides where nothing was learnt."""
        return self._rule.get(features(seen)[self.channel], coin)

    def score(self, games: Sequence[Game]) -> Score:
        """Advantage over guessing, with the half-width of its 95 % interval."""
        right = sum(self.guess(game.seen, bool(i % 2)) == game.sealed for i, game in enumerate(games))
        share = right / len(games)
        # The interval of a share near 0 or 1 is narrower; the widest one is stated.
        return Score(2 * share - 1, 2 * Z * math.sqrt(0.25 / len(games)), self.channel, len(games))


def _rule(name: str, games: Sequence[Game]) -> dict[object, bool]:
    weights: Counter[object] = Counter()
    for game in games:
        weights[features(game.seen)[name]] += 1 if game.sealed else -1
    return {value: weight > 0 for value, weight in weights.items()}


def _right(name: str, rule: Mapping[object, bool], games: Sequence[Game]) -> int:
    return sum(rule.get(features(game.seen)[name], False) == game.sealed for game in games)
