"""Makes inclusion proofs that are checked without us: index, path and signed checkpoint as one text (C2SP tlog-proof)."""

from __future__ import annotations

from base64 import b64encode

from sqlalchemy import Connection

from sidecar.ledger import proofs
from sidecar.ledger.origins import holding
from sidecar.ledger.stored import StoredCheckpoint, StoredLog, place, places

HEADER = "c2sp.org/tlog-proof@v1"


def prove(log: StoredLog, index: int, checkpoint: StoredCheckpoint) -> bytes:
    """The proof that the leaf at ``index`` stands in the tree of ``checkpoint``, with its cosignatures.

    Raises:
        IndexError: the leaf is not in that tree.
        LogRefused: positions are missing.
    """
    path = proofs.inclusion(log, index, checkpoint.size)
    lines = [HEADER, f"index {index}", *(b64encode(node).decode("ascii") for node in path), ""]
    return "\n".join(lines).encode() + b"\n" + checkpoint.cosigned


def find(connection: Connection, identifier: str, leaf: bytes | None) -> tuple[StoredLog, int] | None:
    """Log and index of an entry: by its id, and by its leaf hash where an inquiry has several or no id is known.

    None where there is none.
    """
    if identifier:
        found = places(connection, identifier)
        position = next((position for position, hashed in found if leaf in {None, hashed}), None)
    else:
        position = place(connection, leaf or b"")
    if position is None:
        return None
    origin = holding(connection, position)
    return StoredLog(connection, origin), position - origin.first


def prove_entry(log: StoredLog, index: int, quorum: int) -> bytes | None:
    """The proof under the best checkpoint: cosigned by a quorum where such a one holds the entry, else the newest.

    None while no checkpoint holds the entry: it waits for its signature, a second or so.

    Raises:
        LogRefused: positions are missing.
    """
    for witnesses in sorted({quorum, 0}, reverse=True):
        checkpoint = log.checkpoint(witnesses=witnesses)
        if checkpoint is not None and checkpoint.size > index:
            return prove(log, index, checkpoint)
    return None
