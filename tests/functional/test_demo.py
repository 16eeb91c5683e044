"""The demo passes on every combination, and fails whenever one step's world is broken."""

from __future__ import annotations

import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from sidecar.demo.exchange import exchange
from sidecar.demo.postgres import PostgresCluster
from sidecar.demo.steps import STEPS
from tests.support.opa import opa_path

pytestmark = pytest.mark.functional

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 600


def environment(database: str, engine: str, broken: str = "") -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DEMO_", "SIDECAR_"))}
    chosen = {"DEMO_DB": database, "DEMO_ENGINE": engine, "DEMO_BREAK": broken, "COLUMNS": "200"}
    return {**kept, **chosen, **({"SIDECAR_OPA": str(opa_path())} if engine == "opa" else {})}


def demo(folder: Path, env: dict[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sidecar.cli", "demo", "--once", "--folder", str(folder), *options]
    return subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False)


def leftovers(folder: Path) -> list[str]:
    """Processes that a demo in this folder left."""
    found = []
    for process in psutil.process_iter(["cmdline", "environ"]):
        text = " ".join(process.info["cmdline"] or []) + str((process.info["environ"] or {}).get("SIDECAR_CONFIG", ""))
        if str(folder) in text and process.pid != os.getpid():
            found.append(text)
    return found


@pytest.fixture
def folder(tmp_path):
    yield tmp_path / "demo"
    cluster = PostgresCluster(tmp_path / "demo" / "postgres")
    cluster.stop("immediate")
    shutil.rmtree(cluster.directory, ignore_errors=True)


@pytest.mark.parametrize(("database", "engine"), [("postgresql", "opa"), ("postgresql", "wasm")])
def test_every_step_goes_as_told(folder, database, engine) -> None:
    done = demo(folder, environment(database, engine))
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"All {len(STEPS)} steps went as told" in done.stdout
    assert leftovers(folder) == []


@dataclass(frozen=True)
class Served:
    """A world that ``make demo`` made, told and serves, on a machine with Python alone.

    Attributes:
        folder: the demo's.
        told: what it printed.
        warned: what it wrote to standard error.
    """

    folder: Path
    told: str
    warned: str


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """The tools' folder is empty, PATH has no OPA, Go or PostgreSQL, and the network is closed."""
    root = tmp_path_factory.mktemp("served")
    tools = root / "bin"
    tools.mkdir()
    for name in ("bash", "env", "make", "sh"):
        (tools / name).symlink_to(shutil.which(name) or name)
    env = environment("", "")
    env |= {"PATH": str(tools), "SIDECAR_TOOLS": str(root / "none"), "DEMO_DB": "sqlite"}
    env |= {"https_proxy": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9"}
    command = ["make", "demo", f"PYTHON={sys.executable}", f"DEMO_FOLDER={root / 'demo'}"]
    with (
        (root / "stderr").open("w") as stderr,
        subprocess.Popen(command, env=env, cwd=ROOT, stdout=subprocess.PIPE, stderr=stderr, text=True) as process,
    ):
        try:
            told = _read_until(process, "People:")
            yield Served(root / "demo", told, (root / "stderr").read_text())
            (child,) = psutil.Process(process.pid).children()
            child.send_signal(signal.SIGINT)
            assert process.wait(60) == 0
        finally:
            for child in psutil.Process(process.pid).children() if process.poll() is None else ():
                child.kill()
            process.kill()
    assert leftovers(root / "demo") == []


def test_make_demo_needs_neither_opa_nor_go_nor_postgresql(served) -> None:
    assert f"All {len(STEPS)} steps went as told" in served.told
    assert len([line for line in served.warned.splitlines() if "WebAssembly" in line]) == 1
    assert "Demo on sqlite, policies by WebAssembly" in served.told


def test_while_it_serves_its_commands_work(served) -> None:
    sidecar = [sys.executable, "-m", "sidecar.cli", "--config", str(served.folder / "sidecar.yaml")]
    token = subprocess.run([*sidecar, "demo", "token", "zhou"], capture_output=True, text=True, check=True)
    url = re.search(r"http://127\.0\.0\.1:\d+", served.told)
    assert url is not None
    answer = exchange(url[0], "GET", "/oversight/v1/events?after=0", token.stdout.strip())
    assert answer.json()["events"]
    for arguments in (["ledger", "verify"], ["policy", "show"], ["doctor"], ["check"]):
        subprocess.run([*sidecar, *arguments], check=True, capture_output=True, env=environment("", ""))


def test_secrets_are_private_files(served) -> None:
    patterns = ("keys/**/*.pem", "keys/**/*.key", "keys/**/*.age", "idp/*.pem", "catalogs/*.dsn", "*.db")
    secret = [
        file for pattern in patterns for file in served.folder.glob(pattern) if not file.name.endswith(".pub.pem")
    ]
    assert len(secret) > 15
    for file in secret:
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


@pytest.mark.parametrize("step", STEPS)
def test_a_broken_step_fails_the_story_at_that_step(served, step) -> None:
    """Told on the world that is served; the last step is the only one that breaks it for others."""
    done = demo(served.folder, environment("sqlite", "wasm", step), "--again", "--only", step)
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"{step}: not as told" in done.stdout
    assert "steps went as told" not in done.stdout


def test_an_unknown_step_cannot_be_broken(tmp_path) -> None:
    done = demo(tmp_path / "demo", environment("sqlite", "wasm", "nonsense"))
    assert done.returncode == 1
    assert "DEMO_BREAK" in done.stderr
    assert not (tmp_path / "demo").exists()


def test_a_folder_that_no_demo_made_is_left_alone(tmp_path) -> None:
    (tmp_path / "precious").write_text("x")
    done = demo(tmp_path, environment("sqlite", "wasm"))
    assert done.returncode == 1
    assert "was not made by the demo" in done.stderr
    assert (tmp_path / "precious").read_text() == "x"


def _read_until(process: subprocess.Popen[str], text: str) -> str:
    assert process.stdout is not None
    deadline, told = time.monotonic() + SECONDS, ""
    for line in process.stdout:
        told += line
        assert time.monotonic() < deadline
        if text in line:
            return told
    raise AssertionError(f"ended before it said {text!r}: {told}")
