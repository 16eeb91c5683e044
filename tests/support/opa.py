"""A real OPA for tests: found, never faked; servers of it in folders whose sockets are short enough."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sidecar.policy import artefacts
from sidecar.policy.artefacts import Artefacts
from sidecar.policy.opa import OpaEngine, OpaTransport
from sidecar.policy.supervisor import OpaBinary, OpaProcess, inspect_opa
from tests.support.tools import find

LABEL = "1@sha256:000000000000"


def opa_path() -> Path:
    """OPA by SIDECAR_OPA, PATH or the tools cache; a missing one fails the test."""
    configured = os.environ.get("SIDECAR_OPA")
    return Path(configured) if configured else Path(find("opa"))


def opa_binary() -> OpaBinary:
    """The OPA for tests."""
    return inspect_opa(opa_path())


@contextmanager
def running_opa(bundle: bytes | None = None, **options: object) -> Iterator[OpaProcess]:
    """An OPA server with a bundle, by default the baseline's."""
    with tempfile.TemporaryDirectory(prefix="opa-") as folder:
        process = OpaProcess(
            opa_binary(),
            artefacts.baseline().files[artefacts.BUNDLE] if bundle is None else bundle,
            socket_path=Path(folder) / "opa.sock",
            **options,  # type: ignore[arg-type]
        )
        process.start()
        try:
            yield process
        finally:
            process.stop()


def engine_at(
    process: OpaProcess, built: Artefacts | None = None, *, timeout_ms: int = 20_000, watch: bool = False
) -> OpaEngine:
    """An engine that asks a running OPA, at the revision of the artefacts (the baseline's)."""
    transport = OpaTransport(process.socket_path, timeout_ms=timeout_ms, token=process.token)
    revision = (built or artefacts.baseline()).bundle_revision
    return OpaEngine(transport, revision=LABEL, bundle_revision=revision, watch=watch)
