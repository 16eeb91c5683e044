"""The OPA server as engine: HTTP over a Unix socket, one kept-alive connection a thread (P1).

An answer counts only when all of this holds: status 200, a ``result``, and a provenance that names the approved bundle
revision and nothing unknown. A connection that is only listened on tells at once when the server dies.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from sidecar.errors import EngineUnavailable, RevisionUnapproved
from sidecar.policy import decode
from sidecar.policy.types import AlertFinding, Attributes, Classification, Decision, Facts

AUTHZ_REVISION = "authz"
"""Revision of the bundle that guards the OPA server itself; the only one beside the approved one."""

MAX_ANSWER_BYTES = 8 << 20
"""A batch of the activation grid is the largest answer."""

MAX_BATCH = 4096
"""Records a call: bounds the time of one answer."""

RECONNECT_SECONDS = (0.02, 0.05, 0.1, 0.25, 0.5)
"""Pauses between attempts to find a server that went away; the last one repeats."""

_STATUS_OK = 200


class UnixConnection(http.client.HTTPConnection):
    """HTTP/1.1 over a Unix socket."""

    def __init__(self, path: Path, timeout: float | None) -> None:
        super().__init__("opa", timeout=timeout)
        self._path = str(path)

    def connect(self) -> None:
        """Connect to the socket's file."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class OpaTransport:
    """Posts to an OPA server over its Unix socket. Thread-safe: each thread has its own connection."""

    def __init__(self, path: Path, *, timeout_ms: int, token: str = "") -> None:
        """Prepare; nothing is connected yet.

        Args:
            path: the socket's file.
            timeout_ms: longest to wait for connection, and for each part of an answer.
            token: bearer token, where the server's authorization asks for one.
        """
        self.path = path
        self._timeout = timeout_ms / 1000
        self.headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
        self._local = threading.local()

    def connection(self) -> UnixConnection:
        """A new connection; its caller closes it."""
        return UnixConnection(self.path, self._timeout)

    def post(self, path: str, body: bytes, headers: Mapping[str, str] | None = None) -> tuple[int, bytes]:
        """Post a body; returns status and answer.

        A kept connection that the server closed meanwhile is replaced once: the questions are pure.

        Raises:
            EngineUnavailable: no connection, no answer in time, or one that is too long.
        """
        kept: UnixConnection | None = getattr(self._local, "connection", None)
        if kept is not None:
            try:
                return self._exchange(kept, path, body, headers)
            except (ConnectionError, http.client.BadStatusLine):
                self.drop()
            except (OSError, http.client.HTTPException) as exc:
                self.drop()
                raise EngineUnavailable(f"OPA: {type(exc).__name__}") from exc
        return self._fresh(path, body, headers)

    def _fresh(self, path: str, body: bytes, headers: Mapping[str, str] | None) -> tuple[int, bytes]:
        self._local.connection = self.connection()
        try:
            return self._exchange(self._local.connection, path, body, headers)
        except (OSError, http.client.HTTPException) as exc:
            self.drop()
            raise EngineUnavailable(f"OPA: {type(exc).__name__}") from exc

    def _exchange(
        self, connection: UnixConnection, path: str, body: bytes, headers: Mapping[str, str] | None
    ) -> tuple[int, bytes]:
        connection.request("POST", path, body, {**self.headers, **(headers or {})})
        response = connection.getresponse()
        answer = response.read(MAX_ANSWER_BYTES + 1)
        if len(answer) > MAX_ANSWER_BYTES:
            raise http.client.HTTPException("answer too long")
        return response.status, answer

    def drop(self) -> None:
        """Close this thread's connection."""
        connection: UnixConnection | None = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
            self._local.connection = None


