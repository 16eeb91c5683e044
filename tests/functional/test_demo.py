"""The demo passes on every combination, and fails whenever one step's world is broken."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from sidecar.demo.postgres import PostgresCluster
from sidecar.demo.steps import STEPS
from tests.support.opa import opa_path

pytestmark = pytest.mark.functional

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 300


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


def test_make_demo_needs_neither_opa_nor_go_nor_postgresql(tmp_path) -> None:
    """On a machine with Python alone: the tools' folder is empty, and PATH has no OPA, Go or PostgreSQL."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("bash", "env", "make", "sh"):
        (tools / name).symlink_to(shutil.which(name) or name)
    env = environment("", "")
    env |= {"PATH": str(tools), "SIDECAR_TOOLS": str(tmp_path / "none"), "ONCE": "1", "DEMO_DB": "sqlite"}
    env |= {"https_proxy": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9"}  # a closed network
    command = ["make", "demo", f"PYTHON={sys.executable}", f"DEMO_FOLDER={tmp_path / 'demo'}"]
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    said = [line for line in done.stderr.splitlines() if "WebAssembly" in line]
    assert len(said) == 1
    assert "policies by WebAssembly" in done.stdout


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    """A world that was made to its end and told once, and a copy of it as it was."""
    folder = tmp_path_factory.mktemp("pristine") / "demo"
    done = demo(folder, environment("sqlite", "wasm"))
    assert done.returncode == 0, done.stdout + done.stderr
    copy = folder.with_name("copy")
    shutil.copytree(folder, copy)
    return folder, copy


@pytest.fixture
def world(pristine) -> Path:
    folder, copy = pristine
    shutil.rmtree(folder)
    shutil.copytree(copy, folder)
    return folder


@pytest.mark.parametrize("step", STEPS)
def test_a_broken_step_fails_the_story_at_that_step(world, step) -> None:
    done = demo(world, environment("sqlite", "wasm", step), "--again", "--only", step)
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"{step}: not as told" in done.stdout
    assert "steps went as told" not in done.stdout
    assert leftovers(world) == []


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


def test_it_serves_until_interrupted_and_its_commands_work(world) -> None:
    command = [sys.executable, "-m", "sidecar.cli", "demo", "--again", "--folder", str(world)]
    env = environment("sqlite", "wasm")
    with subprocess.Popen(command, env=env, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            told = _read_until(process, "People:")
            sidecar = [sys.executable, "-m", "sidecar.cli", "--config", str(world / "sidecar.yaml")]
            token = subprocess.run([*sidecar, "demo", "token", "zhou"], capture_output=True, text=True, check=True)
            url = re.search(r"http://127\.0\.0\.1:\d+", told)
            assert url is not None
            answer = subprocess.run(
                ["curl", "-sS", f"{url[0]}/oversight/v1/events?after=0", "-H", f"Authorization: Bearer {token.stdout.strip()}"],
                capture_output=True, text=True, check=True,
            )  # fmt: skip
            assert json.loads(answer.stdout)["events"]
            for arguments in (["ledger", "verify"], ["policy", "show"], ["doctor"], ["check"]):
                subprocess.run([*sidecar, *arguments], check=True, capture_output=True, env=env)
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0
        finally:
            process.kill()
    assert leftovers(world) == []


def _read_until(process: subprocess.Popen[str], text: str) -> str:
    assert process.stdout is not None
    deadline, told = time.monotonic() + SECONDS, ""
    for line in process.stdout:
        told += line
        assert time.monotonic() < deadline
        if text in line:
            return told
    raise AssertionError(f"ended before it said {text!r}: {told}")


def test_secrets_are_private_files(world) -> None:
    patterns = ("keys/**/*.pem", "keys/**/*.key", "keys/**/*.age", "idp/*.pem", "catalogs/*.dsn", "*.db")
    secret = [file for pattern in patterns for file in world.glob(pattern) if not file.name.endswith(".pub.pem")]
    assert len(secret) > 15
    for file in secret:
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
