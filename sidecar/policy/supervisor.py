"""OPA as a supervised child process: its own socket, its own token, an empty environment, restarted with back-off.

The child gets a private copy of the verified bundle, so that a file swapped afterwards changes nothing. Beside it runs
a bundle of ours that guards the server (``authz.rego``): the gateway's token reaches the entry points only.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
import secrets
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import orjson
import structlog

from sidecar.errors import ConfigurationError, EngineUnavailable
from sidecar.policy import tarball
from sidecar.policy.opa import AUTHZ_REVISION, OpaTransport
from sidecar.settings import Settings

log = structlog.get_logger(__name__)

LEAST_VERSION = (1, 0)
"""OPA 1.0 made Rego v1 the default; the baseline is built with 1.20."""

MAX_SOCKET_PATH = 107
"""A Unix socket's path is at most this many bytes (sun_path without its NUL)."""

READY_SECONDS = 10.0
"""Longest an OPA may take to start; it takes 0.1 s on a quiet machine."""

STOP_SECONDS = 5.0
"""Grace after SIGTERM before SIGKILL."""

BACKOFF_SECONDS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Pauses before restarts of a child that ended; the last one repeats."""

STABLE_SECONDS = 30.0
"""A child that ran this long starts the back-off anew."""

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)
_VERSION = re.compile(r"^Version: (\d+)\.(\d+)\.(\d+)", re.MULTILINE)
_LOG_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class OpaBinary:
    """An OPA executable and its version."""

    path: Path
    version: tuple[int, int, int]

    @property
    def text(self) -> str:
        """The version as people write it."""
        return ".".join(map(str, self.version))


def find_opa(settings: Settings) -> OpaBinary | None:
    """The OPA that the settings name, or None where there is none.

    Raises:
        ConfigurationError: there is one, but it cannot be run or is older than 1.0.
    """
    name = settings.policy.opa_binary
    local = settings.path(Path(name))
    path = shutil.which(name) or (str(local) if local.is_file() and os.access(local, os.X_OK) else None)
    return inspect_opa(Path(path)) if path else None


def inspect_opa(path: Path) -> OpaBinary:
    """Run ``opa version``.

    Raises:
        ConfigurationError: it cannot be run, says no version, or is older than 1.0.
    """
    try:
        done = subprocess.run([path, "version"], capture_output=True, text=True, timeout=20, check=True, env={})
    except (OSError, subprocess.SubprocessError) as exc:
        raise ConfigurationError(f"{path}: expected an OPA executable: {type(exc).__name__}") from exc
    match = _VERSION.search(done.stdout)
    if match is None:
        raise ConfigurationError(f"{path}: expected an OPA executable, it tells no version")
    major, minor, patch = map(int, match.groups())
    if (major, minor) < LEAST_VERSION:
        raise ConfigurationError(f"{path}: expected OPA 1.0 or later, got {major}.{minor}.{patch}")
    return OpaBinary(path, (major, minor, patch))


class OpaProcess:
    """One OPA server as a child, kept running until it is stopped.

    All starts happen in one thread that lives as long as this object: the kernel ends the child when that thread is
    gone, so that a parent killed at any line leaves no server behind.
    """

    def __init__(
        self,
        binary: OpaBinary,
        bundle: bytes,
        *,
        socket_path: Path,
        token_file: Path | None = None,
        diagnostic: str = "",
        guarded: bool = True,
        pause: Callable[[threading.Event, float], object] = threading.Event.wait,
    ) -> None:
        """Prepare; ``start`` starts it.

        Args:
            binary: the OPA to run.
            bundle: the bytes of the bundle; its caller MUST have verified their digest.
            socket_path: where it listens; the folder is made, and only this user reaches it.
            token_file: where the token is written (0600) for the engines; by default beside the socket.
            diagnostic: ``host:port`` for health and metrics without token, none by default.
            guarded: ask for the token; only building artefacts does without.
            pause: how to wait between restarts.

        Raises:
            ConfigurationError: the socket's path is longer than the system takes.
        """
        if len(os.fsencode(socket_path)) > MAX_SOCKET_PATH:
            raise ConfigurationError(
                f"policy.opa_socket: expected a path of at most {MAX_SOCKET_PATH} bytes, "
                f"got {len(os.fsencode(socket_path))}; choose a shorter one, e.g. below /run"
            )
        self.socket_path = socket_path
        self.token = secrets.token_urlsafe(32) if guarded else ""
        self._binary = binary
        self._bundle = bundle
        self._token_file = token_file or socket_path.with_suffix(".token")
        self._diagnostic = diagnostic
        self._pause = pause
        self._stop = threading.Event()
        self._started = threading.Event()
        self._child: subprocess.Popen[str] | None = None
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="opa-supervisor", daemon=True)

    @property
    def pid(self) -> int | None:
        """The child's process id, None while there is none."""
        child = self._child
        return child.pid if child is not None and child.poll() is None else None

    def start(self) -> None:
        """Start the child and wait until it answers.

        Raises:
            EngineUnavailable: it did not answer in time; it is stopped then.
        """
        self._write_files()
        self._thread.start()
        self.wait_ready()

    def wait_ready(self, seconds: float = READY_SECONDS) -> None:
        """Wait until the server answers its health check.

        Raises:
            EngineUnavailable: it did not in time, or cannot be started; it is stopped then.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self._failure is None and self._thread.is_alive():
            if self._answers():
                return
            self._stop.wait(0.02)
        self.stop()
        raise EngineUnavailable(f"OPA was not ready within {seconds:g} s") from self._failure

    def _answers(self) -> bool:
        if self.pid is None:
            return False
        transport = OpaTransport(self.socket_path, timeout_ms=500)
        connection = transport.connection()
        try:
            connection.request("GET", "/health?bundles=true")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def command(self) -> list[str]:
        """The child's command line; it holds no secret."""
        line: list[str] = [str(self._binary.path), "run", "--server", "--addr", f"unix://{self.socket_path}"]
        line += ["--unix-socket-perm", "600", "--skip-version-check", "--log-level", "error", "--log-format", "json"]
        line += ["--shutdown-grace-period", "2", "--optimize-store-for-read-speed"]
        if self._diagnostic:
            line += ["--diagnostic-addr", self._diagnostic]
        line += ["--bundle", str(self._private("policy.tar.gz"))]
        if self.token:
            line += ["--authentication=token", "--authorization=basic", "--bundle", str(self._private("authz.tar.gz"))]
        return line

    def _private(self, name: str) -> Path:
        return self.socket_path.with_name(f"{self.socket_path.stem}-{name}")

    def _write_files(self) -> None:
        self.socket_path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_private(self._private("policy.tar.gz"), self._bundle)
        if self.token:
            write_private(self._private("authz.tar.gz"), authz_bundle(self.token))
            write_private(self._token_file, self.token.encode())

    def _run(self) -> None:
        attempt = 0
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                self._child = self._spawn()
            except OSError as exc:
                self._failure = exc
                return
            with self._child as child:  # closes its pipe
                self._forward(child)
                status = child.wait()
            if self._stop.is_set():
                return
            attempt = 0 if time.monotonic() - began > STABLE_SECONDS else attempt
            log.error("opa-ended", status=status)
            self._pause(self._stop, BACKOFF_SECONDS[min(attempt, len(BACKOFF_SECONDS) - 1)])
            attempt += 1

    def _spawn(self) -> subprocess.Popen[str]:
        self.socket_path.unlink(missing_ok=True)
        return subprocess.Popen(
            self.command(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env={"GOGC": "400"},  # nothing of ours: no secret of the parent reaches the child
            cwd="/",
            preexec_fn=_end_with_parent,  # noqa: PLW1509  # one prctl call, no lock is taken in it
        )

    def _forward(self, child: subprocess.Popen[str]) -> None:
        """Its log lines, message only: never an input."""
        for line in child.stderr or ():
            try:
                entry = orjson.loads(line)
            except orjson.JSONDecodeError:
                continue
            if isinstance(entry, dict):
                log.warning("opa", message=str(entry.get("msg", ""))[:_LOG_CHARACTERS])

    def stop(self) -> None:
        """SIGTERM, wait, SIGKILL; remove what was written. Safe to call twice."""
        self._stop.set()
        child = self._child
        if child is not None and child.poll() is None:
            child.terminate()
            try:
                child.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        if self._thread.is_alive():
            self._thread.join(STOP_SECONDS)
        for path in (self.socket_path, self._token_file, self._private("policy.tar.gz"), self._private("authz.tar.gz")):
            path.unlink(missing_ok=True)


def authz_bundle(token: str) -> bytes:
    """The bundle that guards an OPA server, for one token; deployments with a neighbour container mount it."""
    rego = resources.files("sidecar.policy").joinpath("authz.rego").read_bytes()
    manifest = {"revision": AUTHZ_REVISION, "roots": ["system/authz", "authz"], "rego_version": 1}
    data = {"authz": {"token_sha256": hashlib.sha256(token.encode()).hexdigest()}}
    return tarball.pack(
        {".manifest": orjson.dumps(manifest), "data.json": orjson.dumps(data), "system/authz/authz.rego": rego}
    )


def write_private(path: Path, data: bytes) -> None:
    """Write a file that only this user reads, whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _end_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def run_opa(binary: OpaBinary, arguments: Sequence[str], *, folder: Path | None = None, seconds: float = 60.0) -> str:
    """Run an OPA command to its end, in a folder, and return what it printed.

    Raises:
        ConfigurationError: it failed; the text is OPA's own message about the sources.
    """
    try:
        done = subprocess.run(
            [str(binary.path.absolute()), *arguments],
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
            cwd=folder,
            env={},
        )
    except (OSError, subprocess.SubprocessError) as exc:
        raise ConfigurationError(f"opa {arguments[0]}: {type(exc).__name__}") from exc
    if done.returncode != 0:
        raise ConfigurationError(f"opa {arguments[0]}: {(done.stderr or done.stdout).strip()}")
    return done.stdout
