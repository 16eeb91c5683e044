"""``sidecar papers`` and ``sidecar register``: paper letters and decisions to seal or unseal, imported by two people."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from sidecar.cli.context import State, json_option, pass_state, print_json, progress
from sidecar.cli.database import database_and_ledger
from sidecar.keys.ring import FileKeyRing
from sidecar.papers.content import ContentSealer
from sidecar.papers.imports import Desk, import_papers
from sidecar.papers.register import import_register
from sidecar.policy.revisions import Revision, load_active
from sidecar.records.catalog import parse

file_argument = click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
registrar_option = click.option("--registrar", required=True, help="Who imports.")
confirmed_option = click.option("--confirmed-by", required=True, help="The second person, who has compared the file.")


@click.group()
def register() -> None:
    """The seal register: decisions to seal and unseal, for databases without a mark of their own."""


@register.command("import")
@file_argument
@registrar_option
@confirmed_option
@json_option
@pass_state
def register_import(state: State, /, *, file: Path, as_json: bool, **people: Any) -> None:
    """Import decisions from FILE (YAML), all with one ledger entry, or none."""
    with database_and_ledger(state) as (engine, ledger):
        revision = load_active(engine, state.settings)
        for path in progress([file], "Importing …"):
            summary = import_register(
                path, engine=engine, ledger=ledger, clock=state.clock, keys=ring(state),
                databases=databases(revision), **people,
            )  # fmt: skip
    tell(as_json, asdict(summary), f"{summary.decisions} decisions, {summary.new} new rows")


@click.group()
def papers() -> None:
    """Paper letters, and applications approved on paper."""


@papers.command("import")
@file_argument
@registrar_option
@confirmed_option
@json_option
@pass_state
def papers_import(state: State, file: Path, registrar: str, confirmed_by: str, as_json: bool) -> None:
    """Import letters and approved applications from FILE (YAML), all with one ledger entry, or none."""
    with database_and_ledger(state) as (engine, ledger):
        revision = load_active(engine, state.settings)
        sealer = ContentSealer.load(state.settings.path(state.settings.keys.directory))
        desk = Desk(ring(state), sealer, revision.params, databases(revision), state.clock)
        for path in progress([file], "Importing …"):
            summary = import_papers(
                path, engine=engine, ledger=ledger, desk=desk, registrar=registrar, confirmed_by=confirmed_by
            )
    ids = "".join(f"\n{identifier}" for identifier in summary.applications)
    text = f"{summary.letters} letters, {len(summary.applications)} applications, {summary.new} new{ids}"
    tell(as_json, asdict(summary), text)


def ring(state: State) -> FileKeyRing:
    """The deployment's keys."""
    return FileKeyRing.load(state.settings.path(state.settings.keys.directory), state.clock)


def databases(revision: Revision) -> frozenset[str]:
    """Names of the databases of a revision."""
    return frozenset(parse(text.decode("utf-8"), name).database for name, text in revision.catalogs.items())


def tell(as_json: bool, facts: dict[str, Any], text: str) -> None:
    """Say what was done."""
    if as_json:
        print_json(facts)
    else:
        click.echo(text)
