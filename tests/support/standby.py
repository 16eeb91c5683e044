"""A streaming standby of a PostgreSQL cluster, for tests of fail-over."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from urllib.parse import quote

import psycopg

from sidecar.demo.postgres import SERVER_USER, PostgresCluster, find_binaries
from sidecar.demo.world import wait_for


def standby(primary: PostgresCluster, directory: Path) -> PostgresCluster:
    """A copy of the running ``primary`` that follows it; not started yet."""
    copy = PostgresCluster(directory)
    binaries = find_binaries()
    assert binaries is not None
    directory.mkdir(mode=0o700)
    command = [str(binaries / "pg_basebackup"), "-D", str(copy.data), "-R", "-X", "stream", "-c", "fast"]
    command += ["-d", primary.dsn()]
    if os.geteuid() == 0:
        subprocess.run(["chown", SERVER_USER, str(directory)], check=True)
        command = ["runuser", "-u", SERVER_USER, "--", *command]
    subprocess.run(command, cwd="/", check=True, capture_output=True)
    with (copy.data / "postgresql.conf").open("a", encoding="utf-8") as conf:
        conf.write(f"unix_socket_directories = '{copy.directory}'\n")
    return copy


def synchronous(primary: PostgresCluster) -> None:
    """From now on the primary answers a commit once a standby has it on its disk too; returns when one follows."""
    primary.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
    primary.execute("SELECT pg_reload_conf()")
    with psycopg.connect(primary.dsn(), autocommit=True) as connection:
        followed = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
        wait_for("the standby", lambda: connection.execute(followed).fetchone() == (1,))


def either(one: PostgresCluster, other: PostgresCluster, dbname: str) -> str:
    """URL of whichever of the two takes writes."""
    hosts = quote(f"{one.directory},{other.directory}", safe="/,")
    ports = f"{one.port},{other.port}"
    return f"postgresql+psycopg://postgres@/{dbname}?host={hosts}&port={ports}&target_session_attrs=read-write"
