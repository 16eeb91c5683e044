"""``sidecar ledger``: verify, export and prove the audit ledger."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress
from sqlalchemy import Engine, select
from sqlalchemy.exc import SQLAlchemyError

from sidecar.cli.context import State, json_option, pass_state, print_json
from sidecar.cli.database import database
from sidecar.cli.judge import RevisionJudge
from sidecar.cli.proof import prove, verifier_key
from sidecar.cli.years import approve, destroy, listed, new_origin
from sidecar.errors import ConfigurationError, LedgerUnavailable
from sidecar.keys.files import read_ed25519_private
from sidecar.ledger.evidence import EvidenceInvalid, read_checkpoint
from sidecar.ledger.export import export as write_export
from sidecar.ledger.open import check_origin
from sidecar.ledger.origins import named
from sidecar.ledger.publish import publish
from sidecar.ledger.signed import SignedFile
from sidecar.ledger.verify import Export, Kept, Keys, Report, verify_origins
from sidecar.ledger.verify import verify as verify_source
from sidecar.policy.tables import REVISIONS
from sidecar.storage.engine import reading

_ACTIVATED = select(REVISIONS.c.label).order_by(REVISIONS.c.number)


@click.group()
def ledger() -> None:
    """Verify and export the audit ledger, and prove its entries."""


for command in (prove, listed, approve, new_origin, destroy):
    ledger.add_command(command)


_file = click.Path(path_type=Path, exists=True, dir_okay=False)


@ledger.command("verify")
@click.option(
    "--export",
    "exported",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Verify this exported folder instead of the state database.",
)
@click.option("--size", type=click.IntRange(min=0), help="Size that was kept elsewhere, with --root.")
@click.option("--root", help="Root (base64) that was kept elsewhere; the ledger must begin with that tree.")
@click.option(
    "--checkpoint",
    "checkpoints",
    type=_file,
    multiple=True,
    help="Signed checkpoint that was kept elsewhere, e.g. by a witness; needs --verifier.",
)
@click.option("--verifier", type=_file, help="The log's verifier key (*.vkey), to check signatures with.")
@click.option("--witness", "witnesses", type=_file, multiple=True, help="A witness's verifier key. May be repeated.")
@json_option
@pass_state
def verify(state: State, /, *, exported: Path | None, as_json: bool, **given: Any) -> int:
    """Verify every entry, chain, position, event and checkpoint; exit status 1 where anything is wrong.

    On the state database the logs of all years that are not destroyed are verified, the alerts are recomputed by the
    revisions that are at hand, and the tree is compared with the last one that was signed. A log that was closed after a
    rollback is evidence: what is wrong with it is told, and does not count.
    """
    keys = _keys(given["verifier"], given["witnesses"])
    kept = _kept(given["size"], given["root"], given["checkpoints"], keys)
    with _bar() as bar:
        task = bar.add_task("Verifying …", total=None)
        options: dict[str, Any] = {
            "kept": kept,
            "keys": keys,
            "progress": lambda done, total: bar.update(task, completed=done, total=total),
        }
        reports = [_from_export(exported, options)] if exported else _from_database(state, options)
    _tell(reports, as_json)
    return 0 if all(report.ok or report.frozen for report in reports) else 1


def _keys(verifier: Path | None, witnesses: tuple[Path, ...]) -> Keys | None:
    if verifier is None:
        return None
    return Keys(verifier_key(verifier), tuple(verifier_key(file) for file in witnesses))


def _kept(size: int | None, root: str | None, checkpoints: tuple[Path, ...], keys: Keys | None) -> list[Kept]:
    """What was kept elsewhere, its signatures checked."""
    if (size is None) != (root is None):
        raise click.UsageError("--size and --root belong together")
    if checkpoints and keys is None:
        raise click.UsageError("--checkpoint needs --verifier")
    found = [_signed(file, keys) for file in checkpoints if keys]
    if size is not None and root is not None:
        try:
            found.append(Kept("--root", size, base64.b64decode(root, validate=True)))
        except ValueError as exc:
            raise click.UsageError("--root: expected base64") from exc
    return found


def _signed(file: Path, keys: Keys) -> Kept:
    try:
        note = file.read_bytes()
        ours = keys.of(note.partition(b"\n")[0].decode(errors="replace"))
        found = read_checkpoint(note, ours.log, ours.witnesses)
    except EvidenceInvalid as exc:
        raise ConfigurationError(f"{file}: {exc}") from exc
    return Kept(str(file), found.size, found.root, found.origin)


def _from_database(state: State, options: dict[str, Any]) -> list[Report]:
    settings = state.settings
    file = settings.path(settings.ledger.signed_file)
    with database(state) as engine:
        try:
            if file.exists():
                last = SignedFile(file).last()
                options["kept"].append(Kept("ledger.signed_file", last.size, last.root, last.origin))
            with reading(engine).connect() as connection:
                labels = connection.execute(_ACTIVATED).scalars().all()
            with contextlib.closing(RevisionJudge(settings, labels)) as judge:
                return verify_origins(engine, judge=judge, **options)
        except SQLAlchemyError as exc:
            raise LedgerUnavailable("the state database does not answer, or `sidecar db upgrade` has not run") from exc


def _from_export(folder: Path, options: dict[str, Any]) -> Report:
    if not (folder / "manifest.json").is_file():
        raise ConfigurationError(f"{folder}: holds no manifest.json; the export was broken off, export again")
    try:
        return verify_source(Export(folder), **options)
    except (ValueError, KeyError, TypeError, OSError) as exc:
        raise ConfigurationError(f"{folder}: cannot be read as an export: {type(exc).__name__}") from exc


def _tell(reports: list[Report], as_json: bool) -> None:
    """The first one that is at fault, else the present one; the others behind it."""
    chief = next((report for report in reports if not report.ok and not report.frozen), reports[-1])
    if as_json:
        print_json({**_document(chief), "origins": [_document(report) for report in reports]})
        return
    for report in reports:
        _say(report)


def _document(report: Report) -> dict[str, Any]:
    fault, root = report.fault, base64.b64encode(report.root).decode("ascii")
    counts = {"writers": report.writers, "pending": report.pending, "events": report.events}
    counts |= {"checkpoints": report.checkpoints, "unjudged": report.unjudged}
    facts = {"origin": report.origin, "size": report.size, "root": root, "ok": report.ok, **counts}
    shown = {"kind": fault.kind, "position": fault.position, "text": fault.text} if fault else None
    return {**facts, "closed": report.head.reason, "fault": shown}


def _say(report: Report) -> None:
    evidence = " (closed for it, kept as evidence)" if report.frozen else ""
    if report.fault:
        fault = report.fault
        click.echo(f"{report.origin}: NOT intact{evidence}: {fault.kind} at {fault.position}: {fault.text}")
        return
    root = base64.b64encode(report.root).decode("ascii")
    click.echo(
        f"{report.origin}: intact: {report.size} entries of {report.writers} writers, {report.pending} waiting, "
        f"{report.events} events, {report.checkpoints} checkpoints, root {root}"
    )
    if report.unjudged:
        click.echo(f"alerts of {report.unjudged} entries were not recomputed: their revision is not at hand")


@ledger.command("export")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--format",
    "form",
    type=click.Choice(["lines", "tiles"]),
    default="lines",
    show_default=True,
    help="JSON lines for `ledger verify --export`, or tiles with a signed checkpoint for outside tools.",
)
@click.option("--origin", default="", help="Which year's log, by its label or name. Default: the present one.")
@json_option
@pass_state
def export(state: State, folder: Path, form: str, origin: str, as_json: bool) -> None:
    """Write a log of the ledger to an empty FOLDER, to be verified without the database."""
    with database(state) as engine, _bar() as bar:
        task = bar.add_task("Exporting …", total=None)
        write = _write_tiles if form == "tiles" else _write_lines
        facts = write(state, engine, folder, _named(engine, origin), lambda done: bar.update(task, completed=done))
    if as_json:
        print_json({"folder": str(folder), **facts})
    else:
        click.echo(f"{facts['size']} entries in {folder}" + (f", root {facts['root']}" if "root" in facts else ""))


def _named(engine: Engine, which: str) -> str:
    """Name of the origin whose log is exported; empty for the present one."""
    if not which:
        return ""
    try:
        with reading(engine).connect() as connection:
            origin = named(connection, which)
    except SQLAlchemyError as exc:
        raise LedgerUnavailable("the state database does not answer, or `sidecar db upgrade` has not run") from exc
    if origin.destroyed:
        raise ConfigurationError(f"{origin.name} was destroyed; take its export")
    return origin.name


Progressed = Callable[[int], None]


def _write_lines(_: State, engine: Engine, folder: Path, origin: str, progress: Progressed) -> dict[str, Any]:
    return {"size": write_export(engine, folder, progress, origin=origin)}


def _write_tiles(state: State, engine: Engine, folder: Path, origin: str, progress: Progressed) -> dict[str, Any]:
    settings = state.settings
    check_origin(engine, settings.deployment.id)
    key = read_ed25519_private(settings.path(settings.ledger.log_key))
    done = publish(engine, folder, key, SignedFile(settings.path(settings.ledger.signed_file)), progress, origin=origin)
    return {"size": done.size, "root": base64.b64encode(done.root).decode("ascii")}


def _bar() -> Progress:
    console = Console(stderr=True)
    return Progress(console=console, transient=True, disable=not console.is_terminal)
