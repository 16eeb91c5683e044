"""The witness as a process of its own, on a machine of the procuratorate: one folder holds all it needs.

``witness.yaml`` (settings), ``witness.pem`` and ``witness.vkey`` (its key), ``seen.json`` (the trees it has seen),
``logs/*.vkey`` (keys of the logs it witnesses), ``alarms.jsonl`` (one alarm a line, flushed).
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Iterable
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import requests
from granian.constants import HTTPModes, Interfaces, Loops
from granian.log import LogLevels
from granian.server.mp import MPServer as Granian
from pydantic import Field, ValidationError

from sidecar.clock import Clock, SystemClock
from sidecar.errors import ConfigurationError
from sidecar.keys.files import read_ed25519_private, write_new
from sidecar.keys.generate import create_signing_key
from sidecar.ledger.note import COSIGNATURE, ED25519, Verifier, parse_verifier, verifier
from sidecar.ledger.origins import file_name, order
from sidecar.ledger.witness import MAX_BODY, TEXT, Alarm, Reply, Store, Witness
from sidecar.serve.gateway import HEAD
from sidecar.settings import Section, load_yaml

FOLDER_ENV = "SIDECAR_WITNESS_FOLDER"
LOOK_SECONDS = 5.0
"""How often the witness looks for silence."""

SEND_SECONDS = 10.0
"""Longest wait for the receiver of alarms."""

PUBLIC_MODE = 0o644


class WitnessFile(Section):
    """``witness.yaml``."""

    name: str = Field(pattern=r"^[^\s+]{1,200}$", description="Name of the witness's key.")
    bind: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8444, ge=0, le=65535, description="Port to listen on.")
    tls_certificate: Path | None = Field(None, description="PEM file of the server's certificate.")
    tls_key_file: Path | None = Field(None, description="PEM file of the server's key.")
    silence_minutes: int = Field(5, ge=2, description="A log that sends no checkpoint for so long is alarmed.")
    alarm_url: str | None = Field(None, description="Where alarms are sent as JSON besides, by POST.")


def create(folder: Path, name: str, logs: Iterable[Path]) -> Verifier:
    """Make a witness in an empty folder, for these logs' verifier keys.

    Raises:
        ConfigurationError: the folder is in use, or a key cannot be read.
    """
    keys = [_log_key(file) for file in logs]
    if not keys:
        raise ConfigurationError("expected the verifier key of a log to witness")
    made = create_signing_key(folder, "witness")
    key = verifier(name, read_ed25519_private(made.private).public_key(), COSIGNATURE)
    (folder / "logs").mkdir()
    for log in keys:
        write_new(folder / "logs" / f"{file_name(log.name)}.vkey", f"{log}\n".encode(), PUBLIC_MODE)
    write_new(folder / "seen.json", b"{}")
    write_new(folder / "witness.yaml", f"name: {json.dumps(name)}\n".encode(), PUBLIC_MODE)
    write_new(folder / "witness.vkey", f"{key}\n".encode(), PUBLIC_MODE)
    return key


def _log_key(file: Path) -> Verifier:
    try:
        key = parse_verifier(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise ConfigurationError(f"{file}: cannot be read as a log's verifier key") from exc
    if key.kind != ED25519 or order(key.name) is None:
        raise ConfigurationError(f"{file}: expected the key of a log")
    return key


def read_settings(folder: Path) -> WitnessFile:
    """The folder's ``witness.yaml``.

    Raises:
        ConfigurationError: it cannot be used.
    """
    file = folder / "witness.yaml"
    try:
        return WitnessFile(**load_yaml(file.read_text(encoding="utf-8")))
    except (OSError, TypeError, ValueError, ValidationError) as exc:
        raise ConfigurationError(f"{file}: cannot be used; `sidecar witness init` makes one") from exc


def open_witness(folder: Path, clock: Clock, alarm: Callable[[Alarm], None] | None = None) -> Witness:
    """The folder's witness.

    Raises:
        ConfigurationError: anything in it cannot be used.
    """
    settings = read_settings(folder)
    return Witness(
        settings.name,
        read_ed25519_private(folder / "witness.pem"),
        [_log_key(file) for file in sorted((folder / "logs").glob("*.vkey"))],
        Store(folder / "seen.json"),
        clock,
        alarm=alarm or Alarms(folder / "alarms.jsonl", settings.alarm_url),
        silence=timedelta(minutes=settings.silence_minutes),
    )


class Alarms:
    """Writes each alarm to a file and flushes it, prints it, and sends it where a receiver is named."""

    def __init__(self, file: Path, url: str | None) -> None:
        self._file = file
        self._url = url

    def __call__(self, alarm: Alarm) -> None:
        """One alarm. A receiver that does not answer loses nothing: the file has it."""
        line = json.dumps(asdict(alarm), ensure_ascii=False)
        with self._file.open("a", encoding="utf-8") as output:
            output.write(line + "\n")
            output.flush()
            os.fsync(output.fileno())
        sys.stderr.write(f"witness: {alarm.kind}: {alarm.origin}: {alarm.text}\n")
        if self._url is not None:
            threading.Thread(target=self._send, args=(line,), daemon=True).start()

    def _send(self, line: str) -> None:
        try:
            requests.post(
                str(self._url), data=line.encode(), headers={"Content-Type": "application/json"}, timeout=SEND_SECONDS
            ).raise_for_status()
        except requests.RequestException as exc:
            sys.stderr.write(f"witness: the alarm was not delivered: {type(exc).__name__}\n")


class Application:
    """WSGI (PEP 3333): ``POST /add-checkpoint``, ``GET /checkpoint/<origin>``, ``GET /healthz``."""

    def __init__(self, witness: Witness) -> None:
        self._witness = witness

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request."""
        reply = self._reply(environ["REQUEST_METHOD"], environ.get("PATH_INFO", ""), environ)
        headers = [("Content-Type", reply.content_type), ("Content-Length", str(len(reply.body)))]
        start_response(f"{reply.status} {reply.status}", [*headers, ("Cache-Control", "no-store")])
        return (reply.body,)

    def _reply(self, method: str, path: str, environ: dict[str, Any]) -> Reply:
        if (method, path) == ("POST", "/add-checkpoint"):
            length = environ.get("CONTENT_LENGTH") or ""
            if not length.isdigit() or int(length) > MAX_BODY:
                return Reply(413, f"expected a body of at most {MAX_BODY} bytes with its length\n".encode())
            return self._witness.add_checkpoint(environ["wsgi.input"].read(int(length)))
        if method == "GET" and path == "/healthz":
            return Reply(200, b"ok\n", TEXT)
        seen = self._witness.latest(unquote(path.removeprefix("/checkpoint/"))) if method == "GET" else None
        return Reply(404, b"there is no such thing\n") if seen is None else Reply(200, seen)


