"""``sidecar keys``: make and rotate key files (0600, never overwritten)."""

from __future__ import annotations

from pathlib import Path

import click

from sidecar.cli.context import State, json_option, pass_state, print_json
from sidecar.keys import generate as make
from sidecar.law.days import beijing_day

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
    """The deployment's own keys: receipts, cursors, pseudonyms of this year."""
    year = beijing_day(state.clock.now()) // 10000
    _tell(as_json, files=make.create_ring(_directory(state, None), year))


@generate.command("signing")
@click.argument("name")
@_folder
@json_option
@pass_state
def signing(state: State, name: str, directory: Path | None, as_json: bool) -> None:
    """An Ed25519 key pair of an approver, a unit or an issuer: NAME.pem and NAME.pub.pem."""
    made = make.create_signing_key(_directory(state, directory), name)
    _tell(as_json, files=[made.private, made.public], kid=made.kid)


@generate.command("dossier")
@click.argument("name")
@_folder
@json_option
@pass_state
def dossier(state: State, name: str, directory: Path | None, as_json: bool) -> None:
    """An age identity NAME.age for which dossiers are sealed; keep it off the gateway's machine."""
    file = _directory(state, directory) / f"{name}.age"
    _tell(as_json, files=[file], recipient=make.create_age_identity(file))


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
