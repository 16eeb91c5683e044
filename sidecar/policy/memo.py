"""Decisions and classifications are remembered: both are pure functions of their input and the revision (P1).

The keys are the fields of the frozen inputs, drawn by C accessors: a hit costs a microsecond or two. A memo belongs to
one engine of one revision and dies with it. Failures are never remembered, and nothing remembered is given while the
engine is gone: an OPA that was killed denies at once, not only for what is new.
"""

from __future__ import annotations

import threading
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import fields
from operator import attrgetter
from typing import Any, Generic, TypeVar

import orjson

from sidecar.errors import EngineUnavailable
from sidecar.policy.types import (
    AlertFinding,
    ApplicationFacts,
    Attributes,
    Classification,
    Decision,
    Engine,
    Facts,
    LetterFacts,
    UndertakingFacts,
)

_NESTED: Mapping[str, type[Any]] = {
    "letter": LetterFacts,
    "application": ApplicationFacts,
    "undertaking": UndertakingFacts,
}

V = TypeVar("V")


def _names(of: type[Any], prefix: str = "") -> list[str]:
    return [prefix + field.name for field in fields(of)]


_attributes_key = attrgetter(*_names(Attributes))
_facts_key = attrgetter(*(name for name in _names(Facts) if name not in _NESTED))
_letter_key = attrgetter(*_names(LetterFacts))
_application_key = attrgetter(*_names(ApplicationFacts))
_undertaking_key = attrgetter(*_names(UndertakingFacts))


def _key(facts: Facts) -> tuple[Any, ...]:
    return (
        _facts_key(facts),
        _letter_key(facts.letter),
        _application_key(facts.application),
        _undertaking_key(facts.undertaking),
    )


class Generations(Generic[V]):
    """A bounded map that forgets what was not used lately: two generations, the older dropped when the younger is full.

    Thread-safe without a lock on reading: a single dictionary operation is atomic, and a lost race costs one miss.
    It holds at most ``size`` values (two generations of half of it), for sizes of two and more.
    """

    def __init__(self, size: int) -> None:
        self._half = max(1, size // 2)
        self._young: dict[Hashable, V] = {}
        self._old: dict[Hashable, V] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def get(self, key: Hashable) -> V | None:
        """The value, or None."""
        found = self._young.get(key)
        if found is None:
            found = self._old.get(key)
            if found is not None:
                self.put(key, found)
        return found

    def get_all(self, keys: Sequence[Hashable]) -> list[V | None]:
        """The values, None where there is none; values must be truthy."""
        found: list[V | None] = [*map(self._young.get, keys)]
        if all(found):
            return found
        return [value if value is not None else self.get(key) for key, value in zip(keys, found, strict=True)]

    def put(self, key: Hashable, value: V) -> None:
        """Remember a value."""
        with self._lock:
            if len(self._young) >= self._half and key not in self._young:
                self._old, self._young = self._young, {}
            self._old.pop(key, None)
            self._young[key] = value


class MemoEngine:
    """An engine that remembers. See ``policy.types.Engine`` for the contract."""

    def __init__(self, inner: Engine, *, decisions: int, classifications: int) -> None:
        """Wrap an engine.

        Args:
            inner: the engine to ask on a miss.
            decisions: most remembered decisions, and most remembered judgements of entries; 0 remembers none.
            classifications: most remembered classifications; 0 remembers none.
        """
        self.name = inner.name
        self.revision = inner.revision
        self._inner = inner
        self._decisions: Generations[Decision] | None = Generations(decisions) if decisions else None
        self._classes: Generations[Classification] | None = Generations(classifications) if classifications else None
        self._alerts: Generations[tuple[AlertFinding, ...]] | None = Generations(decisions) if decisions else None

    @property
    def available(self) -> bool:
        """Whether the engine below is there."""
        return self._inner.available

    def decide(self, facts: Facts) -> Decision:
        """Decide a request, or remember how it was decided."""
        memo = self._decisions
        if memo is None:
            return self._inner.decide(facts)
        key = _key(facts)
        found = memo.get(key)
        if found is None:
            found = self._inner.decide(facts)
            memo.put(key, found)
        elif not self._inner.available:
            raise EngineUnavailable("the policy engine is gone")
        return found

    def classify(self, records: Sequence[Attributes]) -> list[Classification]:
        """Classify records, asking only about combinations of attributes that are new."""
        memo = self._classes
        if memo is None:
            return self._inner.classify(records)
        keys = [*map(_attributes_key, records)]
        found = memo.get_all(keys)
        if not all(found):  # not `None in found`, which would call every classification's own ==
            return self._classify_missing(memo, records, keys, found)
        if not self._inner.available:
            raise EngineUnavailable("the policy engine is gone")
        return found  # type: ignore[return-value]  # no None in it

    def _classify_missing(
        self,
        memo: Generations[Classification],
        records: Sequence[Attributes],
        keys: list[Any],
        found: list[Classification | None],
    ) -> list[Classification]:
        missing = {key: record for key, record, old in zip(keys, records, found, strict=True) if old is None}
        new = dict(zip(missing, self._inner.classify(list(missing.values())), strict=True))
        for key, classification in new.items():
            memo.put(key, classification)
        return [old if old is not None else new[key] for key, old in zip(keys, found, strict=True)]

    def alerts(self, entry: Mapping[str, Any]) -> list[AlertFinding]:
        """Alerts that an entry raises, or remember what such an entry raised."""
        memo = self._alerts
        if memo is None:
            return self._inner.alerts(entry)
        key = orjson.dumps(entry, option=orjson.OPT_SORT_KEYS)
        found = memo.get(key)
        if found is None:
            found = tuple(self._inner.alerts(entry))
            memo.put(key, found)
        elif not self._inner.available:
            raise EngineUnavailable("the policy engine is gone")
        return list(found)

    def close(self) -> None:
        """Close the engine and forget."""
        self._decisions, self._classes, self._alerts = None, None, None
        self._inner.close()
