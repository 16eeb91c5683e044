"""What the proxy adds to a page of 20 records, beside nginx passing the same page through; status 1 above the most milliseconds.

    python -m tests.benchmarks.proxy [--rounds 5] [--calls 200] [--json FILE]

One connection each, by turns, to the served sidecar (WASM, PostgreSQL, no answer step) and to an nginx in front of the same
upstream, which is another nginx with the page as a file. The commit's share is taken from the same way in one process.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from rich.console import Console
from rich.table import Table

from sidecar.clock import SystemClock
from sidecar.demo import legacy
from sidecar.demo.archive import QUERY, SOAP, SPACE
from sidecar.demo.archive import _xml as as_xml
from sidecar.demo.archive_catalog import ARCHIVE, archive_catalog
from sidecar.demo.postgres import PostgresCluster
from sidecar.demo.story import CASE, POLICE_CASE
from sidecar.demo.world import free_port, wait_for
from tests.benchmarks.load import BenchFailed
from tests.benchmarks.world import _status, deployment, serving
from tests.support.archive import ArchiveWorld, record

RECORDS = 20
MOST_MS = {"json": 3.0, "soap": 5.0}
"""What the proxy may add at the median."""

WARM = 40
PATHS = {"json": f"/persons/{legacy.OPEN.SFZH}/records", "soap": "/soap"}
SOAP_HEADERS = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": '"urn:archive#getRecords"'}
SOAP_CALL = QUERY.format(soap=SOAP, space=SPACE, number=legacy.OPEN.SFZH).encode()

NGINX = """\
daemon off; master_process off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log off; keepalive_requests 1000000; types {{ }} default_type application/octet-stream;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  upstream service {{ server 127.0.0.1:{upstream}; keepalive 4; keepalive_requests 1000000; }}
  server {{
    listen 127.0.0.1:{upstream}; root {folder};
    location = /da{json} {{ default_type "application/json;charset=UTF-8"; try_files /page.json =500; }}
    location = /da/soap {{ default_type "text/xml; charset=utf-8"; error_page 405 =200 /page.xml; return 405; }}
    location = /page.xml {{ default_type "text/xml; charset=utf-8"; error_page 405 =200 $uri; }}
  }}
  server {{
    listen 127.0.0.1:{front};
    location / {{ proxy_pass http://service; proxy_http_version 1.1; proxy_set_header Connection ""; }}
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class Added:
    """One form: medians in milliseconds; ``added`` is the median of the rounds' differences."""

    form: str
    proxy_ms: float
    nginx_ms: float
    added_ms: float
    commit_ms: float

    @property
    def enough(self) -> bool:
        """Whether the bound is kept."""
        return self.added_ms <= MOST_MS[self.form]


def pages() -> dict[str, bytes]:
    """The service's two pages of 20 open records."""
    cases = [replace(legacy.OPEN, AJBH=f"AJ2019{n:06d}", XH=n) for n in range(RECORDS)]
    rows = [record(case) for case in cases]
    data = {"total": RECORDS, "pages": 1, "page": 1, "size": 20, "list": rows}
    text = json.dumps({"code": 0, "msg": "ok", "data": data}, ensure_ascii=False, separators=(",", ":"))
    listed = "".join(as_xml(row, "a:") for row in rows)
    soap = (
        f'<?xml version="1.0" encoding="UTF-8"?><s:Envelope xmlns:s="{SOAP}"><s:Body><a:getRecordsResponse xmlns:a="{SPACE}">'
        f"<a:total>{RECORDS}</a:total><a:records>{listed}</a:records></a:getRecordsResponse></s:Body></s:Envelope>"
    )
    return {"page.json": text.encode(), "page.xml": soap.encode()}


@contextlib.contextmanager
def nginx() -> Iterator[tuple[str, str]]:
    """Addresses of the service and of the nginx that passes it through."""
    folder = Path(tempfile.mkdtemp(prefix="ngx-", dir="/tmp"))
    folder.chmod(0o755)
    for name, body in pages().items():
        (folder / name).write_bytes(body)
    upstream, front = free_port(), free_port()
    text = NGINX.format(folder=folder, upstream=upstream, front=front, json=PATHS["json"])
    (folder / "nginx.conf").write_text(text, encoding="utf-8")
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        raise BenchFailed("nginx is needed: apt-get install nginx-light")
    process = subprocess.Popen([program, "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")])
    try:
        wait_for("nginx", lambda: _status(f"http://127.0.0.1:{front}", f"/da{PATHS['json']}") == 200)
        yield f"http://127.0.0.1:{upstream}/da", f"http://127.0.0.1:{front}/da"
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


class Client:
    """One kept connection that makes one call again and again."""

    def __init__(self, url: str, form: str, headers: Mapping[str, str]) -> None:
        parts = urlsplit(url)
        self._wire = http.client.HTTPConnection(parts.netloc, timeout=30)
        self._path = parts.path + PATHS[form]
        self._method, self._body = ("GET", None) if form == "json" else ("POST", SOAP_CALL)
        self._headers = {**headers, **(SOAP_HEADERS if form == "soap" else {})}

    def call(self) -> bytes:
        """Make the call.

        Raises:
            BenchFailed: it was not answered with 200.
        """
        self._wire.request(self._method, self._path, body=self._body, headers=self._headers)
        answer = self._wire.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise BenchFailed(f"expected 200, got {answer.status}: {body[:300]!r}")
        return body

    def timed(self) -> float:
        """Milliseconds of one call."""
        start = time.perf_counter()
        self.call()
        return (time.perf_counter() - start) * 1000


def facts() -> dict[str, str]:
    """The headers that state an open inquiry."""
    said = {
        "reason": CASE.reason, "basis-instrument": CASE.instrument, "basis-article": CASE.article, "purpose": CASE.code,
        "case-number": POLICE_CASE,
    }  # fmt: skip
    return {f"Inquiry-{name}": quote(value) for name, value in said.items()}


def check(form: str, ours: bytes, theirs: bytes) -> None:
    """Both show the same 20 records, but for the marks that nobody here may see."""
    marks = (b"FMBJ", b"GTFZ")
    count = b'"AJBH"' if form == "json" else b"<a:AJBH>"
    if ours.count(count) != RECORDS or theirs.count(count) != RECORDS or any(mark in ours for mark in marks):
        raise BenchFailed(f"{form}: expected {RECORDS} records of both")


def measure(clients: tuple[Client, Client], rounds: int, calls: int) -> tuple[float, float, float]:
    """Medians of both, and the median over the rounds of their difference."""
    for client in clients * WARM:
        client.call()
    mine, theirs = [], []
    for _ in range(rounds):
        found: tuple[list[float], list[float]] = ([], [])
        for number in range(calls):
            for side in (0, 1) if number % 2 else (1, 0):
                found[side].append(clients[side].timed())
        mine.append(statistics.median(found[0]))
        theirs.append(statistics.median(found[1]))
    added = [one - other for one, other in zip(mine, theirs, strict=True)]
    return statistics.median(mine), statistics.median(theirs), statistics.median(added)


def commits(service: str, calls: int) -> dict[str, float]:
    """Median milliseconds of the ledger's commit on PostgreSQL, of the same calls in one process."""
    folder = Path(tempfile.mkdtemp(prefix="pb-", dir="/tmp"))
    folder.chmod(0o755)
    try:
        with PostgresCluster(folder / "c") as cluster:
            cluster.createdb("state")
            catalog = archive_catalog(service, answer_step_ms=0)
            world = ArchiveWorld(folder / "world", service, catalog=catalog, storage={"url": cluster.url("state")})
            timer = Timer(world.gateway.ports.ledger)
            world.gateway.ports = replace(world.gateway.ports, ledger=timer)
            found = {form: timer.of(world, form, calls) for form in PATHS}
            world.close()
            return found
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Timer:
    """A ledger whose commits are timed."""

    def __init__(self, ledger: Any) -> None:
        self._ledger = ledger
        self.taken: list[float] = []

    def commit(self, *parts: Any, **named: Any) -> Any:
        """The ledger's own."""
        start = time.perf_counter()
        committed = self._ledger.commit(*parts, **named)
        self.taken.append((time.perf_counter() - start) * 1000)
        return committed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    def of(self, world: ArchiveWorld, form: str, calls: int) -> float:
        """The median over so many calls of a form."""
        self.taken.clear()
        method, body, headers = ("GET", b"", {}) if form == "json" else ("POST", SOAP_CALL, SOAP_HEADERS)
        for _ in itertools.repeat(None, calls):
            answer = world.call(method, PATHS[form], body=body, headers=headers)
            if answer.status != 200:
                raise BenchFailed(f"expected 200, got {answer.status}: {answer.body[:300]!r}")
        return statistics.median(self.taken)


def run(opa: str, rounds: int, calls: int) -> list[Added]:
    """Both forms."""
    with nginx() as (service, passing):
        shares = commits(service, calls)
        with deployment(opa, service) as (world, desk), serving(world, "wasm") as url:
            found = []
            for form in PATHS:
                headers = {"Authorization": f"Bearer {desk.token(0, SystemClock().now())}", **facts()}
                clients = Client(f"{url}/proxy/{ARCHIVE}", form, headers), Client(passing, form, {})
                check(form, clients[0].call(), clients[1].call())
                found.append(Added(form, *measure(clients, rounds, calls), shares[form]))
            return found


def show(found: Sequence[Added], console: Console) -> None:
    """The table for people."""
    table = Table(title=f"a page of {RECORDS} records, p50 in ms")
    for name in ("form", "proxy", "nginx", "added", "of it the commit", "at most"):
        table.add_column(name)
    for one in found:
        figures = (one.proxy_ms, one.nginx_ms, one.added_ms, one.commit_ms, MOST_MS[one.form])
        table.add_row(one.form, *(f"{figure:.2f}" for figure in figures))
    console.print(table)


def main() -> int:
    """Measure and compare with the most milliseconds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found = run(os.environ["SIDECAR_OPA"], options.rounds, options.calls)
    show(found, Console(stderr=True))
    if options.json:
        figures = {"load": os.getloadavg(), "forms": [asdict(one) for one in found]}
        options.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")
    return 0 if all(one.enough for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())
