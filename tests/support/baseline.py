"""A catalog over a database under the baseline policy that the package carries: the filter and the engine of production."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sidecar.policy import artefacts
from sidecar.policy.types import LegalParameters
from sidecar.policy.wasm import WasmEngine
from sidecar.records.catalog import Catalog, LoadedCatalog
from sidecar.records.connectors import SqlConnector, open_connector


@contextmanager
def engine() -> Iterator[WasmEngine]:
    """The baseline as WebAssembly."""
    built = artefacts.baseline()
    opened = WasmEngine(built.files[artefacts.WASM], built.data(), revision="0@sha256:0", pool=1, timeout_ms=10_000)
    try:
        yield opened
    finally:
        opened.close()


def parameters() -> LegalParameters:
    """The baseline's legal parameters."""
    return artefacts.baseline().params()


def connect(catalog: Catalog, url: str, folder: Path, word: WasmEngine) -> SqlConnector:
    """A connector under the baseline's filter; the caller closes it."""
    (folder / catalog.connector.dsn_file).write_text(url, encoding="utf-8")
    built = artefacts.baseline()
    return open_connector(LoadedCatalog(catalog, "sha256:test", folder), built.filter(), parameters(), word.classify)
