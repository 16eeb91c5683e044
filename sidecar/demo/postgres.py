"""A private PostgreSQL cluster of one's own: initdb, start, stop, kill; for the demo and the tests, never for production.

Root may not run PostgreSQL, so root runs it as the system's ``postgres`` user. A Unix socket's path has 107 bytes at
most (``sun_path``, unix(7)), and the server's user must reach its folder: a folder that fails either is replaced by
one under the system's temporary folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, Self
from urllib.parse import quote

from sidecar.errors import SidecarError

SERVER_USER = "postgres"
"""System user that runs the server when we are root."""

MAX_SOCKET_PATH = 107
"""Bytes of ``sun_path`` without the final NUL, unix(7)."""

START_SECONDS = 60
"""Longest wait for start or stop; recovery after a kill included."""

_SOCKET_NUMBER = 5432
"""Number in the socket's file name where no TCP port is asked for."""

_SETTINGS = """
# written by sidecar.demo.postgres
cluster_name = 'sidecar'
max_connections = 100
shared_buffers = '64MB'
timezone = 'UTC'
log_timezone = 'UTC'
"""


class PostgresError(SidecarError):
    """The cluster could not be made, started or stopped; the text says which command and what it wrote."""

    code = "postgres-failed"


def find_binaries() -> Path | None:
    """Folder with ``initdb``, ``pg_ctl`` and ``postgres``: beside the one on PATH, else the newest Debian one."""
    on_path = shutil.which("pg_ctl")
    candidates = [Path(on_path).resolve().parent] if on_path else []
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version, reverse=True)
    return next((c for c in candidates if all((c / b).exists() for b in ("initdb", "pg_ctl", "postgres"))), None)


def _version(folder: Path) -> float:
    with contextlib.suppress(ValueError):
        return float(folder.parent.name)
    return 0.0


def available() -> bool:
    """Whether a cluster can be made here: binaries, and a server user if we are root."""
    if find_binaries() is None:
        return False
    return os.geteuid() != 0 or _server_user() is not None


def _server_user() -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(SERVER_USER)
    except KeyError:
        return None


