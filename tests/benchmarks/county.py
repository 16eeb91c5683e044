"""The benchmark's county: 10,000 persons with about 13 records each in the demo's legacy table, a sixth of them sealed."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterator
from dataclasses import replace

import psycopg
from sqlalchemy import create_engine

from sidecar.demo import legacy
from sidecar.demo.postgres import PostgresCluster

SEED = 20261124
PERSONS = 10_000
FEWEST, MOST = 8, 18
"""Records of a person: 13 on average."""

SEALED_SHARE = 1 / 6
_FIRST_BIRTH = dt.date(1965, 1, 1)
_BIRTH_DAYS = 30 * 365
_ADULT = dt.timedelta(days=20 * 366)
_MINOR = dt.timedelta(days=16 * 366)


def persons() -> list[tuple[str, dt.date]]:
    """Citizen numbers with days of birth, all different; the same at every run."""
    dice = random.Random(SEED)
    found: dict[str, dt.date] = {}
    while len(found) < PERSONS:
        birth = _FIRST_BIRTH + dt.timedelta(days=dice.randrange(_BIRTH_DAYS))
        found.setdefault(legacy.citizen_number(f"{birth:%Y%m%d}", len(found) % 900), birth)
    return list(found.items())


def cases() -> Iterator[legacy.Case]:
    """All rows, person by person."""
    dice = random.Random(SEED)
    serial = 0
    for person_id, birth in persons():
        for _ in range(dice.randint(FEWEST, MOST)):
            yield _case(dice, serial, person_id, birth)
            serial += 1


def _case(dice: random.Random, serial: int, person_id: str, birth: dt.date) -> legacy.Case:
    """A row of the demo's kind, made a minor's and marked, or an adult's and unmarked."""
    case = legacy._case(dice, serial, person_id, f"某{serial % 97}", birth)
    sealed = dice.random() < SEALED_SHARE
    offence = birth + (_MINOR if sealed else _ADULT) + dt.timedelta(days=dice.randrange(300))
    concluded = offence + dt.timedelta(days=dice.randrange(60, 500))
    return replace(
        case, FARQ=f"{offence:%Y%m%d}", JARQ=f"{concluded:%Y%m%d}", FCBJ="1" if sealed else "2",
        XZDM="10", XQ_YUE=dice.randrange(6, 36), MCBZ="2", AJLB="01", GTFZ="0", FMBJ="2",
    )  # fmt: skip


def fill(cluster: PostgresCluster) -> None:
    """Create the databases and roles that the demo's settings name, and the county's rows by COPY."""
    for role in ("sidecar", "county_reader"):
        cluster.execute(f"CREATE ROLE {role} LOGIN")
    for name in ("county", "sidecar"):
        cluster.createdb(name)
    cluster.execute("ALTER DATABASE sidecar OWNER TO sidecar")
    engine = create_engine(cluster.url("county"))
    legacy.LEGACY.create_all(engine)
    engine.dispose()
    columns = [column.name for column in legacy.CASES.columns]
    names = ", ".join(f'"{name}"' for name in columns)
    statement = f'COPY "T_AJXX" ({names}) FROM STDIN'.encode()
    with psycopg.connect(cluster.dsn("county")) as connection, connection.cursor().copy(statement) as copy:
        for case in cases():
            copy.write_row([getattr(case, name) for name in columns])
    cluster.execute('GRANT SELECT ON "T_AJXX" TO county_reader', "county")
    cluster.execute("VACUUM ANALYZE", "county")
