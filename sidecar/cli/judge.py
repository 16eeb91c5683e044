"""Recomputes what alerts an entry raises, by the revision that judged it, for ``sidecar ledger verify``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from sidecar.errors import SidecarError
from sidecar.ledger.verify import Alert, Verdict
from sidecar.oversight.projector import judged
from sidecar.policy.revisions import judging
from sidecar.policy.wasm import WasmEngine
from sidecar.settings import Settings

TIMEOUT_MS = 10_000
"""Nobody waits for an answer meanwhile, and the machine may be busy."""

MEMO = 4096
"""Kinds of entries whose alerts are remembered; most are alike in what is judged."""


class RevisionJudge:
    """A ``ledger.verify.Judge`` over the revisions that are at hand. ``close`` it.

    An entry names the revision that decided it; one without is judged by that of the entry before it. What was written
    just before another revision was activated may have been judged by that one: both count.
    """

    def __init__(self, settings: Settings, labels: Sequence[str]) -> None:
        """``labels``: the revisions that were active, in order."""
        self._settings = settings
        self._labels = tuple(labels)
        self._engines: dict[str, WasmEngine | None] = {}
        self._memo: dict[tuple[str, bytes], list[Alert]] = {}

    def __call__(self, fields: Mapping[str, Any], revision: str) -> Verdict:
        """See ``ledger.verify.Judge``."""
        found = [self._alerts(label, fields) for label in self._candidates(revision)]
        known = [alerts for alerts in found if alerts is not None]
        return known or None

    def _candidates(self, revision: str) -> Iterator[str]:
        """The entry's revision, and the one that was activated after it."""
        label = revision or next(iter(self._labels), "")
        yield label
        if label in self._labels:
            yield from self._labels[self._labels.index(label) + 1 :][:1]

    def _alerts(self, label: str, fields: Mapping[str, Any]) -> list[Alert] | None:
        engine = self._engine(label)
        if engine is None:
            return None
        asked = judged(fields)
        key = label, orjson.dumps(asked, option=orjson.OPT_SORT_KEYS)
        if key not in self._memo:
            if len(self._memo) >= MEMO:
                self._memo.clear()
            self._memo[key] = [Alert(each.type, each.severity, tuple(each.rules)) for each in engine.alerts(asked)]
        return self._memo[key]

    def _engine(self, label: str) -> WasmEngine | None:
        if label not in self._engines:
            try:
                module, data = judging(self._settings, label)
                self._engines[label] = WasmEngine(module, data, revision=label, pool=1, timeout_ms=TIMEOUT_MS)
            except SidecarError:  # not at hand: what it judged is counted as unjudged
                self._engines[label] = None
        return self._engines[label]

    def close(self) -> None:
        """Free the engines."""
        for engine in self._engines.values():
            if engine is not None:
                engine.close()
