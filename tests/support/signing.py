"""A ledger with a sequencer that signs, stepped by the test, and a database that is set back as by a restored backup."""

from __future__ import annotations

from datetime import timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import delete, func, select, update

from sidecar.clock import FixedClock
from sidecar.ledger import merkle, origins
from sidecar.ledger.entry import decode
from sidecar.ledger.origins import all_of
from sidecar.ledger.sequencer import SLOW_EVERY, Sequencer
from sidecar.ledger.signed import SignedFile, nothing_signed
from sidecar.ledger.signer import Signer, Watched
from sidecar.ledger.tables import CHECKPOINTS, ENTRIES, POSITIONS, STATE, WRITERS
from tests.support.state import NOW, ORIGIN, entry

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


class Bench:
    """A ledger with a sequencer that signs, and a clock that a test moves."""

    def __init__(self, engine, ledger, folder):
        self.engine, self.ledger = engine, ledger
        self.clock = FixedClock(NOW)
        self.file = folder / "log.signed"
        self.file.write_bytes(nothing_signed(ORIGIN))
        self.file.chmod(0o600)
        self.told = []
        self.start()

    def start(self):
        """A sequencer as a new process would have it."""
        self.signer = Signer(KEY, SignedFile(self.file), self.clock, told=self.told.append)
        watched = Watched(self.signer, self.ledger, self.clock)
        self.sequencer = Sequencer(self.engine, self.ledger, self.clock, [], publisher=watched)

    def pass_(self, seconds):
        self.clock.set(self.clock.now() + timedelta(seconds=seconds))

    def grow(self, count, seconds=1.0):
        for _ in range(count):
            self.ledger.commit(entry())
        self.pass_(seconds)
        while self.sequencer.step():
            pass

    def kept(self):
        return SignedFile(self.file).last()

    def rows(self, table=CHECKPOINTS):
        with self.engine.connect() as connection:
            return connection.execute(select(table).order_by(*table.primary_key)).all()

    def codes(self):
        """Codes of the system entries there are."""
        with self.engine.connect() as connection:
            bodies = map(decode, connection.execute(select(ENTRIES.c.body)).scalars())
            return [code for body in bodies if body.get("kind") == "system" for code in body["codes"]]

    def change(self, *statements):
        with self.engine.begin() as connection:
            for statement in statements:
                connection.execute(statement)


def roll_back(bench, size):
    """Set the database back to an earlier state, as restoring a backup does."""
    leaves = [bytes(row.leaf_hash) for row in bench.rows(POSITIONS)][:size]
    tree = merkle.Range()
    for leaf in leaves:
        tree.append(leaf)
    seq = select(func.max(POSITIONS.c.writer_seq)).where(POSITIONS.c.writer == WRITERS.c.id).scalar_subquery()
    (writer,) = {row.writer for row in bench.rows(POSITIONS)}
    chain = select(ENTRIES.c.chain).where(ENTRIES.c.writer == writer, ENTRIES.c.writer_seq == size).scalar_subquery()
    bench.change(
        delete(POSITIONS).where(POSITIONS.c.position >= size),
        delete(ENTRIES).where(ENTRIES.c.writer_seq > size),
        delete(CHECKPOINTS).where(CHECKPOINTS.c.size > size),
        update(STATE).values(size=size, roots=b"".join(tree.roots)),
        update(WRITERS).values(integrated_seq=func.coalesce(seq, 0), integrated_chain=chain),
    )
    bench.ledger._drop_writer()


def known(bench):
    with bench.engine.connect() as connection:
        return all_of(connection)


def turn_year(bench, year=2027):
    """Let the year begin, and the sequencer and the signer notice."""
    bench.clock.set(origins.begins(year))
    settle(bench)


def settle(bench, count=0):
    """Commit, and let the sequencer go round until it has looked at writers that were silent for a day, too."""
    for _ in range(count):
        bench.ledger.commit(entry())
    for _ in range(SLOW_EVERY + 2):
        bench.sequencer.step()
    for _ in range(3):
        bench.grow(0)
