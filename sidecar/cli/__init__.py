"""The command line: exit status 0 only on success, errors in one line with the fix, ``--json`` where data is printed."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from sidecar.cli.root import cli
from sidecar.errors import SidecarError
from sidecar.settings import SettingsInvalid

__all__ = ["cli", "main"]

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status. The entry point of the ``sidecar`` program."""
    try:
        result = cli.main(
            args=None if arguments is None else list(arguments), prog_name="sidecar", standalone_mode=False
        )
    except click.UsageError as exc:
        return _usage(exc)
    except click.ClickException as exc:
        return _fail(exc.format_message(), exc.exit_code)
    except (click.Abort, KeyboardInterrupt):
        return _fail("interrupted", INTERRUPTED)
    except (SettingsInvalid, SidecarError, OSError) as exc:
        return _fail(_explain(exc))
    return result if isinstance(result, int) else 0


def _explain(exc: SettingsInvalid | SidecarError | OSError) -> str:
    """One line about an error that an operator can mend."""
    if isinstance(exc, SidecarError):
        return exc.diagnostics()
    if isinstance(exc, SettingsInvalid):
        return f"configuration-invalid: {exc}"
    return f"{exc.filename or 'system'}: {exc.strerror or exc}"


def _usage(exc: click.UsageError) -> int:
    """What is wrong with the command line, and where its help is."""
    if isinstance(exc, click.exceptions.NoArgsIsHelpError):
        click.echo(exc.format_message(), err=True)
        return exc.exit_code
    path = exc.ctx.command_path if exc.ctx else "sidecar"
    return _fail(f"{exc.format_message()} (see `{path} --help`)", exc.exit_code)


def _fail(text: str, status: int = 1) -> int:
    click.echo(f"error: {' '.join(text.split())}", err=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
