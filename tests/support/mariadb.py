"""A real MariaDB for tests: one server a test session, on a Unix socket, and one fresh database a test that asks for it.

``mariadb_server`` is made on first use and stopped at the end; a test that stops the server makes its own.
"""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pymysql
import pytest

SERVER_USER = "mysql"
"""System user that runs the server when we are root, who may not."""

START_SECONDS = 60
_numbers = itertools.count(1)


class MariaDbServer:
    """One server with its data under a short temporary folder; a context manager: started on entry, removed on exit."""

    def __init__(self, *options: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="my-", dir="/tmp"))
        self.folder.chmod(0o755)
        self.socket = self.folder / "s"
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        account = pwd.getpwnam(SERVER_USER if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name)
        self._user = account.pw_name
        os.chown(self.folder, account.pw_uid, account.pw_gid)

    def __enter__(self) -> Self:
        self._install()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _install(self) -> None:
        subprocess.run(
            [
                _program("mariadb-install-db"),
                "--no-defaults", f"--user={self._user}", f"--datadir={self.folder / 'data'}",
                "--auth-root-authentication-method=normal", "--skip-test-db",
            ],
            check=True, capture_output=True,
        )  # fmt: skip

    def start(self) -> None:
        """Start the server and wait until it answers."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    _program("mariadbd"),
                    "--no-defaults", f"--user={self._user}", f"--datadir={self.folder / 'data'}",
                    f"--socket={self.socket}", f"--pid-file={self.folder / 'pid'}", "--skip-networking",
                    "--innodb-buffer-pool-size=32M", "--innodb-flush-log-at-trx-commit=0", *self._options,
                ],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                with socket.socket(socket.AF_UNIX) as opened:
                    opened.connect(str(self.socket))
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                return

    def stop(self) -> None:
        """Stop the server, also one that was paused."""
        if self._process is not None and self._process.poll() is None:
            self.resume()
            self._process.terminate()
            self._process.wait(START_SECONDS)

    def pause(self) -> None:
        """Let the server hang: connections stay and nothing is answered."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused server go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def connect(self, database: str | None = None, **options: Any) -> Any:
        """A connection of the server's administrator."""
        return pymysql.connect(
            unix_socket=str(self.socket), user="root", database=database, autocommit=True, charset="utf8mb4", **options
        )

    def run(self, *statements: str, database: str | None = None) -> list[tuple[Any, ...]]:
        """Run statements as the administrator; the rows of the last."""
        connection = self.connect(database)
        try:
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
                return list(cursor.fetchall())
        finally:
            connection.close()

    def url(self, database: str, user: str = "root") -> str:
        """SQLAlchemy URL of a database over the socket."""
        return f"mysql+pymysql://{user}@localhost/{database}?unix_socket={self.socket}&charset=utf8mb4"


def _program(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/bin")
    assert found is not None, f"{name} is needed: make tools"
    return found


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[MariaDbServer]:
    """A running server for the whole session."""
    with MariaDbServer() as server:
        yield server


@pytest.fixture
def mariadb_database(mariadb_server: MariaDbServer) -> Iterator[str]:
    """Name of a fresh, empty database."""
    name = f"t{os.getpid()}_{next(_numbers)}"
    mariadb_server.run(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
    yield name
    mariadb_server.run(f"DROP DATABASE {name}")


@pytest.fixture
def mariadb_url(mariadb_server: MariaDbServer, mariadb_database: str) -> str:
    """SQLAlchemy URL of a fresh, empty database."""
    return mariadb_server.url(mariadb_database)
