"""The state database and the ledger for the length of one command."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from sqlalchemy import Engine

from sidecar.cli.context import State
from sidecar.ledger.open import open_ledger
from sidecar.ledger.types import Ledger
from sidecar.storage.engine import open_state


@contextlib.contextmanager
def database(state: State, *, create: bool = False) -> Iterator[Engine]:
    """The state database, disconnected at the end."""
    engine = open_state(state.settings, create=create)
    try:
        yield engine
    finally:
        engine.dispose()


@contextlib.contextmanager
def database_and_ledger(state: State) -> Iterator[tuple[Engine, Ledger]]:
    """The state database with its ledger open for entries."""
    with (
        database(state) as engine,
        contextlib.closing(open_ledger(state.settings, state.clock, engine=engine)) as ledger,
    ):
        yield engine, ledger