def build() -> Application:
    """The application of the folder in the environment, with the thread that looks for silence."""
    witness = open_witness(Path(os.environ[FOLDER_ENV]), SystemClock())

    def look() -> None:
        wait = threading.Event()
        while not wait.wait(LOOK_SECONDS):
            witness.look()

    threading.Thread(target=look, name="silence", daemon=True).start()
    return Application(witness)


def serve(folder: Path) -> None:
    """Serve until SIGTERM or SIGINT. One process: the store has one writer.

    Raises:
        ConfigurationError: the folder cannot be used.
    """
    open_witness(folder, SystemClock())  # faults are told here, not by a worker that is started again and again
    settings = read_settings(folder)
    os.environ[FOLDER_ENV] = str(folder.resolve())
    Granian(
        "sidecar.serve.witness:build",
        factory=True,
        address=settings.bind,
        port=settings.port,
        interface=Interfaces.WSGI,
        workers=1,
        blocking_threads=4,
        http=HTTPModes.http1,
        http1_settings=HEAD,
        websockets=False,
        loop=Loops.asyncio,
        log_level=LogLevels.warning,
        log_access=False,
        ssl_cert=folder / settings.tls_certificate if settings.tls_certificate else None,
        ssl_key=folder / settings.tls_key_file if settings.tls_key_file else None,
        respawn_failed_workers=True,
    ).serve()
