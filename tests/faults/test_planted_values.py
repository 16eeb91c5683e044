"""Values planted in every column of sealed rows are nowhere but in the legacy database (P3, P6, P8)."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields

import pytest
from sqlalchemy import inspect, text

from sidecar.demo import faults, legacy
from sidecar.demo.archive_catalog import ARCHIVE
from sidecar.demo.people import LI, WANG, ZHOU
from sidecar.demo.story import CASE, POLICE_CASE, VETTING
from sidecar.demo.world import World, ready, wait_for
from tests.support.deployment import Books, letter, post, question
from tests.support.planted import PLANTED, SEALED, SENT

pytestmark = pytest.mark.functional


@dataclass(frozen=True)
class Plants:
    """Planted text or bytes, by what it is."""

    values: Mapping[str, bytes]

    def found(self, data: bytes) -> list[str]:
        """What of it stands in ``data``, in any of its encodings."""
        low = data.lower()
        return [
            name for name, value in self.values.items() for form in forms(value) if form in data or form.lower() in low
        ]


def forms(value: bytes) -> Iterator[bytes]:
    """As UTF-8, GB18030, hex, base64 in each alignment, and escaped as in JSON and Python."""
    spoken = decoded(value)
    spellings = {value, spoken.encode(), spoken.encode("gb18030"), spoken.encode("unicode_escape")}
    spellings.add("".join(f"\\u{unit:04x}" for unit in units(spoken)).encode())
    for spelling in spellings:
        yield spelling
        yield spelling.hex().encode()
        yield repr(spelling)[2:-1].encode()
        for shift in range(3):
            whole = base64.b64encode(b"\0" * shift + spelling)
            last = len(whole) - (0, 3, 2)[(shift + len(spelling)) % 3]  # the rest depends on what follows
            inner = whole[(0, 2, 3)[shift] : last]
            if len(inner) >= 8:
                yield inner
                yield inner.translate(bytes.maketrans(b"+/", b"-_"))


def decoded(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("gb18030")


def units(spoken: str) -> Iterable[int]:
    """UTF-16 code units, as JSON's escapes have them."""
    raw = spoken.encode("utf-16-be")
    return (int.from_bytes(raw[i : i + 2]) for i in range(0, len(raw), 2))


def plants() -> Plants:
    """Every column of both rows that holds a value of its own; a single ASCII digit tells nothing."""
    values = {}
    for case in PLANTED:
        for field in fields(case):
            value = getattr(case, field.name)
            raw = value if isinstance(value, bytes) else str(value).encode()
            if len(raw) >= 4 and value != SENT:
                values[f"{case.AJBH}.{field.name}"] = raw
    for day in ("CSRQ", "FARQ", "JARQ"):
        compact = getattr(SEALED, day)
        values[f"{day} as a day"] = f"{compact[:4]}-{compact[4:6]}-{compact[6:]}".encode()
    return Plants(values)


@pytest.fixture(scope="module")
def world(postgresql_world: World) -> World:
    return postgresql_world


