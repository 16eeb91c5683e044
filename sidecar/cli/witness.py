"""``sidecar witness``: a witness of the ledger for the procuratorate, with its own key, store and machine."""

from __future__ import annotations

from pathlib import Path

import click

from sidecar.serve.witness import create, serve

_folder = click.argument("folder", type=click.Path(path_type=Path, file_okay=False))


@click.group()
def witness() -> None:
    """Witness ledgers: cosign their checkpoints, alarm on silence, fork and rollback."""


@witness.command("init")
@_folder
@click.option("--name", required=True, help="Name of the witness's key, e.g. procuratorate.example.")
@click.option(
    "--log",
    "logs",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    multiple=True,
    required=True,
    help="Verifier key (*.vkey) of a ledger to witness. May be repeated.",
)
def init(folder: Path, name: str, logs: tuple[Path, ...]) -> None:
    """Make a witness in FOLDER; prints the verifier key, for `ledger.witnesses` of the deployment."""
    click.echo(create(folder, name, logs))


@witness.command("serve")
@_folder
def serve_(folder: Path) -> None:
    """Serve the witness of FOLDER until told to end."""
    serve(folder)
