"""Alembic's environment: runs on the connection that ``storage.migrate`` hands over, in one transaction."""

from __future__ import annotations

from alembic import context

from sidecar.storage.metadata import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    compare_type=True,
    render_as_batch=False,
)
with context.begin_transaction():
    context.run_migrations()
