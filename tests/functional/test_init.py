"""`sidecar init`, `check`, and the first inquiry over HTTP on a database that nobody wrote a catalog for."""

import sqlite3
from collections.abc import Iterator

import orjson
import pytest
import yaml

from sidecar.demo.people import HAN, ZHAO
from sidecar.demo.story import CASE, POLICE_CASE
from sidecar.demo.world import APPROVERS, World, ready, wait_for
from sidecar.records.catalog import load
from sidecar.records.types import PageRequest, RegisterMarks, Search
from tests.support import baseline, schemas
from tests.support import records as r
from tests.support.deployment import deployment, post, question

pytestmark = pytest.mark.functional

SEED = 4
"""A schema of which nothing is left out."""


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with deployment("sqlite", "wasm") as found:
        yield found


@pytest.fixture(scope="module")
def schema(world: World) -> schemas.Schema:
    (world.folder / "catalogs" / "town.dsn").write_text(f"sqlite:///schema{SEED}.db\n", encoding="utf-8")
    return schemas.generate(world.folder / "catalogs", SEED)


def test_from_an_unknown_database_to_its_first_inquiry(world: World, schema: schemas.Schema) -> None:
    catalogs = world.folder / "catalogs"
    told = orjson.loads(
        world.cli(
            "init", "town", "--dsn-file", str(catalogs / "town.dsn"), "--out", str(catalogs / "town.yaml"), "--json"
        )
    )
    assert {part["part"]: part["value"] for part in told["parts"] if part["taken"]} == schema.truth

    settings = yaml.safe_load(world.config.read_text(encoding="utf-8"))
    settings["policy"]["catalogs"].append("catalogs/town.yaml")
    world.config.write_text(yaml.safe_dump(settings, allow_unicode=True), encoding="utf-8")
    world.cli("policy", "build")
    for name in APPROVERS:
        world.cli("policy", "approve", "2", "--name", name, "--key", str(world.approver_key(name)))
    world.cli("policy", "activate", "2", "--officer", "operator")
    world.reload()

    found = {each["check"]: each for each in orjson.loads(world.cli("check", "--rows", "1000", "--json"))}
    assert found["database town"]["ok"]
    assert found["catalog town"]["ok"]
    assert found["catalog town"]["grade"]["rows"] == schemas.ROWS

    person, crimes = someone_with_an_open_record(world, schema)
    body = question(person, CASE, database="town", case_number=POLICE_CASE)
    wait_for("the new database", lambda: ready(world) and post(world, world.token(HAN), body).status == 200)
    answer = post(world, world.token(HAN), body).json()
    assert sorted(record["crime"] for record in answer["records"]) == crimes
    assert answer["receipt"]
    assert post(world, world.token(ZHAO), body).status == 403


def someone_with_an_open_record(world: World, schema: schemas.Schema) -> tuple[str, list[str]]:
    """A person's number and the crimes of the open records, by the baseline's own word."""
    loaded = load(world.folder / "catalogs" / "town.yaml")
    number, crime = schema.truth["subject.person_id"], schema.truth["released.crime"]["column"]
    with baseline.engine() as engine:
        connector = baseline.connect(loaded.catalog, f"sqlite:///{schema.path}", world.folder, engine)
        page = connector.fetch(Search(()), r.OPEN_ONLY, PageRequest(1), RegisterMarks(), "i")
        connector.close()
    with sqlite3.connect(schema.path) as database:
        statement = f'SELECT "{number}", "{crime}" FROM "{schema.table}" WHERE CAST("{schema.key}" AS TEXT) = ?'
        [(person, told)] = database.execute(statement, (page.rows[0].key,)).fetchall()
    database.close()
    return person, [told]


def test_nothing_of_a_person_is_told(world: World, schema: schemas.Schema) -> None:
    catalogs = world.folder / "catalogs"
    target = catalogs / "again.yaml"
    said = world.cli("init", "again", "--dsn-file", str(catalogs / "town.dsn"), "--out", str(target), "--yes")
    said += target.read_text(encoding="utf-8")
    assert "attributes.minor.birth" in said
    with sqlite3.connect(schema.path) as database:
        rows = database.execute(f'SELECT * FROM "{schema.table}"').fetchall()
        columns = [each[1] for each in database.execute(f'PRAGMA table_info("{schema.table}")')]
    database.close()
    place = [columns.index(schema.truth[part]) for part in ("subject.person_id", "subject.name")]
    assert not [row for row in rows if any(row[i] in said for i in place)]


def test_a_file_that_is_there_is_not_overwritten(world: World) -> None:
    catalogs = world.folder / "catalogs"
    done = world.try_cli(
        "init", "county", "--dsn-file", str(catalogs / "county.dsn"), "--out", str(catalogs / "county.yaml"), "--yes"
    )
    assert done.returncode != 0
    assert "is there already" in done.stderr


@pytest.mark.parametrize("server", ["postgresql", "mariadb"])
def test_tables_and_keys_of_servers_are_found(server, request, world, tmp_path) -> None:
    url = request.getfixturevalue("postgres_url" if server == "postgresql" else "mariadb_url")
    r.fill(url, r.rows({}, {}, {}))
    (tmp_path / "x.dsn").write_text(url, encoding="utf-8")
    told = orjson.loads(
        world.cli("init", "x", "--dsn-file", str(tmp_path / "x.dsn"), "--out", str(tmp_path / "x.yaml"), "--json")
    )
    assert (told["table"], told["key"]) == ("T_AJXX", ["AJBH", "XH"])
    parts = {part["part"]: part for part in told["parts"]}
    assert parts["attributes.minor.offences"]["value"] == [{"column": "FARQ", "format": "YYYYMMDD"}]
