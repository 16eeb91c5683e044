"""The OPA server as a real child process: same answers as in process, and every fault denies."""

from __future__ import annotations

import os
import signal
import socket
import stat
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import orjson
import psutil
import pytest
import structlog

from sidecar.codes import Outcome
from sidecar.errors import ConfigurationError, EngineUnavailable, RevisionUnapproved
from sidecar.policy import artefacts, grid, tarball
from sidecar.policy.control import OpaControl
from sidecar.policy.memo import MemoEngine
from sidecar.policy.opa import AUTHZ_REVISION, OpaEngine, OpaTransport
from sidecar.policy.supervisor import OpaProcess
from sidecar.policy.wasm import WasmEngine
from tests.support.opa import LABEL, engine_at, opa_binary, running_opa
from tests.support.policy import FACTS, RECORD, months

pytestmark = pytest.mark.functional

PATIENCE = 20.0
"""Seconds a loaded machine may take."""


@pytest.fixture(scope="module")
def server():
    with running_opa() as process:
        yield process


@pytest.fixture
def engine(server):
    made = engine_at(server)
    yield made
    made.close()


@pytest.fixture(scope="module")
def wasm():
    built = artefacts.baseline()
    made = WasmEngine(built.files[artefacts.WASM], built.data(), revision=LABEL, timeout_ms=20_000)
    yield made
    made.close()


def until(condition):
    """Wait for an event of another process; fails when it does not come."""
    end = time.monotonic() + PATIENCE
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        pause.wait(0.01)


def test_both_engines_give_the_same_answers(engine, wasm):
    corpus = list(grid.requests(artefacts.baseline().params(), FACTS.today))[::9]
    for facts in [FACTS, *corpus]:
        assert replace(engine.decide(facts), engine="") == replace(wasm.decide(facts), engine="")
    records = [months(n) for n in (-1, 0, 59, 60, 61, 62, 9999)]
    assert engine.classify(records) == wasm.classify(records)
    assert [found.is_open for found in wasm.classify(records)] == [False] * 4 + [True] * 3
    entry = {"kind": "inquiry", "channel": "api", "scope": "sealed", "codes": ["letter-forged"]}
    assert engine.alerts(entry) == wasm.alerts(entry) != []


def test_an_allow_names_the_revision_and_the_engine(engine):
    found = engine.decide(FACTS)
    assert (found.outcome, found.revision, found.engine) == (Outcome.ALLOW, LABEL, "opa")


def test_an_undefined_answer_denies(engine):
    with pytest.raises(EngineUnavailable, match="undefined"):
        engine.alerts({})


def test_answers_of_another_revision_deny(server):
    transport = OpaTransport(server.socket_path, timeout_ms=20_000, token=server.token)
    engine = OpaEngine(transport, revision=LABEL, bundle_revision="sha256:" + "0" * 64, watch=False)
    with pytest.raises(RevisionUnapproved, match="expected bundle sha256:0000"):
        engine.decide(FACTS)
    engine.close()


def test_an_open_server_without_a_revision_denies():
    files = tarball.unpack(artefacts.baseline().files[artefacts.BUNDLE])
    files[".manifest"] = orjson.dumps({"roots": list(artefacts.ROOTS)})
    with running_opa(tarball.pack(files)) as process:
        engine = engine_at(process)
        with pytest.raises(RevisionUnapproved):
            engine.decide(FACTS)
        engine.close()


def test_a_second_bundle_beside_the_approved_one_denies(server):
    engine = engine_at(server)
    good = {"bundles": {"a": {"revision": artefacts.baseline().bundle_revision}, "b": {"revision": AUTHZ_REVISION}}}
    engine._check_provenance(good)
    for extra in ({"revision": "other"}, {}, None):
        with pytest.raises(RevisionUnapproved):
            engine._check_provenance({"bundles": {**good["bundles"], "c": extra}})
    engine.close()


def test_a_bundle_whose_rules_are_gone_denies():
    built = artefacts.baseline()
    files = tarball.unpack(built.files[artefacts.BUNDLE])
    emptied = {name: data for name, data in files.items() if not name.startswith("sidecar/request/")}
    with running_opa(tarball.pack(emptied)) as process:
        engine = engine_at(process)
        with pytest.raises(EngineUnavailable, match="undefined"):
            engine.decide(FACTS)
        engine.close()


