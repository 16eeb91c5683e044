"""``sidecar ledger origins``, ``approve``, ``new-origin`` and ``destroy``: the ledger's years, and what two persons decide."""

from __future__ import annotations

import base64
import json
from contextlib import closing
from pathlib import Path
from typing import Any

import click
import jwt
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from sidecar.cli.context import State, json_option, pass_state, print_json, progress
from sidecar.cli.database import database, database_and_ledger
from sidecar.errors import ConfigurationError, LedgerUnavailable
from sidecar.keys.files import read_ed25519_private
from sidecar.ledger import origins, retire
from sidecar.ledger.checkpoint import Checkpoint, open_checkpoint
from sidecar.ledger.evidence import read_key
from sidecar.ledger.note import NoteInvalid, verifier
from sidecar.ledger.origins import Origin
from sidecar.ledger.signed import SignedFile
from sidecar.ledger.verify import Export, Keys, verify
from sidecar.oversight.projector import AlertProjector
from sidecar.policy.manifest import approver_keys, check_approvals, sign
from sidecar.policy.open import open_engine
from sidecar.policy.revisions import load_active
from sidecar.storage.engine import reading

_file = click.Path(path_type=Path, exists=True, dir_okay=False)
_checkpoint = click.option("--checkpoint", type=_file, help="The newest signed checkpoint that was kept elsewhere.")
_approvals = click.option(
    "--approval",
    "approvals",
    type=_file,
    multiple=True,
    required=True,
    help="Made by `ledger approve`; two are needed.",
)


def _all(engine: Engine) -> list[Origin]:
    try:
        with reading(engine).connect() as connection:
            return origins.all_of(connection)
    except SQLAlchemyError as exc:
        raise LedgerUnavailable("the state database does not answer, or `sidecar db upgrade` has not run") from exc


@click.command("origins")
@json_option
@pass_state
def listed(state: State, as_json: bool) -> None:
    """List the ledger's logs, one a year, with their verifier keys, and the key of the year to come."""
    with database(state) as engine:
        known = _all(engine)
    found = [{**_facts(each), "verifier": _verifier(state, each.name)} for each in known]
    following = f"{state.settings.deployment.id}/{known[-1].year + 1}"
    if as_json:
        print_json({"origins": found, "next": {"origin": following, "verifier": _verifier(state, following)}})
        return
    for each in found:
        ended = f"{each['size']} entries, closed: {each['closed']}" if each["closed"] else "present"
        click.echo(f"{each['origin']}: {ended}{', destroyed' if each['destroyed'] else ''}: {each['verifier']}")
    click.echo(f"{following}: to come: {_verifier(state, following)}")


def _facts(origin: Origin) -> dict[str, Any]:
    root = base64.b64encode(origin.root).decode("ascii")
    facts = {"origin": origin.name, "label": origin.label, "closed": origin.reason, "size": origin.size, "root": root}
    return {**facts, "destroyed": bool(origin.destroyed)}


def _verifier(state: State, name: str) -> str:
    file = state.settings.path(state.settings.ledger.log_key)
    return str(verifier(name, read_ed25519_private(file).public_key())) if file.exists() else ""


@click.command("approve")
@click.argument("what", type=click.Choice(["new-origin", "destroy"]))
@click.argument("origin", default="")
@_checkpoint
@click.option("--name", required=True, help="Who approves; a name of policy.approvers.")
@click.option("--key", required=True, type=_file, help="The approver's private key.")
@click.option("--output", required=True, type=click.Path(path_type=Path, dir_okay=False), help="File for the approval.")
@pass_state
def approve(state: State, /, what: str, origin: str, **given: Any) -> None:
    """Approve the destruction of a closed ORIGIN, or a new origin in place of one that contradicts a --checkpoint."""
    with database(state) as engine:
        statement = (
            _to_destroy(_one(engine, origin)) if what == "destroy" else _to_begin(_seen(state, given["checkpoint"]))
        )
    name, output = given["name"], given["output"]
    output.write_text(sign(statement, name, read_ed25519_private(given["key"])) + "\n", encoding="ascii")
    click.echo(f"{statement.decode()}: approved by {name}: {output}")


def _one(engine: Engine, which: str) -> Origin:
    try:
        with reading(engine).connect() as connection:
            return origins.named(connection, which)
    except SQLAlchemyError as exc:
        raise LedgerUnavailable("the state database does not answer, or `sidecar db upgrade` has not run") from exc


