"""Recomputes what alerts an entry raises, by the revision that judged it, for ``sidecar ledger verify``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from sidecar.errors import SidecarError
from sidecar.ledger.verify import Alert
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
        self._last = ""

    def __call__(self, fields: Mapping[str, Any]) -> Sequence[Sequence[Alert]] | None:
        """See ``ledger.verify.Judge``."""
        self._last = str(fields.get("revision") or self._last or next(iter(self._labels), ""))
        found = [self._alerts(label, fields) for label in self._candidates()]
        known = [alerts for alerts in found if alerts is not None]
        return known or None

    def _candidates(self) -> list[str]:
        """The entry's revision, and the one that was activated after it."""
        place = self._labels.index(self._last) if self._last in self._labels else -1
        following = self._labels[place + 1 : place + 2] if place >= 0 else ()
        return [self._last, *following]

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
