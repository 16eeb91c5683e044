"""``sidecar demo``: a county to try everything on."""

from __future__ import annotations

import os
from pathlib import Path

import click
from rich.console import Console

from sidecar.demo.people import PEOPLE
from sidecar.demo.run import run
from sidecar.demo.steps import STEPS
from sidecar.demo.world import DemoFailed, fetch_token

DEFAULT_FOLDER = Path(".demo")
_folder = click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the demo's state. Default: that of --config, else .demo.",
)


@click.group(invoke_without_command=True)
@click.option("--once", is_flag=True, help="End after the story; exit status 0 only if every step went as told.")
@click.option("--again", is_flag=True, help="Use the world that is in the folder, being served or not.")
@click.option("--only", multiple=True, type=click.Choice(list(STEPS)), help="Tell this step alone; again for more.")
@_folder
@click.pass_context
def demo(ctx: click.Context, /, *, folder: Path | None, once: bool, again: bool, only: tuple[str, ...]) -> int:
    """Make a county's legacy database, units and officers, tell the story step by step, then serve until Ctrl-C.

    DEMO_DB=postgresql|sqlite and DEMO_ENGINE=opa|wasm force its parts; DEMO_BREAK=STEP breaks that step's world.
    """
    if ctx.invoked_subcommand is not None:
        return 0
    return run(_chosen(ctx, folder), os.environ, Console(), once=once, reuse=again, only=only)


@demo.command("token")
@click.argument("person", type=click.Choice([person.name for person in PEOPLE]))
@_folder
@click.pass_context
def token(ctx: click.Context, person: str, folder: Path | None) -> None:
    """Print a fresh token of PERSON, valid for ten minutes, while the demo serves."""
    address = _chosen(ctx, folder) / "idp.url"
    if not address.is_file():
        raise DemoFailed(f"{address.parent}: there is no demo here; run `make demo`")
    click.echo(fetch_token(address.read_text(encoding="ascii"), person))


def _chosen(ctx: click.Context, folder: Path | None) -> Path:
    config: Path | None = ctx.find_root().params.get("config")
    return folder or (config.parent if config else DEFAULT_FOLDER)