def _to_destroy(origin: Origin) -> bytes:
    return _statement("destroy", Checkpoint(origin.name, origin.size, origin.root))


def _to_begin(seen: Checkpoint) -> bytes:
    return _statement("new-origin", seen)


def _statement(action: str, tree: Checkpoint) -> bytes:
    """What approvers sign."""
    root = base64.b64encode(tree.root).decode("ascii")
    return json.dumps(
        {"action": action, "origin": tree.origin, "root": root, "size": tree.size},
        sort_keys=True,
        separators=(",", ":"),
    ).encode()


def _seen(state: State, file: Path | None) -> Checkpoint:
    """A checkpoint of this deployment, signed by its log key."""
    if file is None:
        raise click.UsageError("--checkpoint is needed: the newest one that a witness or a reader has kept")
    note = file.read_bytes()
    name = note.partition(b"\n")[0].decode(errors="replace")
    key = read_ed25519_private(state.settings.path(state.settings.ledger.log_key)).public_key()
    if origins.family(name) != state.settings.deployment.id:
        raise ConfigurationError(f"{file}: expected a checkpoint of {state.settings.deployment.id}, got one of {name}")
    try:
        return open_checkpoint(note, verifier(name, key))
    except NoteInvalid as exc:
        raise ConfigurationError(f"{file}: {exc}") from exc


def _approved(state: State, statement: bytes, files: tuple[Path, ...]) -> str:
    """The approvers' names."""
    given: dict[str, str] = {}
    for file in files:
        approval = file.read_text(encoding="ascii").strip()
        try:
            given[str(jwt.get_unverified_header(approval).get("kid"))] = approval
        except jwt.PyJWTError as exc:
            raise ConfigurationError(f"{file}: expected an approval") from exc
    return ", ".join(check_approvals(statement, given, approver_keys(state.settings)))


@click.command("new-origin")
@_checkpoint
@_approvals
@pass_state
def new_origin(state: State, checkpoint: Path | None, approvals: tuple[Path, ...]) -> None:
    """Close a log that contradicts a signed --checkpoint, keep it as evidence, and begin a new origin that quotes both.

    For after a rollback, when what was lost cannot be brought back, together with the procuratorate. The service must
    be stopped. Two approvers must have signed for this very checkpoint.
    """
    settings, seen = state.settings, _seen(state, checkpoint)
    approvers = _approved(state, _to_begin(seen), approvals)
    signed = SignedFile(settings.path(settings.ledger.signed_file))
    with (
        database(state) as engine,
        closing(open_engine(settings, load_active(engine, settings), clock=state.clock)) as policy,
    ):
        projectors = [AlertProjector(policy, settings.deployment.id)]
        opened = retire.begin_anew(engine, state.clock, projectors, signed, seen=seen, approvers=approvers)
    click.echo(f"{opened.name} begins: {_verifier(state, opened.name)}")


@click.command("destroy")
@click.argument("origin")
@click.option(
    "--export",
    "exported",
    required=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Its export as lines, which is verified first and must be kept.",
)
@_approvals
@pass_state
def destroy(state: State, origin: str, exported: Path, approvals: tuple[Path, ...]) -> None:
    """Destroy the entries, alerts and sealed inputs of a closed ORIGIN whose retention is over.

    Its last checkpoint stays, and an entry says who approved it. Runs as the tables' owner; no serving role may delete.
    """
    settings = state.settings
    with database_and_ledger(state) as (engine, ledger):
        found = _one(engine, origin)
        approvers = _approved(state, _to_destroy(found), approvals)
        if not found.destroyed:
            quorum = settings.ledger.quorum if settings.ledger.witnesses else 0
            with reading(engine).connect() as connection:
                retire.check_ripe(connection, found, state.clock.now(), settings.ledger.retention_years, quorum)
            for folder in progress([exported], "Verifying the export …"):
                _check_export(state, folder, found)
        retire.destroy(engine, ledger, state.clock, found, approvers=approvers)
    click.echo(f"{found.name} is destroyed; keep {exported}")


def _check_export(state: State, folder: Path, origin: Origin) -> None:
    log = read_ed25519_private(state.settings.path(state.settings.ledger.log_key)).public_key()
    try:
        keys = Keys(read_key(str(verifier(origin.name, log))))
        retire.check_export(origin, verify(Export(folder), keys=keys))
    except (ValueError, KeyError, TypeError, OSError) as exc:
        raise ConfigurationError(f"{folder}: cannot be read as an export: {type(exc).__name__}") from exc
