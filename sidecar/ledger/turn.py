"""Closes the ledger's present origin and opens the next one, in one transaction of whoever holds the sequencer's lock.

1. The present tree becomes the closed origin's last; where each writer stands is kept, so that its chain is verified from
   there when the closed origin is gone.
2. The new origin's first entry says what stands before it: the closed tree and, after a rollback, the one that was signed.
3. Positions and alerts go on where they were: their order has no gap. Only the tree begins anew.
Signatures follow: the signer signs the closed tree first, then the new one.
"""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, literal, select, text

from sidecar.clock import Clock
from sidecar.codes import Channel, Code, EntryKind
from sidecar.errors import LedgerUnavailable
from sidecar.ledger import merkle, origins, positions
from sidecar.ledger.build import EntryBuilder, Random, milliseconds, uuid7
from sidecar.ledger.checkpoint import Checkpoint
from sidecar.ledger.entry import decode, encode
from sidecar.ledger.origins import Origin
from sidecar.ledger.projector import Positioned, Projector
from sidecar.ledger.tables import ENTRIES, ORIGINS, STARTS, STATE, WRITERS

_LAST_EVENT = "SELECT max(seq) FROM oversight_events"
"""The alerts belong to a package above this one; the verifier reads them alike."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Opens origins.

    Attributes:
        clock, random: of ids, times and salts.
        projectors: as the sequencer's: the opening entry raises its alert like any other.
        holder: name of the sequencer that does it.
    """

    clock: Clock
    projectors: Sequence[Projector]
    holder: str = ""
    random: Random = os.urandom

    def year(self, connection: Connection) -> Origin:
        """Begin the present year's origin; one without entries is only carried over. Call it within a transaction."""
        present, year = origins.all_of(connection)[-1], origins.beijing_year(self.clock.now())
        if connection.execute(select(STATE.c.size)).scalar_one():
            return self._open(connection, year, origins.YEAR_OVER, None, {})
        carried = {"year": year, "label": str(year)}
        connection.execute(ORIGINS.update().where(ORIGINS.c.number == present.number).values(carried))
        return origins.all_of(connection)[-1]

    def after_rollback(self, connection: Connection, seen: Checkpoint, said: Mapping[str, str]) -> Origin:
        """Begin a new origin in place of one that contradicts ``seen``; ``said`` is who decided it, for the entry."""
        year = origins.beijing_year(self.clock.now())
        return self._open(connection, year, origins.ROLLED_BACK, seen, said)

    def _open(
        self, connection: Connection, year: int, reason: str, seen: Checkpoint | None, said: Mapping[str, str]
    ) -> Origin:
        now = milliseconds(self.clock.now())
        known = origins.all_of(connection)
        state = connection.execute(select(STATE.c.first, STATE.c.size, STATE.c.roots)).one()
        roots = bytes(state.roots)
        root = merkle.Range(state.size, [roots[i : i + 32] for i in range(0, len(roots), 32)]).root()
        label, first = origins.next_label(known, year, seen.origin if seen else ""), state.first + state.size
        name = f"{origins.family(known[-1].name)}/{label}"
        closed = {"closed": now, "reason": reason, "size": state.size, "root": root}
        told = {"previous": known[-1].name, "previous_size": str(state.size), "previous_root": _text(root)}
        if seen is not None:
            closed |= {"seen_size": seen.size, "seen_root": seen.root}
            told |= {"seen": seen.origin, "seen_size": str(seen.size), "seen_root": _text(seen.root)}
        connection.execute(ORIGINS.update().where(ORIGINS.c.number == known[-1].number).values(closed))
        number = known[-1].number + 1
        connection.execute(STARTS.insert().from_select(["number", "writer", "seq", "chain"], _cursors(number)))
        last = connection.execute(text(_LAST_EVENT)).scalar_one() or 0
        row = {**origins.first_row(name, now), "number": number, "label": label, "year": year, "first": first}
        connection.execute(ORIGINS.insert().values({**row, "first_event": last + 1}))
        self._enter(connection, state.size, name, first, {**told, **said, "origin": name, "reason": reason})
        return origins.all_of(connection)[-1]

    def _enter(self, connection: Connection, size: int, name: str, first: int, extra: Mapping[str, str]) -> None:
        """The opening entry, with a writer of its own, at the new origin's first position."""
        now = self.clock.now()
        entry = EntryBuilder(self.clock, self.random).build(
            EntryKind.SYSTEM, Channel.CLI, outcome="allow", codes=(Code.LEDGER_OPENED,), extra=extra
        )
        writer = uuid7(now, self.random)
        body, leaf = encode(entry)
        chain = merkle.chain_next(merkle.chain_start(writer), leaf.hash)
        stamp = milliseconds(now)
        stood = {"integrated_seq": 1, "integrated_chain": chain, "active": stamp, "fault": ""}
        connection.execute(WRITERS.insert().values({"id": writer, "started": stamp, **stood}))
        stored = {"chain": chain, "leaf_hash": leaf.hash, "body": body}
        connection.execute(ENTRIES.insert().values({"writer": writer, "writer_seq": 1, **stored}))
        moved = connection.execute(
            STATE.update()
            .where(STATE.c.size == size, STATE.c.first == first - size)
            .values(origin=name, first=first, size=1, roots=leaf.hash, holder=self.holder, beat=stamp)
        )
        if moved.rowcount != 1:
            raise LedgerUnavailable(f"another sequencer is at work at position {first}")
        placed = [Positioned(first, writer, 1, leaf.hash, decode(body), name, first)]
        positions.insert(connection, placed)
        for projector in self.projectors:
            projector.project(connection, placed)


def _cursors(number: int) -> Select[Any]:
    return select(literal(number), WRITERS.c.id, WRITERS.c.integrated_seq, WRITERS.c.integrated_chain).where(
        WRITERS.c.integrated_seq > 0
    )


def _text(root: bytes) -> str:
    return b64encode(root).decode("ascii")