class PostgresCluster:
    """One cluster under ``directory``; not thread-safe. A context manager: started on entry, stopped on exit.

    Connections come over the Unix socket, whose folder only the server's user may enter, as superuser ``postgres``
    without password. TCP (``port`` > 0, loopback only) asks for the password in ``password_file``.
    """

    def __init__(self, directory: Path, *, port: int = 0, settings: str = "") -> None:
        binaries = find_binaries()
        if binaries is None:
            raise PostgresError("no PostgreSQL found on PATH or in /usr/lib/postgresql/*/bin")
        self._binaries = binaries
        self._account = _server_user() if os.geteuid() == 0 else None
        if os.geteuid() == 0 and self._account is None:
            raise PostgresError(f"root may not run PostgreSQL, and there is no user {SERVER_USER!r}")
        self.directory = self._place(directory.resolve())
        self.port = port or _SOCKET_NUMBER
        self._listen = "127.0.0.1" if port else ""
        self._settings = settings
        self.data = self.directory / "data"
        self.log = self.directory / "postgres.log"
        self.password_file = self.directory / "superuser.password"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop("immediate")

    def dsn(self, dbname: str = "postgres") -> str:
        """Libpq connection string over the socket."""
        return f"host={self.directory} port={self.port} user=postgres dbname={dbname}"

    def url(self, dbname: str = "postgres") -> str:
        """The same as a SQLAlchemy URL."""
        return f"postgresql+psycopg://postgres@/{dbname}?host={quote(str(self.directory), safe='/')}&port={self.port}"

    def running(self) -> bool:
        """Whether the server process is alive."""
        return self._pid() is not None

    def start(self) -> None:
        """Make the cluster if it is not there, and start it; returns when it accepts connections."""
        if self.running():
            return
        if not (self.data / "PG_VERSION").exists():
            self._create()
        # A killed server leaves its lock files; where nobody reaps orphans its number stays taken for ever, and the
        # server would refuse to start. ``running`` has just shown that it is gone.
        for lock in (self.data / "postmaster.pid", self.directory / f".s.PGSQL.{self.port}.lock"):
            lock.unlink(missing_ok=True)
        self._run("pg_ctl", "start", "-w", "-s", "-t", str(START_SECONDS), "-D", str(self.data), "-l", str(self.log))

    def stop(self, mode: Literal["smart", "fast", "immediate"] = "fast") -> None:
        """Stop the server; nothing happens when it does not run."""
        if self.running():
            self._run("pg_ctl", "stop", "-w", "-s", "-t", str(START_SECONDS), "-m", mode, "-D", str(self.data))

    def kill(self) -> None:
        """SIGKILL the server and every process it started: what a crash of the machine leaves to recovery."""
        pid = self._pid()
        if pid is None:
            return
        family = [pid, *_children(pid)]
        for member in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(member, signal.SIGKILL)
        _await_gone(family)

    def createdb(self, dbname: str, *, template: str = "template0", encoding: str = "UTF8") -> None:
        """Create a database; ``dbname`` is quoted."""
        self.execute(f"CREATE DATABASE {_quoted(dbname)} TEMPLATE {_quoted(template)} ENCODING '{encoding}' LOCALE 'C'")

    def dropdb(self, dbname: str) -> None:
        """Drop a database and whoever is connected to it."""
        self.execute(f"DROP DATABASE IF EXISTS {_quoted(dbname)} WITH (FORCE)")

    def execute(self, sql: str, dbname: str = "postgres") -> None:
        """Run one statement in autocommit as superuser."""
        import psycopg  # noqa: PLC0415  # ``available`` and ``start`` work without the driver

        with psycopg.connect(self.dsn(dbname), autocommit=True) as connection:
            connection.execute(sql.encode())

    def _place(self, directory: Path) -> Path:
        """``directory``, or its stand-in where the socket's path or the server's user forbids it."""
        fits = len(os.fsencode(directory / f".s.PGSQL.{65535}.lock")) <= MAX_SOCKET_PATH
        if fits and (self._account is None or _reachable(directory)):
            return directory
        digest = hashlib.sha256(os.fsencode(directory)).hexdigest()[:16]
        return Path(tempfile.gettempdir()).resolve() / f"sidecar-postgres-{os.geteuid()}-{digest}"

    def _create(self) -> None:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        owner = self.directory.stat().st_uid
        expected = self._account.pw_uid if self._account else os.geteuid()
        if owner not in {expected, os.geteuid()}:
            raise PostgresError(f"{self.directory}: expected owner {expected}, got {owner}")
        self.password_file.touch(mode=0o600)
        self.password_file.write_text(secrets.token_urlsafe(24), encoding="ascii")
        if self._account:
            for path in (self.directory, self.password_file):
                os.chown(path, self._account.pw_uid, self._account.pw_gid)
        self._run(
            "initdb", "-D", str(self.data), "-U", "postgres", "-E", "UTF8", "--locale=C", "--no-instructions",
            "--auth-local=trust", "--auth-host=scram-sha-256", f"--pwfile={self.password_file}",
        )  # fmt: skip
        with (self.data / "postgresql.conf").open("a", encoding="utf-8") as conf:
            conf.write(_SETTINGS)
            conf.write(f"port = {self.port}\nlisten_addresses = '{self._listen}'\n")
            conf.write(f"unix_socket_directories = '{self.directory}'\nunix_socket_permissions = 0700\n")
            conf.write(self._settings + "\n")

    def _run(self, program: str, *arguments: str) -> None:
        command: Sequence[str] = [str(self._binaries / program), *arguments]
        if self._account:
            command = ["runuser", "-u", SERVER_USER, "--", *command]
        # The server inherits what pg_ctl writes to; a pipe would keep us waiting until the server ends.
        with tempfile.TemporaryFile() as output:
            done = subprocess.run(command, cwd="/", stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False)
            output.seek(0)
            text = output.read().decode(errors="replace")
        if done.returncode != 0:
            raise PostgresError(f"{program} ended with status {done.returncode}: {text[-2000:]} (log: {self.log})")

    def _pid(self) -> int | None:
        try:
            pid = int((self.data / "postmaster.pid").read_text(encoding="ascii").split("\n", 1)[0])
        except (OSError, ValueError):
            return None
        return pid if _is_server(pid) else None


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _reachable(directory: Path) -> bool:
    """Whether any user may pass through all that exists of the folders above ``directory``."""
    return all(parent.stat().st_mode & 0o001 for parent in directory.parents if parent.exists())


def _is_server(pid: int) -> bool:
    """Whether the process lives and is a PostgreSQL server: a pid file that a crash left may name a stranger."""
    status = Path(f"/proc/{pid}/status")
    if not Path("/proc/self").exists():
        with contextlib.suppress(OSError):
            os.kill(pid, 0)
            return True
        return False
    try:
        lines = status.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    facts = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    return facts.get("Name") == "postgres" and not facts.get("State", "Z").startswith("Z")


def _children(pid: int) -> Iterator[int]:
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            if int(stat.read_text(encoding="utf-8", errors="replace").rsplit(")", 1)[1].split()[1]) == pid:
                yield int(stat.parent.name)


def _await_gone(pids: Sequence[int]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while any(_is_server(pid) for pid in pids):
        if time.monotonic() > deadline:
            raise PostgresError(f"killed processes {pids} are still there after {START_SECONDS} s")
        time.sleep(0.01)
