"""The seam for whatever is derived from the log's order: alerts now, checkpoints and cases later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import Connection


@dataclass(frozen=True, slots=True)
class Positioned:
    """An entry with its place; ``fields`` are the clear fields of its body.

    ``position`` counts over all origins, ``index`` within its own, which is named by ``log`` and has ``first`` before it.
    """

    position: int
    writer: str
    writer_seq: int
    leaf_hash: bytes
    fields: Mapping[str, Any]
    log: str = ""
    first: int = 0

    @property
    def index(self) -> int:
        """Its place in its log: the index of its leaf."""
        return self.position - self.first


class Projector(Protocol):
    """Derives rows from entries.

    Runs in the sequencer's transaction, so that each entry is projected exactly once: a failure undoes the positions
    too, and the same entries come again. It MUST be a function of the entries and the policy revision only, and write
    through ``connection`` only. Called by one thread of one process at a time, in the order of positions.
    """

    def project(self, connection: Connection, entries: Sequence[Positioned]) -> None:
        """Write what follows from these entries."""
