"""The policies in process: Rego compiled by OPA to WebAssembly, run by wasmtime (P1, P5).

The module may call nothing of the host: one that needs a built-in is refused, so it cannot reach clock, network or
files. Input is raw UTF-8 JSON; opa-py-wasm keeps a bounded pool of instances, each used by one thread at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from opapywasm import UNDEFINED, OpaWasmError, OpaWasmPolicy, PolicyConfig

from sidecar.errors import EngineUnavailable
from sidecar.policy import decode
from sidecar.policy.types import AlertFinding, Attributes, Classification, Decision, Facts

MAX_INPUT_BYTES = 4 << 20
"""A batch of the activation grid is the largest input; a request's is under 2 KB."""

MAX_BATCH = 4096
"""Records a call: bounds memory and the time that one call holds an instance."""


class WasmEngine:
    """The embedded engine. Thread-safe; see ``policy.types.Engine`` for the contract."""

    name = "wasm"

    def __init__(
        self, module: bytes, data: Mapping[str, Any], *, revision: str, pool: int = 4, timeout_ms: int = 1000
    ) -> None:
        """Compile and load the module.

        Args:
            module: the bytes of ``policy.wasm``; its caller MUST have verified their digest.
            data: the data document: ``{"params": …, "filters": …}``.
            revision: label of the active revision.
            pool: most concurrent evaluations, at least the threads of the process.
            timeout_ms: longest an evaluation may take, and longest it may wait for an instance.

        Raises:
            EngineUnavailable: the module is no policy, lacks an entry point or needs a built-in of the host.
        """
        self.revision = revision
        config = PolicyConfig(
            pool_size=pool,
            parse_raw_json_input=False,
            strict_result_shape=True,
            max_input_bytes=MAX_INPUT_BYTES,
            borrow_timeout_seconds=timeout_ms / 1000,
            eval_timeout_seconds=timeout_ms / 1000,
        )
        try:
            self._policy = OpaWasmPolicy.from_wasm_bytes(module, config)
            self._policy.set_data(orjson.dumps(data))
        except OpaWasmError as exc:
            raise EngineUnavailable(f"the WebAssembly policy cannot be loaded: {type(exc).__name__}") from exc
        self._check_module()

    @property
    def available(self) -> bool:
        """Always: what runs in the process is there as long as the process."""
        return True

    def _check_module(self) -> None:
        if self._policy.builtins:
            needed = ", ".join(sorted(self._policy.builtins))
            self.close()
            raise EngineUnavailable(f"the WebAssembly policy needs built-ins of the host: {needed}")
        missing = set(decode.ENTRYPOINTS) - self._policy.entrypoints.keys()
        if missing:
            self.close()
            raise EngineUnavailable(f"the WebAssembly policy lacks entry points: {', '.join(sorted(missing))}")

    def decide(self, facts: Facts) -> Decision:
        """Decide a request."""
        answer = self._evaluate(decode.DECISION_ENTRYPOINT, facts.as_input())
        return decode.decision(answer, revision=self.revision, engine=self.name)

    def classify(self, records: Sequence[Attributes]) -> list[Classification]:
        """Classify records, in order."""
        found: list[Classification] = []
        for start in range(0, len(records), MAX_BATCH):
            batch = records[start : start + MAX_BATCH]
            answer = self._evaluate(decode.CLASSIFICATION_ENTRYPOINT, {"records": [r.as_input() for r in batch]})
            found += decode.classifications(answer, tuple(r.kind.value for r in batch))
        return found

    def alerts(self, entry: Mapping[str, Any]) -> list[AlertFinding]:
        """Alerts that an entry's clear fields raise."""
        return decode.alerts(self._evaluate(decode.ALERTS_ENTRYPOINT, {"entry": dict(entry)}))

    def close(self) -> None:
        """Free the instances; a later call raises ``EngineUnavailable``."""
        self._policy.close()

    def _evaluate(self, entrypoint: str, document: dict[str, Any]) -> Any:
        try:
            answer = self._policy.evaluate(orjson.dumps(document), entrypoint)
        except OpaWasmError as exc:  # its text may quote the input: the type is all that is told
            raise EngineUnavailable(f"{entrypoint}: {type(exc).__name__}") from exc
        if answer is UNDEFINED:
            raise EngineUnavailable(f"{entrypoint}: undefined")
        return answer
