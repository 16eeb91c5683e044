"""Tessera's ``fsck`` accepts the ledger exported as a tiled log (C2SP tlog-tiles), and only as it was signed."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from sidecar.demo.world import World
from tests.support.deployment import deployment
from tests.support.tools import find_kept

pytestmark = pytest.mark.functional

BUNDLE = Path("tile", "entries", "000.p")
ACCEPTED = "Successfully fsck'd log with size"


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("log") / "exported"
    with deployment("sqlite", "wasm") as world:
        _export(world, folder)
    return folder


def _export(world: World, folder: Path) -> None:
    world.cli("keys", "generate", "log")
    world.cli("ledger", "export", "--format", "tiles", str(folder))


def said(folder: Path) -> str:
    """What ``fsck`` logs about a log; its exit status is 0 whatever it found."""
    (verifier,) = folder.glob("*.vkey")
    command = [find_kept("fsck"), f"--storage_url={folder.as_uri()}/", f"--public_key={verifier}", "--ui=false"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stderr


def test_an_outside_tool_accepts_the_exported_log(exported: Path) -> None:
    size = int((exported / "checkpoint").read_text(encoding="utf-8").splitlines()[1])
    assert size > 0
    assert f"{ACCEPTED} {size} " in said(exported)


def _entry_changed(folder: Path) -> None:
    (bundle,) = (folder / BUNDLE).iterdir()
    content = bytearray(bundle.read_bytes())
    content[-1] ^= 1
    bundle.write_bytes(content)


def _entry_dropped(folder: Path) -> None:
    (bundle,) = (folder / BUNDLE).iterdir()
    content = bundle.read_bytes()
    bundle.write_bytes(content[2 + int.from_bytes(content[:2], "big") :])


def _size_lowered(folder: Path) -> None:
    checkpoint = folder / "checkpoint"
    origin, size, *rest = checkpoint.read_text(encoding="utf-8").split("\n")
    checkpoint.write_text("\n".join([origin, str(int(size) - 1), *rest]), encoding="utf-8")


@pytest.mark.parametrize("tamper", [_entry_changed, _entry_dropped, _size_lowered])
def test_an_outside_tool_refuses_a_log_that_was_tampered_with(
    exported: Path, tmp_path: Path, tamper: Callable[[Path], None]
) -> None:
    copy = tmp_path / "log"
    shutil.copytree(exported, copy)
    assert ACCEPTED in said(copy)
    tamper(copy)
    assert ACCEPTED not in said(copy)
