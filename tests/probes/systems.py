"""The four systems, each a process or a server of its own, and what an attacker sees of one person in each."""

from __future__ import annotations

import contextlib
import http.client
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import psycopg

from sidecar.demo.postgres import PostgresCluster
from sidecar.demo.world import wait_for
from tests.probes.attacker import Seen
from tests.worlds.calls import by_name, by_number
from tests.worlds.county import TABLE, Person, Values
from tests.worlds.sides import Pairing, SqlitePlaces
from tests.worlds.wire import WireSession, free_port, served

Look = Callable[[Person], Seen]

_SORTED = {"page_size": 1, "sort": [{"field": "concluded", "order": "desc"}]}


@contextlib.contextmanager
def sidecar(folder: Path, keys: Path, rows: Sequence[Values]) -> Iterator[tuple[Look, Path]]:
    """The product, served; a police officer's open inquiries. Gives the legacy database's file too."""
    pairing = Pairing(folder, keys, SqlitePlaces(folder))
    try:
        with served(pairing, folder) as both:
            pairing.sides[0].plant(rows)
            session = WireSession(pairing.sides[0], both.ports[0])

            def look(who: Person) -> Seen:
                asked = ({**by_number(who), "page_size": 1000}, {**by_number(who), **_SORTED}, by_name(who))
                answers = [session.ask("police", stated) for stated in asked]
                last = answers[1][1].get("next_cursor")
                further = session.ask("police", {**by_number(who), **_SORTED, "cursor": last or "A"})
                return _together(*answers, further)

            yield look, Path(pairing.sides[0].legacy_file)
            session.close()
    finally:
        pairing.close()


def _together(*answers: tuple[bytes, Mapping[str, Any]]) -> dict[str, object]:
    """What is seen of some answers: statuses, lengths, totals, records, pages, order of headers."""
    seen: dict[str, object] = {}
    for i, (raw, document) in enumerate(answers, 1):
        head = raw.partition(b"\r\n\r\n")[0]
        seen |= {
            f"{i} status": raw[9:12].decode(),
            f"{i} length": len(raw),
            f"{i} headers": tuple(line.partition(b":")[0] for line in head.split(b"\r\n")),
            f"{i} members": tuple(document),
            f"{i} records": len(document.get("records", ())),
            f"{i} marked": sum(record.get("mark") == "1" for record in document.get("records", ())),
            f"{i} count": int(document.get("count", -1)),
            f"{i} more": bool(document.get("next_cursor") or document.get("next")),
        }
    return seen


@contextlib.contextmanager
def service(file: Path, mode: str) -> Iterator[Look]:
    """One of the plain services."""
    port = free_port()
    running = subprocess.Popen(
        [sys.executable, "-m", "tests.probes.service", str(port), str(file), mode],
        env={"PYTHONPATH": ":".join(sys.path), "PATH": ""},
    )

    def get(path: str) -> tuple[bytes, Mapping[str, Any]]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        with contextlib.closing(connection):
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
        head = "".join(f"{name}: {value}\r\n" for name, value in answer.getheaders() if name != "Date")
        return f"HTTP/1.1 {answer.status}\r\n{head}\r\n".encode() + body, orjson.loads(body)

    def look(who: Person) -> Seen:
        pages = ("size=1000", "size=1", "size=1&page=1", "size=2&page=1")
        return _together(*(get(f"/persons/{who.SFZH}?{page}") for page in pages))

    def up() -> bool:
        with contextlib.suppress(OSError):
            return get("/persons/0")[0].startswith(b"HTTP/1.1 200")
        return False

    try:
        wait_for("a plain service", up)
        yield look
    finally:
        running.terminate()
        running.wait(30)


_SECURE = """
ALTER TABLE "T_AJXX" ENABLE ROW LEVEL SECURITY;
CREATE POLICY unsealed ON "T_AJXX" FOR SELECT TO {role} USING ("FCBJ" IS DISTINCT FROM '1');
CREATE VIEW cases WITH (security_barrier, security_invoker) AS SELECT "AJBH", "SFZH", "ZM",
  CASE WHEN "GTFZ" = '0' THEN "JTZZ" END AS "JTZZ" FROM "T_AJXX";
GRANT SELECT ON "T_AJXX", cases TO {role};
"""


@contextlib.contextmanager
def row_security(cluster: PostgresCluster, rows: Sequence[Values]) -> Iterator[Look]:
    """PostgreSQL with row security and a masking view; the attacker may send any query under his own role."""
    role, database = "prober", "probed"
    cluster.createdb(database)
    names = [column.name for column in TABLE.columns]
    listed = ", ".join(f'"{name}"' for name in names)
    with psycopg.connect(cluster.dsn(database), autocommit=True) as owner:
        _create(cluster.url(database))
        owner.cursor().executemany(
            f'INSERT INTO "T_AJXX" ({listed}) VALUES ({", ".join("%s" for _ in names)})',  # names of our own table
            [[row[name] for name in names] for row in rows],
        )
        owner.execute(f"DROP ROLE IF EXISTS {role}")
        owner.execute(f"CREATE ROLE {role}")
        owner.execute(_SECURE.format(role=role))
        owner.execute('ANALYZE "T_AJXX"')
        owner.execute(f"SET ROLE {role}")

        def look(who: Person) -> Seen:
            found = owner.execute('SELECT "AJBH", "ZM" FROM cases WHERE "SFZH" = %s', (who.SFZH,)).fetchall()
            plan = owner.execute(
                'EXPLAIN (ANALYZE, BUFFERS OFF, TIMING OFF, SUMMARY OFF, COSTS OFF) SELECT * FROM cases WHERE "SFZH" = %s',
                (who.SFZH,),
            ).fetchall()
            return {"rows": len(found), "plan": tuple(line for (line,) in plan[1:] if who.SFZH not in line)}

        yield look
        owner.execute("RESET ROLE")
        owner.execute(f"DROP OWNED BY {role}")
        owner.execute(f"DROP ROLE {role}")
    cluster.dropdb(database)


def _create(url: str) -> None:
    from sqlalchemy import create_engine  # noqa: PLC0415  # only here
    from sqlalchemy.pool import NullPool  # noqa: PLC0415

    engine = create_engine(url, poolclass=NullPool)
    TABLE.metadata.create_all(engine)
    engine.dispose()
