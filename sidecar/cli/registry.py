"""``sidecar units``: the registry of units, their keys and officers."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from sidecar.cli.context import State, json_option, pass_state, progress
from sidecar.cli.database import database_and_ledger
from sidecar.cli.papers import confirmed_option, file_argument, registrar_option, tell
from sidecar.identity.imports import import_units
from sidecar.policy.revisions import load_active


@click.group()
def units() -> None:
    """The registry of units, their keys and officers."""


@units.command("import")
@file_argument
@registrar_option
@confirmed_option
@click.option("--replace", is_flag=True, help="The file is the whole registry; what it does not name is removed.")
@json_option
@pass_state
def units_import(state: State, /, *, file: Path, as_json: bool, **options: Any) -> None:
    """Import units, keys and officers from FILE (YAML), with a ledger entry; gateways take it up by themselves."""
    with database_and_ledger(state) as (engine, ledger):
        organs = load_active(engine, state.settings).params.organs
        for path in progress([file], "Importing …"):
            summary = import_units(path, engine=engine, ledger=ledger, clock=state.clock, organs=organs, **options)
    held = f"{summary.units} units, {summary.keys} keys, {summary.officers} officers"
    text = f"registry revision {summary.revision}: {held}" + ("" if summary.changed else "; nothing changed")
    tell(as_json, asdict(summary), text)
