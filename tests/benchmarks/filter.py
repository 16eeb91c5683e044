"""The compiled filter beside the same condition as a DBA would write it on the columns, over 1,000,000 rows; status 1 below the least ratios.

    python -m tests.benchmarks.filter [--rows 1000000] [--rounds 5] [--kinds sqlite,postgresql,mariadb] [--json FILE]

Both run on the same connection, by turns, and must bring the same rows in the same order with the same total. The DBA's own
condition takes the data for clean: no padding, no junk, no impossible day, no seal register.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psycopg
from rich.console import Console
from rich.progress import track
from rich.table import Table
from sqlalchemy import create_engine, insert

from sidecar.demo import legacy
from sidecar.demo.catalog import CATALOG
from sidecar.demo.postgres import PostgresCluster
from sidecar.policy.types import Views
from sidecar.records.attributes import LEAP_SHIFT
from sidecar.records.catalog import parse
from sidecar.records.connectors import SqlConnector
from sidecar.records.statement import Statement
from sidecar.records.types import PageRequest, RegisterMarks, Search, Subject
from tests.benchmarks import county
from tests.support import baseline
from tests.support.mariadb import MariaDbServer
from tests.support.records import OPEN_ONLY

KINDS = ("sqlite", "postgresql", "mariadb")
REQUIRED = {"subject": 0.9, "scan": 0.7}
"""Least median of DBA's time ÷ filter's time."""

PAGE = 20
SUBJECTS = 300
SCANS = 3
BATCH = 20_000
SETTINGS = "shared_buffers = 512MB\nmax_parallel_workers_per_gather = 0\nmax_wal_size = 4GB"
CATALOG_TEXT = CATALOG.replace("statement_timeout_ms: 3000", "statement_timeout_ms: 60000, pool_size: 1")

NUMBERS = {
    "sqlite": "CAST({} AS INTEGER)",
    "postgresql": "CAST({} AS integer)",
    "mariadb": "CAST({} AS SIGNED)",
}
QUOTES = {"sqlite": '"{}"', "postgresql": '"{}"', "mariadb": "`{}`"}
MARKS = {"sqlite": "?", "postgresql": "${}", "mariadb": "%s"}

DBA = """\
SELECT {columns}, COUNT(*) OVER () FROM {table}
WHERE {subject}{GTFZ} IN ('0', '1') AND ({FCBJ} IS NULL OR {FCBJ} = '2') AND (
  ({AJLB} IN ('01', '03', '04', '05', '08') AND {farq} - {csrq} > {adult})
  OR ({AJLB} = '01' AND {MCBZ} = '2' AND ({XZDM} = '20' OR ({XZDM} IN ('10', '11', '12') AND {XQ_YUE} > 60))
      AND {farq} - {csrq} <= {adult}))
ORDER BY {AJBH}, {XH} LIMIT {limit}"""


@dataclass(frozen=True, slots=True)
class Ratio:
    """One comparison: median milliseconds of both, and the median over the rounds of DBA's ÷ ours."""

    kind: str
    what: str
    ours_ms: float
    dba_ms: float
    ratio: float

    @property
    def enough(self) -> bool:
        """Whether the bound is kept."""
        return self.ratio >= REQUIRED[self.what]


class Differs(Exception):
    """Both statements do not bring the same."""


# --- data ------------------------------------------------------------------------------------------------------------


def rows(count: int) -> Iterator[dict[str, Any]]:
    """Rows of the county's kind, about 13 a person, a sixth of them sealed; the same at every run."""
    dice = random.Random(county.SEED)
    cases = list(county.cases())
    numbers = len({case.SFZH for case in cases})
    for serial in range(count):
        case = cases[serial % len(cases)]
        turn = serial // len(cases)
        row = case.row()
        # Each further turn is about other persons, with numbers of another region.
        row |= {"AJBH": f"AJ{case.FARQ[:4]}{serial:08d}", "SFZH": f"{330000 + turn:06d}{case.SFZH[6:]}"}
        if dice.random() < 0.1:
            row["FCBJ"] = None
        yield row
    assert numbers == county.PERSONS


