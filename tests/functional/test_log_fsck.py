"""Tessera's ``fsck`` accepts the ledger, served under ``/log/`` and exported, and only as it was signed (C2SP tlog-tiles)."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from sidecar.demo import legacy
from sidecar.demo.people import HAN, WANG, ZHOU
from sidecar.demo.story import CASE, POLICE_CASE, VETTING
from sidecar.demo.world import World, wait_for
from tests.support.deployment import Books, deployment, letter, post, question, scalar
from tests.support.tools import find_kept

pytestmark = pytest.mark.functional

BUNDLE = Path("tile", "entries", "000.p")
ACCEPTED = "Successfully fsck'd log with size"


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with deployment("sqlite", "wasm") as made:
        yield made


@pytest.fixture(scope="module")
def exported(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("log") / "exported"
    world.cli("ledger", "export", "--format", "tiles", str(folder))
    return folder


def said(folder: Path) -> str:
    """What ``fsck`` logs about an exported log."""
    (verifier,) = folder.glob("*.vkey")
    return fsck(f"{folder.as_uri()}/", verifier)


def fsck(url: str, verifier: Path, *more: str) -> str:
    """What ``fsck`` logs; its exit status is 0 whatever it found."""
    command = [find_kept("fsck"), f"--storage_url={url}", f"--public_key={verifier}", "--ui=false", *more]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stderr


def test_an_outside_tool_accepts_the_served_log(world: World, exported: Path) -> None:
    (verifier,) = exported.glob("*.vkey")
    for _ in range(3):  # the log grows while it is served
        post(world, world.token(HAN), question(legacy.OPEN.SFZH, CASE, case_number=POLICE_CASE))
    wait_for("the checkpoint", lambda: served_size(world) >= 4)
    least = served_size(world)
    found = fsck(f"{world.url}/log/", verifier, f"--bearer_token={world.token(ZHOU)}")
    accepted = re.search(rf"{ACCEPTED} (\d+) ", found)
    assert accepted is not None, found
    assert int(accepted[1]) >= least


def served_size(world: World) -> int:
    answer = world.ask("GET", "/log/checkpoint", world.token(ZHOU))
    assert answer.status in {200, 404}
    return int(answer.body.decode().splitlines()[1]) if answer.status == 200 else 0


def test_without_a_prosecutors_token_the_outside_tool_sees_nothing(world: World, exported: Path) -> None:
    (verifier,) = exported.glob("*.vkey")
    assert ACCEPTED not in fsck(f"{world.url}/log/", verifier)
    assert ACCEPTED not in fsck(f"{world.url}/log/", verifier, f"--bearer_token={world.token(HAN)}")


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


def verified(world: World, *arguments: str) -> dict[str, Any]:
    """What ``sidecar ledger verify`` finds."""
    found: dict[str, Any] = json.loads(world.try_cli("ledger", "verify", "--json", *arguments).stdout)
    return found


def test_our_verifier_recomputes_the_alerts_and_the_signatures(world: World, exported: Path, tmp_path: Path) -> None:
    for _ in range(2):  # a letter for another person alerts
        other = letter(world, WANG, legacy.NOBODY, VETTING)
        assert post(world, world.token(WANG), question(legacy.OPEN.SFZH, VETTING, letter=other)).status == 403
    books = Books(world)
    assert len(books.news().alerts()) >= 2
    (verifier,) = exported.glob("*.vkey")
    keys = ("--verifier", str(verifier), "--checkpoint", str(exported / "checkpoint"))
    wait_for("the signature", lambda: served_size(world) == scalar(books.state, "SELECT size FROM ledger_state"))
    good = verified(world, *keys)
    assert (good["fault"], good["unjudged"]) == (None, 0)
    assert good["events"] >= 2
    assert good["checkpoints"] >= 1
    world.cli("ledger", "export", str(tmp_path / "lines"))
    seen = ("--size", str(good["size"]), "--root", good["root"])  # counted attempts may have been added meanwhile
    offline = verified(world, "--export", str(tmp_path / "lines"), *keys, *seen)
    assert (offline["fault"], offline["unjudged"]) == (None, offline["size"])
    assert offline["size"] >= good["size"]
    with books.state.begin() as connection:
        connection.execute(
            text(
                "DELETE FROM oversight_events WHERE seq >= (SELECT max(seq) FROM oversight_events WHERE type = :type)"
            ),
            {"type": "sealed-records.attempt.letter-subject-mismatch.v1"},
        )
    books.state.dispose()
    fault = verified(world, *keys)["fault"]
    assert fault["kind"] == "event"
    assert "raises sealed-records.attempt.letter-subject-mismatch.v1 (high), the feed has nothing" in fault["text"]
