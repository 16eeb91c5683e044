"""``sidecar policy``: build, approve, activate and show revisions of everything that decides."""

from __future__ import annotations

from pathlib import Path

import click
from sqlalchemy import Engine

from sidecar.cli.context import State, json_option, pass_state, print_json, print_table, progress
from sidecar.cli.database import database, database_and_ledger
from sidecar.errors import ConfigurationError, RevisionUnapproved
from sidecar.keys.files import read_ed25519_private
from sidecar.ledger.types import Ledger
from sidecar.policy import artefacts, revisions
from sidecar.policy.artefacts import Artefacts
from sidecar.policy.open import conformance
from sidecar.policy.revisions import Revision
from sidecar.policy.supervisor import find_opa
from sidecar.settings import Settings

_number = click.argument("number", type=click.IntRange(min=1))


@click.group()
def policy() -> None:
    """Build, approve, activate and show policy revisions."""


@policy.command("build")
@click.option("--number", type=click.IntRange(min=1), help="Number of the revision. Default: one above the active one.")
@click.option(
    "--policies",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of Rego sources, built with OPA. Default: the baseline that the package carries.",
)
@json_option
@pass_state
def build(state: State, number: int | None, policies: Path | None, as_json: bool) -> None:
    """Make a revision from policies, the configured catalogs, trusted issuers and security settings."""
    settings = state.settings
    with database(state) as engine:
        wanted = number or revisions.last_number(engine) + 1
    built = _artefacts(settings, policies)
    folder = revisions.build(settings, number=wanted, clock=state.clock, built=built)
    if as_json:
        print_json({"number": wanted, "folder": str(folder)})
    else:
        click.echo(f"revision {wanted} in {folder}: now `sidecar policy approve {wanted}` by two approvers")


def _artefacts(settings: Settings, policies: Path | None) -> Artefacts | None:
    """What OPA makes of a folder; None for the baseline."""
    if policies is None:
        return None
    binary = find_opa(settings)
    if binary is None:
        raise ConfigurationError(f"policy.opa_binary: there is no {settings.policy.opa_binary}; sources need OPA 1.x")
    return artefacts.build(policies, binary)


@policy.command("approve")
@_number
@click.option("--name", required=True, help="Who approves; a name of policy.approvers.")
@click.option("--key", required=True, type=click.Path(path_type=Path, exists=True), help="The approver's private key.")
@json_option
@pass_state
def approve(state: State, number: int, name: str, key: Path, as_json: bool) -> None:
    """Sign revision NUMBER after verifying that its files are those of its manifest."""
    file = revisions.approve(state.settings, number, name, read_ed25519_private(key))
    if as_json:
        print_json({"number": number, "approver": name, "file": str(file)})
    else:
        click.echo(f"revision {number} approved by {name}: {file}")


@policy.command("activate")
@_number
@click.option("--officer", default="", help="Who activates, for the ledger entry.")
@json_option
@pass_state
def activate(state: State, number: int, officer: str, as_json: bool) -> None:
    """Make approved revision NUMBER the active one, with its ledger entry.

    Runs the whole grid of attribute values through OPA, WebAssembly and the filter first, and refuses on a difference.
    Running servers take it up on SIGHUP or when they start again.
    """
    with database_and_ledger(state) as (engine, ledger):
        revision = _activate(state, engine, ledger, number, officer)
    if as_json:
        print_json(_facts(revision))
    else:
        click.echo(f"active: {revision.label}; running servers take it up on SIGHUP")


def _activate(state: State, engine: Engine, ledger: Ledger, number: int, officer: str) -> Revision:
    check = conformance(state.settings, state.clock)

    def shown(revision: Revision) -> None:
        for _ in progress([revision], "Comparing the engines over the grid …"):
            check(revision)

    return revisions.activate(
        state.settings, number, ledger=ledger, database=engine, clock=state.clock, conformance=shown, officer=officer
    )


@policy.command("show")
@json_option
@pass_state
def show(state: State, as_json: bool) -> None:
    """Show the active revision, verified anew, and those that wait for approvals or activation."""
    with database(state) as engine:
        last = revisions.last_number(engine)
        active = revisions.load_active(engine, state.settings) if last else None
    waiting = _waiting(state.settings, last)
    if as_json:
        print_json({"active": _facts(active) if active else None, "waiting": waiting})
        return
    rows = [(active.number, active.digest, "active")] if active else []
    rows += [(number, "", f"approved by {', '.join(names) or 'nobody yet'}") for number, names in waiting.items()]
    print_table("Revisions", ("number", "manifest", "state"), rows)


def _waiting(settings: Settings, last: int) -> dict[int, list[str]]:
    """Built revisions above the active one → who approved."""
    root = settings.path(settings.policy.revisions)
    numbers = sorted(int(folder.name) for folder in root.glob("[1-9]*") if folder.name.isdecimal())
    found = {}
    for number in numbers:
        if number > last:
            try:
                found[number] = sorted(revisions.read_candidate(settings, number).approvals)
            except RevisionUnapproved:
                found[number] = []
    return found


def _facts(revision: Revision) -> dict[str, object]:
    return {
        "number": revision.number,
        "digest": revision.digest,
        "label": revision.label,
        "catalogs": sorted(revision.catalogs),
        "source": revision.manifest.source,
    }
