"""Compares a database with what the packages' tables declare."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine

from sidecar.storage.metadata import METADATA

PACKAGE = Path(__file__).parents[2] / "sidecar"


def import_tables() -> tuple[str, ...]:
    """Import every ``sidecar/*/tables.py``; the names of all tables."""
    for path in sorted(PACKAGE.glob("*/tables.py")):
        importlib.import_module(f"sidecar.{path.parent.name}.tables")
    return tuple(sorted(METADATA.tables))


def differences(engine: Engine) -> list[Any]:
    """What Alembic would change to make the database as declared."""
    import_tables()
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, METADATA))
