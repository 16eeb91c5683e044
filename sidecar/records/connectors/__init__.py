"""Connectors: each reads one kind of legacy source by one catalog and one revision, and never writes (P7)."""

from sidecar.records.connectors.sql import SqlConnector, open_connector

__all__ = ["SqlConnector", "open_connector"]
