"""Bootstrapping never breaks the demo: without Go, OPA and a network it goes on, and says so in one line."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

FILE = Path(__file__).resolve().parents[3] / "tools" / "ensure.py"


@pytest.fixture
def ensure(monkeypatch, tmp_path):
    spec = importlib.util.spec_from_file_location("ensure", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setenv("SIDECAR_TOOLS", str(tmp_path / "tools"))
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("SIDECAR_OPA", raising=False)
    return module


def _opa(file: Path, version: str) -> str:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\necho Version: {version}\n", encoding="ascii")
    file.chmod(0o755)
    return str(file)


def _unreachable(ensure, monkeypatch, exc: Exception) -> None:
    def refuse(*_: object, **__: object) -> object:
        raise exc

    monkeypatch.setattr(ensure.urllib.request, "urlopen", refuse)


def test_without_opa_go_and_network_there_is_none_and_one_line_says_so(ensure, monkeypatch, capsys) -> None:
    _unreachable(ensure, monkeypatch, OSError("Network is unreachable"))
    assert ensure.main(["opa"]) == 0
    out, err = capsys.readouterr()
    assert out == "\n"
    assert err.count("\n") == 1
    assert "WebAssembly" in err


def test_a_network_that_swallows_everything_costs_no_more_than_the_limit(ensure, monkeypatch) -> None:
    monkeypatch.setattr(ensure, "DOWNLOAD_SECONDS", 0.05)
    answered = threading.Event()
    before = set(threading.enumerate())
    monkeypatch.setattr(ensure, "_fetch", lambda *_: str(answered.wait(60)).encode())
    assert ensure.ensure_opa() == ""  # else this stands here for a minute
    assert not answered.is_set()
    answered.set()
    for fetching in set(threading.enumerate()) - before:  # it must not reach into the next test
        fetching.join()


def test_a_kept_opa_of_the_series_is_used_before_anything_is_fetched(ensure, monkeypatch, tmp_path) -> None:
    _unreachable(ensure, monkeypatch, AssertionError("asked the network"))
    kept = _opa(tmp_path / "tools" / "bin" / "opa", "1.20.7")
    assert ensure.ensure_opa() == kept


def test_an_opa_on_path_comes_first_if_it_is_of_the_series(ensure, monkeypatch, tmp_path) -> None:
    kept = _opa(tmp_path / "tools" / "bin" / "opa", "1.20.1")
    found = _opa(tmp_path / "bin" / "opa", "1.20.3")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert ensure.ensure_opa() == found
    _opa(tmp_path / "bin" / "opa", "0.70.0")
    assert ensure.ensure_opa() == kept


def test_the_fsck_of_file_systems_is_not_the_one_of_logs(ensure, monkeypatch, tmp_path, capsys) -> None:
    _opa(tmp_path / "bin" / "fsck", "2.38")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(ensure.Failed, match=r"Tessera's fsck .* install Go"):
        ensure.main(["fsck"])
    kept = _opa(tmp_path / "tools" / "bin" / "fsck", "1.0.4")
    assert ensure.main(["fsck"]) == 0
    assert capsys.readouterr().out == f"{kept}\n"


def test_a_download_that_is_not_its_checksum_is_not_used(ensure, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(ensure, "_fetch", lambda url, _: b"0" * 64 if url.endswith(".sha256") else b"something else")
    assert ensure.ensure_opa() == ""
    assert not (tmp_path / "tools" / "bin" / "opa").exists()


def test_a_download_that_is_its_checksum_is_kept(ensure, monkeypatch, tmp_path) -> None:
    content = b"#!/bin/sh\necho Version: 1.20.1\n"
    digest = hashlib.sha256(content).hexdigest().encode() + b"  opa\n"
    monkeypatch.setattr(ensure, "_fetch", lambda url, _: digest if url.endswith(".sha256") else content)
    kept = tmp_path / "tools" / "bin" / "opa"
    assert ensure.ensure_opa() == str(kept)
    assert os.access(kept, os.X_OK)


def test_the_environments_stamp_does_not_depend_on_the_process() -> None:
    code = f"import runpy; print(runpy.run_path({str(FILE)!r})['_digest']('dev'))"
    seen = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2", "3", "4")
    }
    assert len(seen) == 1


def test_an_unknown_command_is_an_error(ensure) -> None:
    assert ensure.main(["nonsense"]) == 2
