"""The by-pass watch on real audits: pgaudit of PostgreSQL, server_audit of MariaDB, nginx in front of the old service."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from sidecar.demo import legacy, postgres
from sidecar.demo.archive import PASSWORD
from sidecar.demo.archive_catalog import archive_catalog
from sidecar.demo.people import SUN
from sidecar.demo.postgres import SERVER_USER
from sidecar.demo.story import CASE
from sidecar.demo.world import World, free_port, wait_for
from sidecar.ledger.build import uuid7
from sidecar.oversight.bypass.access import AccessLog
from sidecar.oversight.bypass.lines import Watched
from sidecar.oversight.bypass.mariadb import MariaDb
from sidecar.records.catalog import LoadedCatalog, parse
from sidecar.records.connectors import HttpConnector, open_any
from sidecar.records.types import PageRequest, RegisterMarks, Subject
from sidecar.settings import AuditSource
from tests.support import archive
from tests.support import records as r
from tests.support.audit import PATIENCE, Audited
from tests.support.deployment import Books, deployment, post, question
from tests.support.mariadb import MariaDbServer
from tests.support.postgres import short_directory

pytestmark = pytest.mark.functional

NONE = RegisterMarks()
PERSON = legacy.OPEN.SFZH

# --- PostgreSQL: a whole deployment, and the command as a process ----------------------------------------------------

PGAUDIT = """
shared_preload_libraries = 'pgaudit'
logging_collector = on
log_destination = 'jsonlog,csvlog'
log_directory = '{folder}'
log_filename = 'audit-%Y%m%d%H%M%S.log'
log_file_mode = 0640
log_timezone = 'Asia/Shanghai'
pgaudit.role = 'sidecar_audit'
pgaudit.log = 'misc_set'
pgaudit.log_parameter = on
"""
PREPARED = (
    "CREATE EXTENSION pgaudit",
    "CREATE ROLE sidecar_audit NOLOGIN",
    'GRANT SELECT, INSERT, UPDATE, DELETE ON "T_AJXX" TO sidecar_audit',
    'CREATE VIEW harmless AS SELECT * FROM "T_AJXX"',
    "CREATE TABLE other (n int)",
)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    folder = short_directory()
    logs = folder / "logs"
    logs.mkdir()
    account = pwd.getpwnam(SERVER_USER) if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    os.chown(logs, account.pw_uid, account.pw_gid)
    sources = [
        {"database": "county", "format": f"pgaudit-{name}", "files": f"{logs}/*.{name}", "users": ["county_reader"],
         "dbname": "county", "timezone": "Asia/Shanghai"}
        for name in ("json", "csv")
    ]  # fmt: skip
    bypass = {"SOURCES": json.dumps(sources), "GRACE_SECONDS": "1", "WINDOW_SECONDS": "1", "POLL_MS": "100"}
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(postgres, "_SETTINGS", postgres._SETTINGS + PGAUDIT.format(folder=logs))
            for name, value in bypass.items():
                patch.setenv(f"SIDECAR_BYPASS__{name}", value)
            with deployment("postgresql", "wasm") as running:
                for statement in PREPARED:
                    running.cluster.execute(statement, "county")
                yield running
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Watching:
    """Runs the command until it has told so many statements of each audit, and adds up what it told."""

    def __init__(self, world: World) -> None:
        self.world, self.told = world, ""
        self.own, self.findings = {}, {}

    def once(self) -> list[dict[str, Any]]:
        done = self.world.try_cli("bypass-watch", "--once", "--json")
        assert done.returncode in {0, 1}, done.stderr
        self.told += done.stdout
        reports = json.loads(done.stdout)
        assert done.returncode == int(any(report["findings"] for report in reports))
        for report in reports:
            name = report["source"]
            self.own[name] = self.own.get(name, 0) + report["own"]
            self.findings[name] = self.findings.get(name, 0) + report["findings"]
        return reports

    def until(self, own: int, findings: int) -> None:
        wait_for("the findings", lambda: self.once() and self.has(own, findings), PATIENCE)
        assert set(self.findings.values()) == {findings}

    def settle(self) -> None:
        """Until everything that is in the audits by now was judged."""
        end = datetime.now().astimezone()
        judged = lambda: all(datetime.fromisoformat(report["until"]) > end for report in self.once())  # noqa: E731
        wait_for("the watch", judged, PATIENCE)

    def has(self, own: int, findings: int) -> bool:
        return min(self.own.values()) >= own and min(self.findings.values()) >= findings


def direct(world: World, user: str = "postgres") -> psycopg.Connection[Any]:
    return psycopg.connect(world.cluster.dsn("county").replace("user=postgres", f"user={user}"), autocommit=True)


def counted(entries: list[Any]) -> int:
    return sum(int(entry["extra"]["count"]) for entry in entries)


def test_pgaudit_tells_every_read_past_the_sidecar_and_none_of_its_own(world):
    watching, books = Watching(world), Books(world)
    watching.once()
    books.news()
    answer = post(world, world.token(SUN), question(PERSON, CASE, case_number="（2026）浙0101刑初1号"))
    assert answer.status == 200, answer.body
    inquiry = answer.json()["inquiry_id"]
    with direct(world) as stranger, direct(world, "county_reader") as stolen:
        stranger.execute("SELECT * FROM other WHERE n = 1")  # nobody's business
        stranger.execute('SELECT * FROM "T_AJXX" WHERE "SFZH" = %s', [PERSON])
        stranger.execute("SELECT * FROM harmless WHERE %s::text IS NOT NULL", [inquiry], prepare=True)
        with stranger.cursor().copy('COPY "T_AJXX" TO STDOUT') as copied:
            assert list(copied)
        stranger.execute("DO $$ BEGIN EXECUTE 'SELECT count(*) FROM \"T_A' || 'JXX\"'; END $$")
        forged = uuid7(datetime.now().astimezone())
        stolen.execute('SELECT 1 FROM "T_AJXX" WHERE %s::text IS NOT NULL', [forged], prepare=True)
        stolen.execute(f'SELECT 1 FROM "T_AJXX" /* {inquiry} */')
        stranger.execute("SET pgaudit.role = ''")
        stranger.execute('SELECT * FROM "T_AJXX"')  # unseen: that the audit was switched off is what is told
    watching.until(own=1, findings=7)

    news = books.news()
    books.state.dispose()
    found = [entry for entry in news.entries if entry["kind"] == "bypass"]
    assert counted(found) == 14
    assert {code for entry in found for code in entry["codes"]} == {
        "audit-incomplete", "read-without-entry", "read-without-inquiry",
    }  # fmt: skip
    assert {entry["database"] for entry in found} == {"county"}
    alerts = [kind for kind in news.alerts() if "bypass" in kind]
    assert set(alerts) == {
        "sealed-records.bypass.audit-incomplete.v1",
        "sealed-records.bypass.read-without-entry.v1",
        "sealed-records.bypass.read-without-inquiry.v1",
    }
    said = json.dumps([found, news.events], ensure_ascii=False, default=str) + watching.told
    assert not [word for word in (PERSON, "SELECT", "harmless", legacy.OPEN.XM) if word in said]
    assert "user=postgres" in said
    assert "table=t_ajxx" in said


def test_a_watch_that_is_killed_tells_nothing_twice_and_loses_nothing(world):
    first = Watching(world)
    first.settle()
    books, reads = Books(world), 0
    books.news()
    with direct(world) as stranger:
        for number, recorded in ((signal.SIGKILL, False), (signal.SIGKILL, True), (signal.SIGTERM, True)):
            process = subprocess.Popen(world.command("bypass-watch", "--json"), stdout=subprocess.PIPE, text=True)
            for _ in range(10):
                stranger.execute('SELECT * FROM "T_AJXX" LIMIT 1')
                reads += 1
                time.sleep(0.05)
            stranger.execute("SELECT pg_rotate_logfile()")
            assert process.stdout is not None
            if recorded:
                assert json.loads(process.stdout.readline())["findings"]
            else:
                time.sleep(1)  # before its first look, or in the middle of it
            process.send_signal(number)
            process.communicate()
    assert process.returncode == 0  # told to end, it ends
    last = Watching(world)
    last.settle()
    found = [entry for entry in books.news().entries if entry["kind"] == "bypass"]
    books.state.dispose()
    assert {source: counted([e for e in found if e["extra"]["source"] == source]) for source in last.own} == {
        "county/pgaudit-json": reads, "county/pgaudit-csv": reads,
    }  # fmt: skip


def test_what_is_watched_is_part_of_the_approved_revision(world, monkeypatch):
    sources = json.loads(os.environ["SIDECAR_BYPASS__SOURCES"])
    monkeypatch.setenv("SIDECAR_BYPASS__SOURCES", json.dumps([s | {"accounts": ["postgres"]} for s in sources]))
    done = world.try_cli("bypass-watch", "--once")
    assert (done.returncode, "security settings" in done.stderr) == (1, True)


# --- MariaDB ---------------------------------------------------------------------------------------------------------

AUDIT_PLUGIN = (
    "--plugin-load-add=server_audit",
    "--server-audit-logging=ON",
    "--server-audit-events=CONNECT,QUERY,TABLE",
    "--server-audit-query-log-limit=1000000",
    "--server-audit-file-rotate-size=60000",
    "--server-audit-file-rotations=9",
)


@pytest.fixture
def mariadb(tmp_path):
    with MariaDbServer(*AUDIT_PLUGIN) as server:
        server.run("CREATE DATABASE county CHARACTER SET utf8mb4")
        r.fill(server.url("county"), r.rows({}))
        server.run("CREATE USER sidecar@localhost", "GRANT SELECT ON county.* TO sidecar@localhost")
        server.run("CREATE VIEW harmless AS SELECT * FROM T_AJXX", database="county")
        connector = r.connect(tmp_path, server.url("county", "sidecar"))
        connector.canary()
        pattern = server.folder / "data" / "server_audit.log*"
        zone = datetime.now().astimezone().tzinfo
        audited = Audited(
            tmp_path, pattern, MariaDb(Watched(frozenset({"t_ajxx"}), "county"), zone), "county", "sidecar"
        )
        audited.settled()
        yield server, connector, audited
        connector.close()
        audited.close()


def test_the_audit_plugin_tells_every_read_past_the_sidecar_and_none_of_its_own(mariadb):
    server, connector, audited = mariadb
    known = len(audited.found())
    for _ in range(6):  # of some thousand characters each: the file rotates
        connector.fetch(Subject(PERSON, None, None), r.EVERYTHING, PageRequest(10), NONE, audited.inquiry())
    inquiry = audited.inquiry()
    server.run(
        f"SELECT * FROM T_AJXX WHERE SFZH = '{PERSON}' /* {inquiry} */",
        "SELECT * FROM harmless",
        "SET @q = CONCAT('SELECT * FROM T_A', 'JXX')",
        "PREPARE s FROM @q",
        "EXECUTE s",
        database="county",
    )
    connector.fetch(
        Subject(PERSON, None, None), r.EVERYTHING, PageRequest(10), NONE, uuid7(datetime.now().astimezone())
    )
    server.run("SET GLOBAL server_audit_logging = OFF")
    own, findings = audited.until(lambda own, found: own >= 6 and found >= 5)
    assert (own, findings) == (6, 5), audited.found()[known:]
    assert audited.settled() == (0, 0)
    found = audited.found()[known:]
    codes = sorted(text.split(" ", 1)[0] for text in found)
    assert set(codes) == {"audit-incomplete", "read-without-entry", "read-without-inquiry"}
    assert "T_AJXX" not in "".join(found)
    assert not [text for text in found if PERSON in text or "SELECT" in text or "harmless" in text]


# --- HTTP ------------------------------------------------------------------------------------------------------------

NGINX = """
daemon off; worker_processes 2; pid {folder}/nginx.pid; error_log {folder}/error.log; {user}
events {{ worker_connections 64; }}
http {{
  log_format watched '{form}';
  access_log {folder}/access.log watched;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass {url}; proxy_set_header Host $http_host; }} }}
}}
"""


@contextlib.contextmanager
def nginx(folder: Path, url: str) -> Iterator[str]:
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    assert program is not None, "nginx is needed: make tools"
    port, form = free_port(), AuditSource.model_fields["log_format"].default
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(
        NGINX.format(folder=folder, form=form, port=port, url=f"http://{urlsplit(url).netloc}", user=user)
    )
    process = subprocess.Popen([program, "-p", str(folder), "-c", str(folder / "nginx.conf")])
    try:
        wait_for("nginx", lambda: _listens(port))
        yield f"http://127.0.0.1:{port}{urlsplit(url).path}"
    finally:
        process.terminate()
        process.wait()


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5):
        return True
    return False


@pytest.fixture
def service(tmp_path):
    records = [archive.record(case) for case in legacy.TOLD]
    with archive.service(tmp_path / "a", records) as behind, nginx(tmp_path, behind) as url:
        (tmp_path / PASSWORD).write_text(archive.SECRET, encoding="utf-8")
        catalog = parse(archive_catalog(url))
        connector = open_any(LoadedCatalog(catalog, "sha256:test", tmp_path), r.OPEN_RECORD, r.PARAMETERS, r.classify)
        assert isinstance(connector, HttpConnector)
        log = AccessLog(AuditSource.model_fields["log_format"].default, catalog.connector.inquiry_header, frozenset())
        audited = Audited(tmp_path, tmp_path / "access.log*", log, catalog.database)
        yield url, connector, audited, tmp_path
        connector.close()
        audited.close()


def test_an_access_log_tells_every_request_past_the_sidecar_and_none_of_its_own(service):
    url, connector, audited, folder = service
    target = Subject(PERSON, None, None)
    connector.fetch(target, r.EVERYTHING, PageRequest(10), NONE, audited.inquiry())
    archive.bare(url, "GET", f"/persons/{PERSON}/records?page=1", headers={"User-Agent": 'x" "y\n'.strip()})
    archive.bare(url, "GET", f"/persons/{PERSON}/records", headers={"Inquiry-Id": "1' OR 1=1"})
    (folder / "access.log").rename(folder / "access.log.1")
    os.kill(int((folder / "nginx.pid").read_text()), signal.SIGUSR1)
    wait_for("the new log", (folder / "access.log").exists)
    connector.fetch(target, r.EVERYTHING, PageRequest(10), NONE, audited.inquiry())
    connector.fetch(target, r.EVERYTHING, PageRequest(10), NONE, uuid7(datetime.now().astimezone()))
    own, findings = audited.until(lambda own, found: own >= 4 and found >= 4)
    assert (own, findings) == (4, 4)  # a person is asked for under both forms of the number
    assert audited.settled() == (0, 0)
    assert sorted(text.split(" ", 1)[0] for text in audited.found()) in (
        ["read-without-entry", "read-without-inquiry"],
        ["read-without-entry", "read-without-inquiry", "read-without-inquiry"],
    )
    assert not [text for text in audited.found() if PERSON in text or "OR 1" in text]
