"""The ``sidecar`` command group; a subcommand's module is imported when the subcommand is called."""

from __future__ import annotations

import importlib
from pathlib import Path

import click

from sidecar import __version__
from sidecar.cli.context import State

COMMANDS = {
    "bypass-watch": "sidecar.cli.bypass:bypass_watch",
    "check": "sidecar.cli.operate:check",
    "db": "sidecar.cli.operate:db",
    "demo": "sidecar.demo.command:demo",
    "doctor": "sidecar.cli.operate:doctor",
    "init": "sidecar.cli.init:init",
    "keys": "sidecar.cli.keys:keys",
    "ledger": "sidecar.cli.ledger:ledger",
    "letter": "sidecar.cli.letter:letter",
    "openapi": "sidecar.cli.operate:openapi",
    "papers": "sidecar.cli.papers:papers",
    "policy": "sidecar.cli.policy:policy",
    "register": "sidecar.cli.papers:register",
    "serve": "sidecar.cli.operate:serve",
    "units": "sidecar.cli.registry:units",
    "witness": "sidecar.cli.witness:witness",
}
"""Subcommand → where it is defined. Imported late: `sidecar --help` need not load engines and drivers."""


class LazyGroup(click.Group):
    """A group that imports a subcommand when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, alphabetical."""
        del ctx
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        command = getattr(importlib.import_module(module), name)
        if not isinstance(command, click.Command):
            raise TypeError(f"{module}.{name}: expected a command, got {type(command).__name__}")
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(__version__, prog_name="sidecar")
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="SIDECAR_CONFIG",
    help="Settings file (YAML). Default: $SIDECAR_CONFIG, else sidecar.yaml in this folder where there is one.",
)
@click.pass_context
def cli(ctx: click.Context, config: Path | None) -> None:
    """Keeps sealed juvenile criminal records sealed: decides, redacts and records every inquiry."""
    ctx.obj = State(config)