class OpaEngine:
    """Decides by the OPA server. Thread-safe; see ``policy.types.Engine`` for the contract."""

    name = "opa"

    def __init__(self, transport: OpaTransport, *, revision: str, bundle_revision: str, watch: bool = True) -> None:
        """Ask the server at ``transport``.

        Args:
            transport: the way to the server.
            revision: label of the active revision, for decisions.
            bundle_revision: revision of the approved bundle, which every answer's provenance must name.
            watch: listen for the server's end, so that ``available`` is false as soon as it is gone.
        """
        self.revision = revision
        self._transport = transport
        self._bundle_revision = bundle_revision
        self._closed = False
        self._watch = _Watch(transport, self._probe) if watch else None

    @property
    def available(self) -> bool:
        """Whether the server at the approved revision was there a moment ago."""
        return not self._closed and (self._watch is None or self._watch.alive)

    def decide(self, facts: Facts) -> Decision:
        """Decide a request."""
        answer = self._evaluate(decode.DECISION_ENTRYPOINT, facts.as_input())
        return decode.decision(answer, revision=self.revision, engine=self.name)

    def classify(self, records: Sequence[Attributes]) -> list[Classification]:
        """Classify records, in order."""
        found: list[Classification] = []
        for start in range(0, len(records), MAX_BATCH):
            batch = records[start : start + MAX_BATCH]
            answer = self._evaluate(decode.CLASSIFICATION_ENTRYPOINT, {"records": [r.as_input() for r in batch]})
            found += decode.classifications(answer, tuple(r.kind.value for r in batch))
        return found

    def alerts(self, entry: Mapping[str, Any]) -> list[AlertFinding]:
        """Alerts that an entry's clear fields raise."""
        return decode.alerts(self._evaluate(decode.ALERTS_ENTRYPOINT, {"entry": dict(entry)}))

    def close(self) -> None:
        """Stop listening and drop this thread's connection; a later call raises ``EngineUnavailable``."""
        self._closed = True
        if self._watch is not None:
            self._watch.close()
        self._transport.drop()

    def _evaluate(self, entrypoint: str, document: dict[str, Any]) -> Any:
        if self._closed:
            raise EngineUnavailable("the engine is closed")
        body = orjson.dumps({"input": document})
        status, answer = self._transport.post(f"/v1/data/{entrypoint}?provenance=true", body)
        return self._result(entrypoint, status, answer)

    def _result(self, entrypoint: str, status: int, answer: bytes) -> Any:
        """1. status, 2. JSON, 3. provenance, 4. a result: ``200 {}`` is undefined and no answer."""
        if status != _STATUS_OK:
            raise EngineUnavailable(f"{entrypoint}: OPA answered {status}")
        try:
            document = orjson.loads(answer)
        except orjson.JSONDecodeError as exc:
            raise EngineUnavailable(f"{entrypoint}: OPA answered no JSON") from exc
        if not isinstance(document, dict):
            raise EngineUnavailable(f"{entrypoint}: OPA answered no object")
        self._check_provenance(document.get("provenance"))
        if "result" not in document:
            raise EngineUnavailable(f"{entrypoint}: undefined")
        return document["result"]

    def _check_provenance(self, provenance: Any) -> None:
        bundles = provenance.get("bundles") if isinstance(provenance, dict) else None
        if not isinstance(bundles, dict):
            raise RevisionUnapproved("OPA names no bundle revision")
        found = {b.get("revision") if isinstance(b, dict) else None for b in bundles.values()} - {AUTHZ_REVISION}
        if found != {self._bundle_revision}:
            raise RevisionUnapproved(f"expected bundle {self._bundle_revision}, OPA has {sorted(map(str, found))}")

    def _probe(self, connection: UnixConnection) -> None:
        """Ask for nothing on a connection that will be listened on; raises as any question would."""
        path = f"/v1/data/{decode.CLASSIFICATION_ENTRYPOINT}?provenance=true"
        connection.request("POST", path, b'{"input":{"records":[]}}', self._transport.headers)
        response = connection.getresponse()
        self._result(decode.CLASSIFICATION_ENTRYPOINT, response.status, response.read(MAX_ANSWER_BYTES))


class _Watch:
    """Listens on an idle connection: the kernel ends it the moment the server dies, and nothing is polled."""

    def __init__(self, transport: OpaTransport, probe: Callable[[UnixConnection], None]) -> None:
        self.alive = False
        self._transport = transport
        self._probe = probe
        self._stop = threading.Event()
        self._settled = threading.Event()
        self._connection: UnixConnection | None = None
        self._thread = threading.Thread(target=self._run, name="opa-watch", daemon=True)
        self._thread.start()
        self._settled.wait(2.0)  # the first verdict, good or bad

    def _run(self) -> None:
        attempt = 0
        while not self._stop.is_set():
            if self._listen():
                attempt = 0
            pause = RECONNECT_SECONDS[min(attempt, len(RECONNECT_SECONDS) - 1)]
            attempt += 1
            self._stop.wait(pause)

    def _listen(self) -> bool:
        """Connect, ask once, listen until the end; whether it was ever alive."""
        connection = self._connection = self._transport.connection()
        try:
            self._probe(connection)
            self.alive = not self._stop.is_set()
            self._settled.set()
            if connection.sock is not None:
                connection.sock.settimeout(None)
                connection.sock.recv(1)
        except (OSError, http.client.HTTPException, EngineUnavailable, RevisionUnapproved):
            return self.alive
        else:
            return True
        finally:
            self.alive = False
            self._settled.set()
            connection.close()

    def close(self) -> None:
        self._stop.set()
        self.alive = False
        sock = self._connection.sock if self._connection is not None else None
        if sock is not None:
            with contextlib.suppress(OSError):  # it may have ended by itself meanwhile
                sock.shutdown(socket.SHUT_RDWR)  # wakes the listener; close alone would not
        self._thread.join(timeout=2.0)
