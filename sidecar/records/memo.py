"""A bounded table of remembered values of a total function of one raw column; reading it is one dictionary access."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

MAX_VALUES = 65_536
"""Values kept: more than there are days in 150 years; what comes after is computed each time."""


LONGEST = 10
"""Characters of a remembered text: a date with dashes."""


class Memo(dict[Any, Any]):
    """``memo[raw]`` computes, or remembers. What the function raises is not remembered. Thread-safe: a race costs a miss.

    Longer texts than ``LONGEST`` are computed each time: numbers of persons and cases, names of authorities, free text.
    """

    __slots__ = ("_compute",)

    def __init__(self, compute: Callable[[Any], Any]) -> None:
        super().__init__()
        self._compute = compute

    def __missing__(self, raw: Any) -> Any:
        value = self._compute(raw)
        if len(self) < MAX_VALUES and (type(raw) is not str or len(raw) <= LONGEST):
            self[raw] = value
        return value
