"""What every command is given: the settings, the clock, and how it prints."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.progress import track
from rich.table import Table

from sidecar.clock import Clock, SystemClock
from sidecar.errors import ConfigurationError
from sidecar.settings import Settings, load

DEFAULT_FILE = Path("sidecar.yaml")
T = TypeVar("T")


class State:
    """The settings, read when a command first asks for them."""

    def __init__(self, config: Path | None, clock: Clock | None = None) -> None:
        self._named = config
        self._settings: Settings | None = None
        self.clock: Clock = clock or SystemClock()

    @property
    def config(self) -> Path | None:
        """The settings file: named, or ``sidecar.yaml`` here, or none."""
        return self._named or (DEFAULT_FILE if DEFAULT_FILE.is_file() else None)

    @property
    def file(self) -> Path:
        """The settings file, for commands that hand it on to child processes.

        Raises:
            ConfigurationError: there is none.
        """
        if self.config is None:
            raise ConfigurationError("no settings file: name one with --config FILE, before the command")
        return self.config

    @property
    def settings(self) -> Settings:
        """The settings tree."""
        if self._settings is None:
            self._settings = load(self.config)
        return self._settings


pass_state = click.make_pass_decorator(State)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def print_json(value: Any) -> None:
    """One JSON document on standard output, keys sorted."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True))


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table for people."""
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*map(str, row))
    Console().print(table)


def progress(items: Iterable[T], description: str, total: int | None = None) -> Iterable[T]:
    """The items, with a progress bar on standard error where it is a terminal."""
    console = Console(stderr=True)
    return track(items, description, total=total, console=console, transient=True, disable=not console.is_terminal)
