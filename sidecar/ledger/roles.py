"""Rights of PostgreSQL roles on the ledger: the gateway may only insert, oversight only read (GB/T 22239)."""

from __future__ import annotations

from typing import Literal

Part = Literal["bypass", "gateway", "oversight", "sequencer"]

_INSERTED = ("ledger_writers", "ledger_entries", "ledger_data_keys", "ledger_sealed_inputs")
_READ_BY_GATEWAY = (
    "ledger_state",
    "ledger_writers",
    "ledger_entries",
    "ledger_checkpoints",  # the witnesses' time, against which it holds its clock
    "alembic_version",
)
_LOG = (
    "ledger_state",
    "ledger_writers",
    "ledger_entries",
    "ledger_positions",
    "ledger_nodes",
    "ledger_checkpoints",
    "ledger_origins",
    "ledger_starts",
    "oversight_events",
    "alembic_version",
)


def grants(part: Part, role: str) -> tuple[str, ...]:
    """GRANT statements for ``role``, to be run by the tables' owner; ``papers.roles`` adds the other tables'.

    A gateway that reads entries can look a doubtful commit up; it can neither change nor remove one. The sequencer
    also commits entries of its own (``system``), and so does the by-pass watch.
    """
    name = '"' + role.replace('"', '""') + '"'
    read = _READ_BY_GATEWAY if part == "gateway" else _LOG
    rights = [("SELECT", table) for table in read]
    if part == "bypass":
        rights += [("INSERT", "ledger_writers"), ("INSERT", "ledger_entries")]
        rights += [("SELECT", "bypass_positions"), ("INSERT", "bypass_positions"), ("UPDATE", "bypass_positions")]
    elif part != "oversight":
        rights += [("INSERT", table) for table in _INSERTED]
    if part == "sequencer":
        rights += [("INSERT", "ledger_positions"), ("INSERT", "oversight_events")]
        rights += [("INSERT", "ledger_nodes"), ("INSERT", "ledger_checkpoints")]
        rights += [("INSERT", "ledger_origins"), ("INSERT", "ledger_starts"), ("UPDATE", "ledger_origins")]
        rights += [("UPDATE", "ledger_state"), ("UPDATE", "ledger_writers"), ("UPDATE", "ledger_checkpoints")]
        rights += [("DELETE", "ledger_checkpoints")]  # of those within one minute the last is kept
    return tuple(f"GRANT {right} ON {table} TO {name}" for right, table in rights)