def _batches(count: int, kind: str) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    for row in track(rows(count), f"{kind}: rows", total=count, transient=True):
        batch.append(row)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def fill(kind: str, url: str, count: int) -> None:
    """The demo's legacy table with its index."""
    engine = create_engine(url)
    legacy.LEGACY.create_all(engine)
    if kind == "postgresql":
        _copy(engine.url.set(drivername="postgresql").render_as_string(hide_password=False), count)
    else:
        with engine.begin() as connection:
            for batch in _batches(count, kind):
                connection.execute(insert(legacy.CASES), batch)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        text = {"sqlite": "ANALYZE", "postgresql": "VACUUM ANALYZE", "mariadb": "ANALYZE TABLE T_AJXX"}[kind]
        connection.exec_driver_sql(text)
    engine.dispose()


def _copy(dsn: str, count: int) -> None:
    names = [column.name for column in legacy.CASES.columns]
    text = 'COPY "T_AJXX" ({}) FROM STDIN'.format(", ".join(f'"{name}"' for name in names))
    with psycopg.connect(dsn) as connection, connection.cursor().copy(text.encode()) as copy:
        for batch in _batches(count, "postgresql"):
            for row in batch:
                copy.write_row([row[name] for name in names])


@contextlib.contextmanager
def database(kind: str, folder: Path) -> Iterator[str]:
    """URL of an empty database."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'county.db'}"
    elif kind == "postgresql":
        with PostgresCluster(folder / "c", settings=SETTINGS) as cluster:
            cluster.createdb("county")
            yield cluster.url("county")
    else:
        with MariaDbServer("--innodb-buffer-pool-size=512M") as server:
            server.run("CREATE DATABASE county CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
            yield server.url("county")


# --- statements ------------------------------------------------------------------------------------------------------


def dba(kind: str, connector: SqlConnector, forms: int) -> str:
    """The DBA's statement; ``forms`` of a citizen number are bound first, 0 for a scan; then the limit."""
    quote = QUOTES[kind].format
    number = NUMBERS[kind].format
    marks = [MARKS[kind].format(i + 1) for i in range(forms + 1)]
    named = {column.name: quote(column.name) for column in legacy.CASES.columns}
    shown = dict.fromkeys((*connector.catalog.source.key, *(f.column for f in connector.catalog.released.values())))
    right = f"{named['CSRQ']} LIKE '%0229'".replace("%", "%%" if kind == "mariadb" else "%")
    return DBA.format(
        **named,
        table=quote("T_AJXX"),
        columns=", ".join(named[name] for name in shown),
        subject=f"{named['SFZH']} IN ({', '.join(marks[:-1])}) AND " if forms else "",
        farq=number(named["FARQ"]),
        csrq=number(named["CSRQ"]),
        adult=f"180000 + CASE WHEN {right} THEN {LEAP_SHIFT} ELSE 0 END",
        limit=marks[-1],
    )