def asked(world: World) -> Iterator[bytes]:
    """A school asks in every way there is, lawfully, unlawfully and while things break; all bytes that it got."""
    token = world.token(WANG)

    def ask(**more: object) -> bytes:
        return post(world, token, question(SENT, VETTING, **more)).raw

    def lawful() -> bytes:
        return ask(letter=letter(world, WANG, SENT, VETTING))

    yield lawful()
    yield ask()
    yield ask(letter="a.b.c")
    yield ask(scope="sealed", letter=letter(world, WANG, SENT, VETTING, scope="sealed"))
    yield ask(letter=letter(world, WANG, legacy.OPEN.SFZH, VETTING))
    yield ask(cursor="A" * 64)
    yield ask(colour="x")
    yield post(world, token, b'{"subject":{"person_id":"' + SENT.encode() + b'"').raw
    yield post(world, "not.a.token", question(SENT, VETTING)).raw
    police = question(SENT, CASE, case_number=POLICE_CASE)
    yield post(world, world.token(LI), police).raw
    assert world.cluster is not None
    world.cluster.execute('ALTER TABLE "T_AJXX" RENAME COLUMN "ZM" TO "ZM2"', "county")
    yield lawful()
    world.cluster.execute('ALTER TABLE "T_AJXX" RENAME COLUMN "ZM2" TO "ZM"', "county")
    world.cluster.execute('REVOKE SELECT ON "T_AJXX" FROM county_reader', "county")
    yield lawful()
    world.cluster.execute('GRANT SELECT ON "T_AJXX" TO county_reader', "county")
    with faults.opa_killed(world):
        yield lawful()
    wait_for("the engine's return", lambda: ready(world))
    with faults.ledger_unavailable(world):
        yield lawful()
    wait_for("the ledger's return", lambda: ready(world))
    for path, actor in (("/metrics", None), ("/v1/databases", WANG), ("/oversight/v1/events", ZHOU)):
        yield world.ask("GET", path, world.token(actor) if actor else None).raw


def state_bytes(world: World) -> Iterator[tuple[str, bytes]]:
    """All values of the state database, as they are read, and its files as they lie on the disk."""
    assert world.cluster is not None
    engine = world.state_engine()
    with engine.connect() as connection:
        for table in inspect(engine).get_table_names():
            for row in connection.execute(text(f'SELECT * FROM "{table}"')):  # the database's own names
                yield table, b"\0".join(v if isinstance(v, bytes) else str(v).encode() for v in row)
        oid = connection.execute(text("SELECT oid FROM pg_database WHERE datname = 'sidecar'")).scalar_one()
    engine.dispose()
    world.cluster.execute("CHECKPOINT")
    for file in (world.cluster.data / "base" / str(oid)).iterdir():
        yield f"base/{file.name}", file.read_bytes()


def files(world: World) -> Iterator[tuple[str, bytes]]:
    """Logs of the sidecar, of its OPA and of PostgreSQL, and everything else that the deployment wrote."""
    assert world.cluster is not None
    others = {world.cluster.directory, world.folder / "postgres", world.folder / ARCHIVE}  # the legacy systems' own
    yield "postgres.log", world.cluster.log.read_bytes()
    for file in world.folder.rglob("*"):
        if file.is_file() and others.isdisjoint(file.parents):
            yield str(file.relative_to(world.folder)), file.read_bytes()


def test_planted_values_are_in_no_answer_log_metric_or_state(world: World) -> None:
    planted = plants()
    answers = list(asked(world))
    books = Books(world)
    books.news()
    books.state.dispose()
    world.folder.joinpath("answers").write_bytes(b"\n".join(answers))
    written = dict(files(world))
    assert b"inquiry-failed" in written["sidecar.log"], "the sidecar logged nothing"
    assert b"T_AJXX" in written["postgres.log"], "PostgreSQL logged no statement"
    stored = list(state_bytes(world))
    assert len(stored) > 20
    seen = [(name, planted.found(data)) for name, data in (*written.items(), *stored)]
    assert [(name, found) for name, found in seen if found] == []
    own = Plants({"the number that was sent": SENT.encode()})
    logs = [(name, data) for name, data in written.items() if name != "answers"]
    assert [name for name, data in (*logs, *stored) if own.found(data)] == []


def test_the_search_finds_what_is_there() -> None:
    """Each encoding of each value would be found."""
    planted = plants()
    for name, value in planted.values.items():
        spoken = decoded(value)
        for hidden in (spoken.encode(), spoken.encode("gb18030"), value.hex().encode(), value.hex().upper().encode()):
            assert name in planted.found(b"\xff\x01" + hidden + b"\x02")
        for shift in range(3):
            assert len(value) < 8 or name in planted.found(base64.b64encode(b"x" * shift + value + b"yz"))
