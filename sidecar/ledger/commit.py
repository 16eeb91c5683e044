"""The two implementations of ``types.Ledger``; ``open.open_ledger`` chooses by the state database."""

from sidecar.ledger.postgresql import PostgresLedger
from sidecar.ledger.sqlite import SqliteLedger

__all__ = ["PostgresLedger", "SqliteLedger"]
