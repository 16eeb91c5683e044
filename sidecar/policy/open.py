"""Opens the engine of a revision: OPA or WebAssembly, cross-checked, remembered, guarded (P1).

From the outside in: the guard looks at the revision's files, the memo remembers, the cross-check compares, the engine
decides. Which engine it is stands in one log line.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import structlog

from sidecar.clock import Clock, SystemClock
from sidecar.errors import ConfigurationError, EngineUnavailable
from sidecar.law.days import beijing_day
from sidecar.policy import grid
from sidecar.policy.crosscheck import CrossCheckEngine
from sidecar.policy.memo import MemoEngine
from sidecar.policy.opa import OpaEngine, OpaTransport
from sidecar.policy.revisions import Guard, Revision
from sidecar.policy.supervisor import OpaBinary, OpaProcess, find_opa
from sidecar.policy.types import AlertFinding, Attributes, Classification, Decision, Engine, Facts
from sidecar.policy.wasm import WasmEngine
from sidecar.settings import Settings

log = structlog.get_logger(__name__)

CONFORMANCE_TIMEOUT_MS = 20_000
"""A batch of the corpus on a busy machine."""


class GuardEngine:
    """Refuses once a file of the revision was swapped. See ``policy.types.Engine`` for the contract."""

    def __init__(self, inner: Engine, guard: Guard) -> None:
        self.name = inner.name
        self.revision = inner.revision
        self._inner = inner
        self._check = guard.check

    @property
    def available(self) -> bool:
        """Whether the engine below is there."""
        return self._inner.available

    def decide(self, facts: Facts) -> Decision:
        """Decide a request, if the revision is as approved."""
        self._check()
        return self._inner.decide(facts)

    def classify(self, records: Sequence[Attributes]) -> list[Classification]:
        """Classify records, if the revision is as approved."""
        self._check()
        return self._inner.classify(records)

    def alerts(self, entry: Mapping[str, Any]) -> list[AlertFinding]:
        """Alerts that an entry raises; also when the revision is not as approved: that is when they are needed."""
        return self._inner.alerts(entry)

    def close(self) -> None:
        """Close the engine below."""
        self._inner.close()


def choose_engine(settings: Settings) -> str:
    """``opa`` or ``wasm``, as the settings say; ``auto`` is OPA where there is one.

    Raises:
        ConfigurationError: OPA is asked for and there is none, or an old one.
    """
    policy = settings.policy
    if policy.engine == "wasm":
        return "wasm"
    there = find_opa(settings) is not None if policy.opa_supervised else True
    if policy.engine == "opa" and not there:
        raise ConfigurationError(
            f"policy.engine: opa, but there is no {policy.opa_binary}; install OPA 1.x or set wasm"
        )
    return "opa" if there else "wasm"


def supervise(settings: Settings, revision: Revision) -> OpaProcess | None:
    """Start OPA as a child if the settings ask for one; its caller MUST ``stop`` it. None where none is needed.

    Raises:
        ConfigurationError: as ``choose_engine``.
        EngineUnavailable: it does not start.
    """
    if not settings.policy.opa_supervised or choose_engine(settings) != "opa":
        return None
    binary = find_opa(settings)
    if binary is None:
        raise ConfigurationError(f"policy.opa_binary: {settings.policy.opa_binary} is gone")
    process = OpaProcess(binary, revision.bundle, socket_path=_socket(settings), token_file=_token_file(settings))
    process.start()
    return process


def _socket(settings: Settings) -> Path:
    return settings.path(settings.policy.opa_socket)


def _token_file(settings: Settings) -> Path:
    configured = settings.policy.opa_token_file
    return settings.path(configured) if configured is not None else _socket(settings).with_suffix(".token")


def _token(settings: Settings) -> str:
    """The token for the OPA server: from its file; a neighbour without authorization has none."""
    file = _token_file(settings)
    try:
        return file.read_text(encoding="ascii").strip()
    except OSError as exc:
        if settings.policy.opa_token_file is None and not settings.policy.opa_supervised:
            return ""
        raise EngineUnavailable(f"{file}: the OPA server's token cannot be read: {exc.strerror}") from exc


def open_engine(
    settings: Settings,
    revision: Revision,
    *,
    clock: Clock | None = None,
    sample: Callable[[], float] = random.random,
) -> Engine:
    """The engine of a verified revision. Thread-safe; its caller closes it.

    Args:
        settings: the deployment's settings.
        revision: the active revision, as ``revisions.load_active`` gives it.
        clock: paces the guard.
        sample: picks which decisions are compared.

    Raises:
        ConfigurationError: as ``choose_engine``.
        EngineUnavailable: the engine cannot be opened. An OPA server that is merely down does not raise here: its
            decisions do, until it is back.
        RevisionUnapproved: a file is not as approved.
    """
    policy = settings.policy
    guard = Guard(revision, clock or SystemClock())
    name = choose_engine(settings)
    inner: Engine = _wasm(settings, revision)
    if name == "opa":
        opa = _opa(settings, revision)
        inner = CrossCheckEngine(
            opa, inner, sealed=policy.cross_check_sealed, open_=policy.cross_check_open, random=sample
        )
    log.info("policy-engine", engine=name, revision=revision.label, configured=policy.engine)
    memo = MemoEngine(inner, decisions=policy.decision_memo, classifications=policy.classification_cache)
    return GuardEngine(memo, guard)


def _wasm(settings: Settings, revision: Revision) -> WasmEngine:
    return WasmEngine(
        revision.wasm,
        revision.data,
        revision=revision.label,
        pool=settings.server.threads,
        timeout_ms=settings.policy.timeout_ms,
    )


def _opa(settings: Settings, revision: Revision) -> OpaEngine:
    transport = OpaTransport(_socket(settings), timeout_ms=settings.policy.timeout_ms, token=_token(settings))
    return OpaEngine(transport, revision=revision.label, bundle_revision=revision.bundle_revision)


def conformance(settings: Settings, clock: Clock) -> Callable[[Revision], None]:
    """The check for ``revisions.activate``: WebAssembly and filter, and OPA where there is one."""
    binary = find_opa(settings) if settings.policy.engine != "wasm" else None
    today = beijing_day(clock.now())

    def check(revision: Revision) -> None:
        wasm = WasmEngine(
            revision.wasm, revision.data, revision=revision.label, pool=1, timeout_ms=CONFORMANCE_TIMEOUT_MS
        )
        try:
            if binary is None:
                grid.check([wasm], revision.filter, revision.params, today)
            else:
                _check_with_opa(wasm, binary, revision, today)
        finally:
            wasm.close()

    return check


def _check_with_opa(wasm: WasmEngine, binary: OpaBinary, revision: Revision, today: int) -> None:
    with tempfile.TemporaryDirectory(prefix="opa-") as folder:
        process = OpaProcess(binary, revision.bundle, socket_path=Path(folder) / "opa.sock")
        process.start()
        transport = OpaTransport(process.socket_path, timeout_ms=CONFORMANCE_TIMEOUT_MS, token=process.token)
        opa = OpaEngine(transport, revision=revision.label, bundle_revision=revision.bundle_revision, watch=False)
        try:
            grid.check([wasm, opa], revision.filter, revision.params, today)
        finally:
            opa.close()
            process.stop()
