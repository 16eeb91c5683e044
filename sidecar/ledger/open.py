"""Creates a ledger, or opens the one that is there: two different things (a ledger is never made by accident)."""

from __future__ import annotations

import os

from sqlalchemy import Engine, select
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from sidecar.clock import Clock
from sidecar.errors import ConfigurationError, LedgerUnavailable
from sidecar.ledger.build import Random, milliseconds
from sidecar.ledger.origins import family, first_row
from sidecar.ledger.postgresql import PostgresLedger
from sidecar.ledger.sqlite import SqliteLedger
from sidecar.ledger.tables import ORIGINS, STATE
from sidecar.ledger.types import Ledger
from sidecar.settings import Settings
from sidecar.storage.durability import check_durable
from sidecar.storage.engine import open_state, reading


def create_ledger(engine: Engine, origin: str, clock: Clock) -> bool:
    """Create the ledger of this origin in an upgraded database; False if it is there already.

    For ``sidecar init`` and ``sidecar db upgrade`` only.

    Raises:
        ConfigurationError: the database holds the ledger of another origin.
        LedgerUnavailable: the database does not answer.
    """
    now = milliseconds(clock.now())
    row = {"id": 1, "origin": origin, "created": now, "size": 0, "roots": b"", "holder": "", "beat": now}
    try:
        with engine.begin() as connection:
            connection.execute(STATE.insert().values(row))
            connection.execute(ORIGINS.insert().values(first_row(origin, now)))
    except IntegrityError:
        check_origin(engine, origin)
        return False
    except SQLAlchemyError as exc:
        raise LedgerUnavailable("the ledger cannot be created; has `sidecar db upgrade` run?") from exc
    return True


def check_origin(engine: Engine, origin: str) -> None:
    """Check that the database holds the ledger of the deployment that ``origin`` names.

    Raises:
        ConfigurationError: there is none, or another's.
        LedgerUnavailable: the database does not answer.
    """
    try:
        with reading(engine).connect() as connection:
            found = connection.execute(select(STATE.c.origin)).scalar_one_or_none()
    except SQLAlchemyError as exc:
        raise LedgerUnavailable("the state database does not answer, or `sidecar db upgrade` has not run") from exc
    if found is None:
        raise ConfigurationError("there is no ledger in the state database; run `sidecar db upgrade`")
    if family(found) != origin:
        raise ConfigurationError(f"deployment.id: expected the ledger's origin {family(found)!r}, got {origin!r}")


def open_ledger(
    settings: Settings, clock: Clock, *, engine: Engine | None = None, random: Random = os.urandom
) -> Ledger:
    """Open the ledger for commits, after checking that they are durable. One per process, after any fork.

    ``engine`` is the process's engine from ``open_state``; without it one is opened.

    Raises:
        ConfigurationError: commits would not be durable, or there is no ledger of this deployment.
        LedgerUnavailable: the database does not answer.
    """
    engine = engine or open_state(settings)
    check_durable(engine)
    check_origin(engine, settings.deployment.id)
    timeout = settings.storage.statement_timeout_ms
    if engine.dialect.name == "sqlite":
        return SqliteLedger(engine, clock, random, timeout_ms=timeout)
    return PostgresLedger(engine, clock, random, writers=settings.storage.pool_size, timeout_ms=timeout)