def test_the_token_reaches_the_entry_points_and_nothing_else(server):
    good = {"Authorization": f"Bearer {server.token}"}
    for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": "Basic eDp5"}):
        assert _ask(server, "POST", "/v1/data/sidecar/request/decision", headers) == 401
    assert _ask(server, "POST", "/v1/data/sidecar/request/decision", good) == 200
    for method, path in (
        ("PUT", "/v1/policies/x"),
        ("PUT", "/v1/data/params"),
        ("PATCH", "/v1/data/params"),
        ("DELETE", "/v1/policies/x"),
        ("POST", "/v1/data"),
        ("POST", "/v1/data/system/authz"),
        ("GET", "/v1/data/params"),
        ("POST", "/v1/query"),
        ("POST", "/v1/compile/sidecar/sealing/open"),
        ("GET", "/v1/config"),
    ):
        assert _ask(server, method, path, good) == 401, (method, path)


def _ask(server, method, path, headers):
    connection = OpaTransport(server.socket_path, timeout_ms=20_000).connection()
    try:
        connection.request(method, path, b'{"input":{}}', {"Content-Type": "application/json", **headers})
        response = connection.getresponse()
        response.read()
        return response.status
    finally:
        connection.close()


def test_a_wrong_token_denies(server):
    transport = OpaTransport(server.socket_path, timeout_ms=20_000, token="wrong")
    engine = OpaEngine(transport, revision=LABEL, bundle_revision=artefacts.baseline().bundle_revision)
    assert not engine.available
    with pytest.raises(EngineUnavailable, match="401"):
        engine.decide(FACTS)
    engine.close()


def test_the_control_plane_tells_health_policies_and_revisions(server):
    control = OpaControl(server.socket_path, timeout_ms=20_000, token=server.token)
    assert control.healthy()
    assert any(name.endswith("sealing.rego") for name in control.policies())
    assert set(control.bundle_revisions().values()) == {artefacts.baseline().bundle_revision, AUTHZ_REVISION}
    control.close()
    stranger = OpaControl(server.socket_path, timeout_ms=20_000)
    for question in (stranger.policies, stranger.bundle_revisions):
        with pytest.raises(EngineUnavailable):
            question()
    stranger.close()


def test_only_this_user_reaches_socket_token_and_bundles(server):
    for path in server.socket_path.parent.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_the_child_has_nothing_of_the_parents_environment_and_no_secret_on_its_command_line(monkeypatch):
    monkeypatch.setenv("SIDECAR_PLANTED", "planted-secret")
    with running_opa() as process:
        child = psutil.Process(process.pid)
        assert set(child.environ()) == {"GOGC"}
        assert process.token not in " ".join(child.cmdline())


def test_opa_killed_denies_at_once_what_is_new_and_what_is_remembered_and_comes_back():
    with running_opa() as process:
        engine = engine_at(process, watch=True)
        remembered = MemoEngine(engine, decisions=8, classifications=8)
        remembered.decide(FACTS)
        remembered.classify([RECORD])
        first = process.pid
        os.kill(first, signal.SIGSTOP)  # it cannot answer nor be restarted while the test looks
        os.kill(first, signal.SIGKILL)
        until(lambda: not engine.available or process.pid not in (first, None))
        until(lambda: engine.available and process.pid not in (first, None))
        assert remembered.decide(FACTS).outcome is Outcome.ALLOW
        engine.close()


def test_opa_gone_for_good_denies():
    with running_opa() as process:
        engine = engine_at(process, watch=True)
        remembered = MemoEngine(engine, decisions=8, classifications=8)
        remembered.decide(FACTS)
        remembered.classify([RECORD])
        process.stop()
        until(lambda: not engine.available)
        for question in (
            lambda: remembered.decide(FACTS),
            lambda: remembered.classify([RECORD]),
            lambda: engine.decide(FACTS),
            lambda: remembered.alerts({"kind": "inquiry"}),
        ):
            with pytest.raises(EngineUnavailable):
                question()
        engine.close()


