"""Two engines watch each other in production: a share of the decisions is made twice, and a difference denies (P1).

It sits below the memo, so that what is remembered costs nothing, and what was compared stays compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import structlog

from sidecar.codes import Scope
from sidecar.errors import EngineUnavailable
from sidecar.policy.types import AlertFinding, Attributes, Classification, Decision, Engine, Facts

log = structlog.get_logger(__name__)


class EnginesDiffer(EngineUnavailable):
    """Two engines answered the same question differently: deny, and let an operator look."""

    operator_code = "engines-differ"


class CrossCheckEngine:
    """Asks the primary engine and compares a share of its answers with the secondary one's.

    Classifications decide what is sealed: they are compared at the share of sealed scope. A secondary engine that does
    not answer where it should compare denies as well.
    """

    def __init__(
        self,
        primary: Engine,
        secondary: Engine,
        *,
        sealed: float,
        open_: float,
        random: Callable[[], float],
    ) -> None:
        """Watch ``primary`` by ``secondary``.

        Args:
            primary: the engine whose answers are given.
            secondary: the engine it is compared with; it must be at the same revision.
            sealed: share of decisions of sealed scope, 0 to 1.
            open_: share of the others.
            random: source of numbers in [0, 1) that picks the sample.

        Raises:
            EngineUnavailable: the engines are at different revisions.
        """
        if primary.revision != secondary.revision:
            raise EngineUnavailable(f"engines at revisions {primary.revision} and {secondary.revision}")
        self.name = primary.name
        self.revision = primary.revision
        self._primary = primary
        self._secondary = secondary
        self._sealed = sealed
        self._open = open_
        self._random = random

    @property
    def available(self) -> bool:
        """Whether the primary engine is there."""
        return self._primary.available

    def decide(self, facts: Facts) -> Decision:
        """Decide a request, by both engines if the sample says so."""
        found = self._primary.decide(facts)
        if self._sampled(self._open if facts.scope == Scope.OPEN else self._sealed):
            other = self._secondary.decide(facts)
            if replace(other, engine=found.engine) != found:
                self._differ("decide")
        return found

    def classify(self, records: Sequence[Attributes]) -> list[Classification]:
        """Classify records, by both engines if the sample says so."""
        found = self._primary.classify(records)
        if self._sampled(self._sealed) and self._secondary.classify(records) != found:
            self._differ("classify")
        return found

    def alerts(self, entry: Mapping[str, Any]) -> list[AlertFinding]:
        """Alerts of the primary engine; they are recomputed from the ledger, not compared here."""
        return self._primary.alerts(entry)

    def close(self) -> None:
        """Close both."""
        self._primary.close()
        self._secondary.close()

    def _sampled(self, share: float) -> bool:
        return share >= 1 or (share > 0 and self._random() < share)

    def _differ(self, question: str) -> None:
        log.error(EnginesDiffer.operator_code, question=question, revision=self.revision)
        raise EnginesDiffer(f"engines differ on {question}")
