"""Writes a migration from what the tables are now and what the migrations so far make of an empty database.

Usage: python tools/make_migration.py NUMBER MESSAGE, e.g. ``0002 "tiles and checkpoints"``. Read the result before
committing it: Alembic does not see renamings. The tables are found in ``sidecar/*/tables.py``.
"""

from __future__ import annotations

import importlib
import sys
import tempfile
from pathlib import Path

from alembic import command
from sqlalchemy import create_engine

from sidecar.storage import migrate

PACKAGE = Path(__file__).parents[1] / "sidecar"


def table_modules() -> list[str]:
    """Every package's module of tables."""
    return sorted(f"sidecar.{path.parent.name}.tables" for path in PACKAGE.glob("*/tables.py"))


def main(number: str, message: str) -> None:
    """Write ``migrations/versions/NUMBER_message.py``."""
    for name in table_modules():
        importlib.import_module(name)
    with tempfile.TemporaryDirectory() as folder:
        engine = create_engine(f"sqlite:///{folder}/state.db")
        with engine.begin() as connection:
            config = migrate.config(connection)
            config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
            command.upgrade(config, "head")
            command.revision(config, message=message, rev_id=number, autogenerate=True)
        engine.dispose()


if __name__ == "__main__":
    main(*sys.argv[1:])