def test_a_kept_connection_that_ended_is_replaced_once():
    with running_opa() as process:
        engine = engine_at(process)
        engine.decide(FACTS)
        engine._transport._local.connection.sock.shutdown(socket.SHUT_RDWR)
        assert engine.decide(FACTS).outcome is Outcome.ALLOW
        engine.close()


def test_a_stopped_process_that_never_answers_is_given_up_in_time():
    with running_opa() as process:
        engine = engine_at(process, timeout_ms=200)
        os.kill(process.pid, signal.SIGSTOP)
        try:
            began = time.monotonic()
            with pytest.raises(EngineUnavailable, match="TimeoutError"):
                engine.decide(FACTS)
            assert time.monotonic() - began < PATIENCE
        finally:
            os.kill(process.pid, signal.SIGCONT)
        engine.close()


@contextmanager
def _answering(folder: Path, answer: bytes):
    """A listener that sends the same bytes to whoever asks: what a broken server may send."""
    path = folder / "x.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve():
            while True:
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                with peer:
                    _read_request(peer)
                    peer.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield path
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(PATIENCE)


def _read_request(peer):
    """All of it: whoever closes too early breaks the asker's pipe instead of answering."""
    with peer.makefile("rb") as stream:
        headers = dict(line.split(b": ", 1) for line in iter(stream.readline, b"\r\n") if b": " in line)
        stream.read(int(headers[b"Content-Length"]))


PROVENANCE = {"bundles": {"a": {"revision": "sha256:1"}}}


def _http(body: bytes, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", EngineUnavailable),
        (b"nonsense\r\n\r\n", EngineUnavailable),
        (_http(b'{"result": {}}', "500 Internal Server Error"), EngineUnavailable),
        (_http(b""), EngineUnavailable),
        (_http(b"[]"), EngineUnavailable),
        (_http(b"{"), EngineUnavailable),
        (_http(b'{"result": true}'), RevisionUnapproved),
        (_http(b'{"result": true, "provenance": {}}'), RevisionUnapproved),
        (_http(b'{"result": true, "provenance": {"bundles": {}}}'), RevisionUnapproved),
        (_http(b"{}"), RevisionUnapproved),
        (_http(orjson.dumps({"provenance": PROVENANCE})), EngineUnavailable),
        (_http(orjson.dumps({"provenance": PROVENANCE, "result": True})), EngineUnavailable),
        (_http(b"x" * 100)[:-50], EngineUnavailable),
    ],
)
def test_no_broken_answer_is_an_allow(tmp_path_factory, answer, error):
    folder = tmp_path_factory.mktemp("s")
    with _answering(folder, answer) as path:
        transport = OpaTransport(path, timeout_ms=5000)
        engine = OpaEngine(transport, revision=LABEL, bundle_revision="sha256:1", watch=False)
        with pytest.raises(error):
            engine.decide(FACTS)
        engine.close()


def test_logs_of_the_child_hold_no_input():
    with structlog.testing.capture_logs() as logs, running_opa() as process:
        engine = engine_at(process)
        engine.decide(replace(FACTS, channel="planted-value-7261"))
        os.kill(process.pid, signal.SIGKILL)
        until(lambda: any(entry["event"] == "opa-ended" for entry in logs))
        engine.close()
    assert "planted-value-7261" not in repr(logs)
    assert "Authorization" not in repr(logs)


def test_a_bundle_that_opa_refuses_is_not_waited_for_for_ever(tmp_path):
    process = OpaProcess(opa_binary(), b"no bundle", socket_path=tmp_path / "o.sock", pause=lambda stop, _: stop.set())
    with pytest.raises(EngineUnavailable, match="not ready"):
        process.start()
    assert process.pid is None
    assert not list(tmp_path.iterdir())


def test_a_socket_path_that_the_system_cannot_take_stops_with_the_fix(tmp_path):
    with pytest.raises(ConfigurationError, match="at most 107 bytes"):
        OpaProcess(opa_binary(), b"", socket_path=tmp_path / ("x" * 120))


def test_stopping_twice_leaves_no_process_and_no_file():
    with running_opa() as process:
        pid, folder = process.pid, process.socket_path.parent
        process.stop()
        process.stop()
        assert not psutil.pid_exists(pid)
        assert not list(folder.iterdir())
