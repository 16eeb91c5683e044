"""The parent starts its children in order, keeps them running, and ends them in reverse."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

CHILD = """
import os, signal, sys
from sidecar.serve.process import die_with_parent
die_with_parent()
name = sys.argv[1]
def end(*_):
    os.write(log, b"end " + name.encode() + b"\\n")
    os._exit(0)
log = os.open("order.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
signal.signal(signal.SIGTERM, end)
os.write(log, b"start " + name.encode() + b"\\n")
while True:
    signal.pause()
"""

PARENT = """
import contextlib, os, sys
from pathlib import Path
from sidecar.clock import SystemClock
from sidecar.errors import RevisionUnapproved
from sidecar.serve import parent
from sidecar.settings import Settings

parent.COMMANDS = {name: (sys.executable, "-c", open("child.py").read(), name) for name in ("sequencer", "gateway")}

@contextlib.contextmanager
def engine():
    if Path("broken").exists():
        raise RevisionUnapproved("broken")
    os.write(log, b"start opa\\n")
    yield lambda: 4711
    os.write(log, b"end opa\\n")

log = os.open("order.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
def there(name):
    found = Path(name).exists()
    if found and name != "invalid":
        Path(name).unlink()
    return found

parent.RETRY_SECONDS = 0.05
parent.Parent(
    Settings(base=Path.cwd()), Path("sidecar.yaml"), SystemClock(), engine,
    stale=lambda: there("activated"), reloadable=lambda: not there("invalid"),
).run()
"""


class Serving:
    """A parent with two children that only wait."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "child.py").write_text(CHILD, encoding="ascii")
        self.process = subprocess.Popen([sys.executable, "-c", PARENT], cwd=folder)

    def running(self) -> dict[str, int | None]:
        try:
            found: dict[str, int | None] = json.loads((self.folder / "run" / "processes.json").read_text())
        except (OSError, ValueError):
            return {}
        return found

    def order(self) -> list[str]:
        try:
            return (self.folder / "order.log").read_text().splitlines()
        except OSError:
            return []


def until(ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not ready():
        assert time.monotonic() < deadline, "did not happen"
        os.sched_yield()


@pytest.fixture
def serving(tmp_path):
    made = Serving(tmp_path)
    until(lambda: len(made.order()) == 3 and all(made.running().get(n) for n in ("sequencer", "gateway")))
    yield made
    made.process.kill()
    made.process.wait()


def _gone(pid: int | None) -> bool:
    try:
        os.kill(pid or 0, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"


def test_it_ends_in_reverse_order_with_status_0(serving) -> None:
    assert serving.order()[0] == "start opa"
    assert serving.running()["opa"] == 4711
    serving.process.send_signal(signal.SIGTERM)
    assert serving.process.wait(20) == 0
    assert serving.order()[3:] == ["end gateway", "end sequencer", "end opa"]
    assert serving.running() == {}


def test_a_killed_child_is_started_again(serving) -> None:
    first = serving.running()["gateway"]
    assert first is not None
    os.kill(first, signal.SIGKILL)
    until(lambda: serving.order().count("start gateway") == 2)
    until(lambda: serving.running().get("gateway") not in {None, first})
    assert serving.order().count("start sequencer") == 1


def test_a_hangup_starts_everything_anew(serving) -> None:
    serving.process.send_signal(signal.SIGHUP)
    until(lambda: serving.order().count("start gateway") == 2)
    assert serving.order()[3:7] == ["end gateway", "end sequencer", "end opa", "start opa"]
    assert serving.process.poll() is None


def test_another_revision_starts_opa_and_sequencer_anew_and_leaves_the_gateway(serving) -> None:
    gateway = serving.running()["gateway"]
    (serving.folder / "activated").touch()
    until(lambda: serving.order().count("start sequencer") == 2)
    assert serving.order()[3:] == ["end sequencer", "end opa", "start opa", "start sequencer"]
    assert serving.running()["gateway"] == gateway


def test_an_engine_that_cannot_be_started_is_tried_again_while_the_gateway_denies(serving) -> None:
    gateway = serving.running()["gateway"]
    (serving.folder / "broken").touch()
    (serving.folder / "activated").touch()
    until(lambda: serving.running().get("opa") is None)
    assert serving.process.poll() is None
    (serving.folder / "broken").unlink()
    until(lambda: serving.order().count("start opa") == 2)
    until(lambda: serving.running().get("opa") == 4711)
    assert serving.running()["gateway"] == gateway


def test_a_hangup_with_settings_that_cannot_be_read_changes_nothing(serving) -> None:
    (serving.folder / "invalid").touch()
    serving.process.send_signal(signal.SIGHUP)
    (serving.folder / "activated").touch()  # looked at after the signal
    until(lambda: serving.order().count("start sequencer") == 2)
    assert serving.order().count("start gateway") == 1


def test_a_killed_parent_leaves_no_child(serving) -> None:
    children = [serving.running()[name] for name in ("sequencer", "gateway")]
    serving.process.kill()
    serving.process.wait()
    until(lambda: all(map(_gone, children)))


def test_metrics_of_an_earlier_run_are_gone(tmp_path) -> None:
    old = tmp_path / "run" / "metrics" / "counter_1.db"
    old.parent.mkdir(parents=True)
    old.touch()
    made = Serving(tmp_path)
    until(lambda: bool(made.running().get("gateway")))
    made.process.send_signal(signal.SIGTERM)
    made.process.wait(20)
    assert not old.exists()
