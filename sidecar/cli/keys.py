"""``sidecar keys``: make and rotate key files (0600, never overwritten)."""

from __future__ import annotations

from pathlib import Path

import click

from sidecar.cli.context import State, json_option, pass_state, print_json
from sidecar.keys import generate as make
from sidecar.law.days import beijing_day
from sidecar.ledger.note import verifier
from sidecar.ledger.signed import nothing_signed

_folder = click.option(
    "--directory", type=click.Path(path_type=Path, file_okay=False), help="Folder. Default: keys.directory."
)


@click.group()
def keys() -> None:
    """Make and rotate key files."""


@keys.group("generate")
def generate() -> None:
    """Make key files; one that exists is never overwritten."""


@generate.command("ring")
@json_option
@pass_state
def ring(state: State, as_json: bool) -> None:
    """The deployment's own keys: receipts, cursors, applications, pseudonyms of this year."""
    year = beijing_day(state.clock.now()) // 10000
    _tell(as_json, files=make.create_ring(_directory(state, None), year))


@generate.command("application")
@json_option
@pass_state
def application(state: State, as_json: bool) -> None:
    """The key of applications alone, for a ring that was made before there was one."""
    _tell(as_json, files=[make.add_application_key(_directory(state, None))])


@generate.command("log")
@json_option
@pass_state
def log(state: State, as_json: bool) -> None:
    """The log key, which signs checkpoints of the ledger, at ledger.log_key; prints its verifier key."""
    settings, origin = state.settings, state.settings.deployment.id
    file = settings.path(settings.ledger.log_key)
    public = make.create_log_key(file, settings.path(settings.ledger.signed_file), nothing_signed(origin))
    _tell(as_json, files=[file], verifier=str(verifier(origin, public)))


@generate.command("signing")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@_folder
@json_option
@pass_state
def signing(state: State, names: tuple[str, ...], directory: Path | None, as_json: bool) -> None:
    """Ed25519 key pairs of approvers, units or issuers: NAME.pem and NAME.pub.pem."""
    folder = _directory(state, directory)
    made = {name: make.create_signing_key(folder, name) for name in names}
    if as_json:
        print_json(
            {name: {"kid": k.kid, "private": str(k.private), "public": str(k.public)} for name, k in made.items()}
        )
    else:
        for name, key in made.items():
            click.echo(f"{name}: {key.private}, {key.public}, kid {key.kid}")


@generate.command("dossier")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@_folder
@json_option
@pass_state
def dossier(state: State, names: tuple[str, ...], directory: Path | None, as_json: bool) -> None:
    """Age identities NAME.age for which dossiers are sealed; keep them off the gateway's machine."""
    files = {name: _directory(state, directory) / f"{name}.age" for name in names}
    made = {name: {"file": str(file), "recipient": make.create_age_identity(file)} for name, file in files.items()}
    if as_json:
        print_json(made)
    else:
        for name, identity in made.items():
            click.echo(f"{name}: {identity['file']}, recipient {identity['recipient']}")


@keys.group("rotate")
def rotate() -> None:
    """Put new keys in the place of old ones."""


@rotate.command("receipt")
@json_option
@pass_state
def receipt(state: State, as_json: bool) -> None:
    """A new receipt key; the old public key is kept, so that old receipts still verify."""
    _tell(as_json, kid=make.rotate_receipt(_directory(state, None)))


@rotate.command("cursor")
@pass_state
def cursor(state: State) -> None:
    """A new cursor key; cursors handed out before are refused."""
    make.rotate_cursor(_directory(state, None))


@rotate.command("pseudonym")
@click.argument("year", type=click.IntRange(2020, 2999))
@json_option
@pass_state
def pseudonym(state: State, year: int, as_json: bool) -> None:
    """The pseudonym key of a further YEAR, made before the year begins."""
    _tell(as_json, files=[make.add_pseudonym_year(_directory(state, None), year)])


def _directory(state: State, named: Path | None) -> Path:
    return named or state.settings.path(state.settings.keys.directory)


def _tell(as_json: bool, files: list[Path] | None = None, **facts: str) -> None:
    """Say what was made."""
    if as_json:
        print_json({**facts, **({"files": [str(file) for file in files]} if files else {})})
        return
    for file in files or []:
        click.echo(file)
    for name, value in facts.items():
        click.echo(f"{name}: {value}")