def ours(connector: SqlConnector, target: Subject | Search, views: Views) -> tuple[Statement, list[Any]]:
    """The connector's statement for a target, and what it binds."""
    caught: list[tuple[Statement, list[Any]]] = []
    execute = connector.driver.execute

    def catch(statement: Statement, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        caught.append((statement, list(values)))
        return execute(statement, values)

    connector.driver.execute = catch  # type: ignore[method-assign]
    try:
        connector.fetch(target, views, PageRequest(PAGE), RegisterMarks(), "0192d3a4-5b6c-7d8e-9f01-23456789abcd")
    finally:
        connector.driver.execute = execute  # type: ignore[method-assign]
    return caught[0]


def forms_of(statement: Statement, values: Sequence[Any]) -> list[Any]:
    """The forms of the number that the connector binds: the DBA asks for the same."""
    named = {name: value for name, value in zip(statement.binds, values, strict=True) if name.startswith("form_")}
    return [named[name] for name in sorted(named)]


# --- measuring -------------------------------------------------------------------------------------------------------


Run = Callable[[], list[tuple[Any, ...]]]


def pair(connector: SqlConnector, kind: str, target: Subject | Search) -> tuple[Run, Run]:
    """What runs the connector's statement and the DBA's for a target.

    Raises:
        Differs: they bring other rows.
    """
    driver: Any = connector.driver
    statement, values = ours(connector, target, OPEN_ONLY)
    forms = forms_of(statement, values)
    text = dba(kind, connector, len(forms))
    bound = [*forms, PAGE + 1]

    def run_ours() -> list[tuple[Any, ...]]:
        return driver._run(statement.sql, values)  # type: ignore[no-any-return]

    def run_dba() -> list[tuple[Any, ...]]:
        return driver._run(text, bound)  # type: ignore[no-any-return]

    one, other = run_ours(), run_dba()
    if _keys(one) != _keys(other) or (one and one[0][-1] != other[0][-1]):
        totals = [found[0][-1] if found else 0 for found in (one, other)]
        raise Differs(f"{kind}: {len(one)} and {len(other)} rows, totals {totals}")
    return run_ours, run_dba


def _keys(found: list[tuple[Any, ...]]) -> list[str]:
    return [_text(row[0]) for row in found]


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def timed(run: Run) -> float:
    """Milliseconds of one run."""
    start = time.perf_counter()
    run()
    return (time.perf_counter() - start) * 1000


def compare(kind: str, what: str, pairs: Sequence[tuple[Run, Run]], rounds: int) -> Ratio:
    """Both by turns, each first as often as the other."""
    ratios, mine, theirs = [], [], []
    for number in range(rounds):
        found: tuple[list[float], list[float]] = ([], [])
        for place, both in enumerate(pairs):
            for side in (0, 1) if (place + number) % 2 else (1, 0):
                found[side].append(timed(both[side]))
        mine.append(statistics.median(found[0]))
        theirs.append(statistics.median(found[1]))
        ratios.append(theirs[-1] / mine[-1])
    return Ratio(kind, what, statistics.median(mine), statistics.median(theirs), statistics.median(ratios))


def measure(kind: str, count: int, rounds: int) -> list[Ratio]:
    """Both comparisons on one kind of database."""
    folder = Path(tempfile.mkdtemp(prefix="fb-", dir="/tmp"))
    folder.chmod(0o755)
    try:
        with database(kind, folder) as url, baseline.engine() as engine:
            fill(kind, url, count)
            connector = baseline.connect(parse(CATALOG_TEXT), url, folder, engine)
            dice = random.Random(county.SEED)
            persons = [person for person, _ in county.persons()]
            asked = [f"330000{dice.choice(persons)[6:]}" for _ in range(SUBJECTS)]
            pairs = [pair(connector, kind, Subject(person_id=number)) for number in asked]
            found = [compare(kind, "subject", pairs, rounds)]
            found.append(compare(kind, "scan", [pair(connector, kind, Search(()))] * SCANS, rounds))
            connector.close()
            return found
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def show(found: Sequence[Ratio], console: Console) -> None:
    """The table for people."""
    table = Table(title="compiled filter ÷ DBA's condition")
    for name in ("database", "what", "filter ms", "DBA ms", "ratio", "at least"):
        table.add_column(name)
    for one in found:
        table.add_row(
            one.kind, one.what, f"{one.ours_ms:.3f}", f"{one.dba_ms:.3f}", f"{one.ratio:.2f}", str(REQUIRED[one.what])
        )
    console.print(table)


def main() -> int:
    """Measure and compare with the least ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found: list[Ratio] = []
    for kind in options.kinds.split(","):
        found += measure(kind, options.rows, options.rounds)
    show(found, Console(stderr=True))
    if options.json:
        load = os.getloadavg()
        options.json.write_text(json.dumps({"load": load, "ratios": [asdict(one) for one in found]}, indent=1))
    return 0 if all(one.enough for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())
