"""``sidecar units``: the registry of units, their keys and officers."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from sidecar.cli.context import State, json_option, pass_state, print_json, progress
from sidecar.cli.database import database_and_ledger
from sidecar.identity.imports import Summary, import_units
from sidecar.policy.revisions import load_active


@click.group()
def units() -> None:
    """The registry of units, their keys and officers."""


@units.command("import")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--registrar", required=True, help="Who imports.")
@click.option("--confirmed-by", required=True, help="The second person, who has compared the file.")
@click.option("--replace", is_flag=True, help="The file is the whole registry; what it does not name is removed.")
@json_option
@pass_state
def import_command(  # noqa: PLR0917  # click passes options by name
    state: State, file: Path, registrar: str, confirmed_by: str, replace: bool, as_json: bool
) -> None:
    """Import units, keys and officers from FILE (YAML), with a ledger entry; gateways take it up by themselves."""
    with database_and_ledger(state) as (engine, ledger):
        organs = load_active(engine, state.settings).params.organs
        (summary,) = [
            import_units(
                name, engine=engine, ledger=ledger, clock=state.clock, organs=organs, registrar=registrar,
                confirmed_by=confirmed_by, replace=replace,
            )
            for name in progress([file], "Importing …")
        ]  # fmt: skip
    _tell(summary, as_json)


def _tell(summary: Summary, as_json: bool) -> None:
    if as_json:
        print_json(asdict(summary))
        return
    held = f"{summary.units} units, {summary.keys} keys, {summary.officers} officers"
    click.echo(f"registry revision {summary.revision}: {held}" + ("" if summary.changed else "; nothing changed"))
