"""Connectors: each reads one kind of legacy source by one catalog and one revision, and never writes (P7)."""

from __future__ import annotations

from sidecar.clock import Clock
from sidecar.policy.types import FilterNode, LegalParameters
from sidecar.records.canary import Classify
from sidecar.records.catalog import LoadedCatalog
from sidecar.records.connectors import sql
from sidecar.records.connectors.http import HttpConnector, open_http
from sidecar.records.connectors.sql import SqlConnector, open_connector
from sidecar.records.routes import HttpSource

__all__ = ["HttpConnector", "SqlConnector", "open_any", "open_connector"]


def open_any(
    loaded: LoadedCatalog,
    open_record: FilterNode,
    parameters: LegalParameters,
    classify: Classify,
    clock: Clock | None = None,
) -> SqlConnector | HttpConnector:
    """A connector for a catalog of either kind; the compiled filter is for databases only.

    Raises:
        ConfigurationError: as ``sql.open_connector`` and ``http.open_http``.
    """
    if isinstance(loaded.catalog.connector, HttpSource):
        return open_http(loaded, parameters, classify, clock)
    return sql.open_connector(loaded, open_record, parameters, classify, clock)
