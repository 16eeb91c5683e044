"""Find the outside programs that tests run; a missing one fails the test with the command that installs it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def tools_folder() -> Path:
    """The tools cache outside the checkout that ``make`` fills."""
    return Path(os.environ.get("SIDECAR_TOOLS", Path.home() / ".cache" / "sidecar-tools"))


def find(name: str) -> str:
    """Path of a program, from PATH or the tools cache.

    Raises:
        AssertionError: it is not there; CI must never skip.
    """
    found = shutil.which(name)
    return found or find_kept(name)


def find_kept(name: str) -> str:
    """Path of a program from the tools cache only, where PATH may have another of the same name.

    Raises:
        AssertionError: it is not there; CI must never skip.
    """
    found = shutil.which(name, path=str(tools_folder() / "bin"))
    assert found, f"{name} is not installed: run `make tools`"
    return found
