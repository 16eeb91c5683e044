"""Two deployments that share keys, seed and clock, and everything that anybody sees of each: raw bytes, compared as they are.

Nothing here normalises. What a deployment draws at random and what time it is are injected; the rest must be equal of
itself: status lines, headers in their order, bodies, ``/metrics``, log lines, entries with their positions, events.
"""

from __future__ import annotations

import contextlib
import io
import logging
import re
import shutil
import sqlite3
import sys
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import zip_longest
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import orjson
import psycopg
import structlog
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from sidecar.clock import FixedClock
from sidecar.demo.archive import PASSWORD
from sidecar.demo.archive_catalog import ARCHIVE, archive_catalog
from sidecar.gateway import metrics
from sidecar.gateway.answer_time import leaving
from sidecar.keys.generate import create_log_key
from sidecar.ledger.open import open_ledger
from sidecar.ledger.sequencer import Sequencer
from sidecar.ledger.signed import nothing_signed
from sidecar.ledger.signer import open_signer
from sidecar.ledger.tiles import WIDTH, Bundle
from sidecar.oversight.projector import AlertProjector
from sidecar.papers.register import import_register
from sidecar.papers.tables import IDEMPOTENCY_KEYS, INQUIRIES, LETTER_USES, LETTERS, SESSIONS
from sidecar.settings import Logging, Server
from sidecar.web.answer_time import HELD
from sidecar.web.app import create_app
from sidecar.web.logging import configure
from tests.support.world import APPROVERS, DEPLOYMENT, NOW, Drip, World
from tests.worlds.calls import (
    CLIENTS,
    Again,
    Ask,
    Body,
    Call,
    Client,
    Legacy,
    More,
    Next,
    Open,
    Raw,
    Visit,
    Wait,
    by_number,
)
from tests.worlds.county import ADULT, CATALOG, REGISTERED, TABLE, Pair, Values
from tests.worlds.shelves import Shelf, Shelves

_EVENTS = "SELECT * FROM oversight_events WHERE seq > :seen ORDER BY seq"
_POSITIONS = (
    "SELECT p.position - :first, e.writer, e.leaf_hash, e.body FROM ledger_positions p JOIN ledger_entries e"
    " ON e.writer = p.writer AND e.writer_seq = p.writer_seq WHERE p.position >= :first ORDER BY p.position"
)
"""Positions are those since the world began; chains are functions of the leaves."""


class Places(Protocol):
    """Databases for a side."""

    def legacy(self, name: str) -> str:
        """URL of an empty legacy database."""

    def state(self, name: str) -> str | None:
        """URL of an empty state database; None for SQLite in the side's folder."""


class SqlitePlaces:
    """Files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def legacy(self, name: str) -> str:
        return f"sqlite:///{self._folder / f'{name}-county.db'}"

    def state(self, name: str) -> str | None:
        return None


class PostgresPlaces:
    """Databases of a cluster."""

    def __init__(self, cluster: Any) -> None:
        self._cluster = cluster

    def legacy(self, name: str) -> str:
        return self._new(f"{name}_county")

    def state(self, name: str) -> str | None:
        return self._new(f"{name}_state")

    def _new(self, name: str) -> str:
        self._cluster.createdb(name)
        return str(self._cluster.url(name))


@dataclass(frozen=True)
class Observed:
    """What one world shows. Every part is compared byte for byte."""

    answers: tuple[bytes, ...]
    metrics: bytes
    log: str
    ledger: tuple[Any, ...]
    events: tuple[Any, ...]
    left: tuple[float, ...]
    """After how many seconds each answer left."""

    def difference(self, other: Observed) -> str:
        """The first part that differs, with both forms; empty where none does."""
        for name in ("answers", "metrics", "log", "ledger", "events", "left"):
            for i, (one, two) in enumerate(zip_longest(_parts(getattr(self, name)), _parts(getattr(other, name)))):
                if one != two:
                    return f"{name} {i}: {apart(repr(one), repr(two))}"
        return ""


def apart(one: str, two: str, around: int = 300) -> str:
    """Where two texts part."""
    at = next((i for i, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), min(len(one), len(two)))
    return "\n".join(["", *(text[max(0, at - around) : at + around] for text in (one, two))])


def _parts(seen: tuple[Any, ...] | bytes | str) -> Sequence[Any]:
    return seen if isinstance(seen, tuple) else seen.splitlines(keepends=True)


_UNSTATED = (
    (
        "birth: {column: CSRQ, format: YYYYMMDD}\n    offences",
        'birth: {column: CSRQ, format: YYYYMMDD, unknown: ["19000101"]}\n    offences',
    ),
    ("    column: XQ_YUE\n", '    column: XQ_YUE\n    unknown: ["0", "998", null]\n'),
)
"""What says nothing in the county's columns says nothing in the archive's: a row is sealed in both or in neither."""


def _archive_catalog(url: str) -> str:
    catalog = archive_catalog(url)
    for stated, meant in _UNSTATED:
        assert catalog.count(stated) == 1, stated
        catalog = catalog.replace(stated, meant)
    return catalog


class Side(World):
    """One of two deployments: the real application, and legacy systems whose rows are replaced for each world.

    The same rows are in a database of the county and, as records, in the archive's old HTTP service.
    """

    def __init__(self, folder: Path, keys: Path, places: Places, name: str, shelf: Shelf) -> None:
        self._legacy_url, self._state_url = places.legacy(name), places.state(name)
        self._shelf = shelf
        folder.mkdir()
        sections: dict[str, Any] = {"storage": {"url": self._state_url}} if self._state_url else {}
        sections["policy"] = {**_POLICY, "approvers": {name: f"keys/{name}.pub.pem" for name in APPROVERS}}
        sections["ledger"] = {"log_key": f"keys/{LOG_KEY}", "signed_file": "log.signed"}
        super().__init__(folder, keys=keys, gateway={"page_size": 4}, **sections)
        thin = replace_server(self.settings, thin_lane=False)
        self.doors = {
            "thin": self.app.wsgi_app,
            "flask": create_app(thin, self.services, sleep=self.waited.append).wsgi_app,
        }
        self._seal()
        runtime, ports = self.gateway.runtime, self.gateway.ports
        signed = self.settings.path(self.settings.ledger.signed_file)
        signed.write_bytes(nothing_signed(DEPLOYMENT))
        signed.chmod(0o600)
        # It only goes on, while worlds begin at NOW again and again: it starts early, for nobody's clock may be behind it.
        self._log_clock = FixedClock(NOW - timedelta(days=300))
        self._sequencer = Sequencer(
            self.state,
            ports.ledger,
            self._log_clock,
            [AlertProjector(runtime.engine, DEPLOYMENT)],
            random=Drip(b"sequencer"),
            publisher=open_signer(self.settings, ports.ledger, self._log_clock),
        )
        self._rows = _Rows(self._legacy_url)
        self._positions = self._events = self._serial = 0
        self.left: list[float] = []
        self.settle()

    def _settings(self, sections: Mapping[str, Mapping[str, Any]]) -> Any:
        settings = super()._settings(sections)
        (self.folder / "county.yaml").write_text(CATALOG, encoding="utf-8")
        (self.folder / "county.dsn").write_text(self._legacy_url, encoding="utf-8")
        (self.folder / "archive.yaml").write_text(_archive_catalog(self._shelf.url), encoding="utf-8")
        (self.folder / PASSWORD).write_text(self._shelf.secret, encoding="utf-8")
        return settings

    def _legacy(self, cases: Iterable[Any]) -> None:
        engine = create_engine(self._legacy_url, poolclass=NullPool)
        TABLE.metadata.create_all(engine)
        engine.dispose()

    def _seal(self) -> None:
        """One record, in the county and in the archive, is in the seal register of both deployments."""
        decision = {
            "effect": "seal", "record_key": "|".join(map(str, REGISTERED)),
            "authority": "示例县人民法院", "date": "2026-11-20", "ground": "s1", "subject": {"person_id": ADULT.SFZH, "name": ADULT.XM},
        }  # fmt: skip
        file = self.folder / "register.yaml"
        decisions = [
            {**decision, "database": name, "number": f"（2026）浙0101刑封{number}号"}
            for number, name in enumerate(("county", ARCHIVE), 1)
        ]
        file.write_bytes(orjson.dumps({"register": 1, "decisions": decisions}))
        with contextlib.closing(
            open_ledger(self.settings, self.clock, engine=self.state, random=self.random)
        ) as ledger:  # not the gateway's writer
            import_register(
                file, engine=self.state, ledger=ledger, clock=self.clock, keys=self.services.ring, registrar="甲", confirmed_by="乙",
                random=self.random,
            )  # fmt: skip

    @property
    def legacy_file(self) -> str:
        """File of a legacy database on SQLite."""
        return self._legacy_url.removeprefix("sqlite:///")

    @property
    def connector(self) -> Any:
        """What reads the legacy database."""
        return self.gateway.runtime.databases["county"].connector

    def settle(self) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Positions for what has none, and what is new: positions with their entries, events."""
        self.gateway.ports.attempts.tick(final=True)
        self.sign()
        with self.state.connect() as connection:
            placed = connection.execute(text(_POSITIONS), {"first": self._positions}).all()
            events = connection.execute(text(_EVENTS), {"seen": self._events}).all()
        self._positions += len(placed)
        self._events += len(events)
        return tuple(tuple(row) for row in placed), tuple(tuple(row) for row in events)

    def sign(self) -> None:
        """Two minutes later for the sequencer: positions, and a checkpoint signed."""
        self._log_clock.set(self._log_clock.now() + timedelta(minutes=2))
        while self._sequencer.step():
            pass

    def plant(self, rows: Sequence[Values]) -> None:
        """Make database and archive hold these rows and no others."""
        self._rows.replace(rows)
        self._shelf.place(rows)

    def play(self, calls: Sequence[Call], number: int) -> Observed:
        """Make the calls one after the other and see everything that can be seen."""
        self.renew(number)
        with logged(self.clock) as log:
            session = Session(self)
            answers = tuple(session.make(call) for call in calls)
            text_of_metrics = session.visit(Visit("GET", "/metrics"))
            ledger, events = self.settle()
        return Observed(answers, text_of_metrics, log.getvalue(), ledger, events, tuple(self.left))

    def renew(self, number: int) -> None:
        """As it was before the last world; only ledger and feed have grown. ``number``: of the world, the seed of all that is drawn."""
        forget_counts()
        self.left.clear()
        self._serial = 0
        self.gateway.ports.random.__init__(b"world %d" % number)
        self.gateway.ports.ids.__self__._millis = -1
        with self.state.begin() as connection:
            for table in (LETTER_USES, LETTERS, IDEMPOTENCY_KEYS, INQUIRIES, SESSIONS):
                connection.execute(table.delete())
        self.clock.set(NOW)
        self.gateway.latest = datetime.fromtimestamp(0, UTC)

    def serial(self) -> int:
        """A number that no letter of this side had yet."""
        self._serial += 1
        return self._serial

    def close(self) -> None:
        self._rows.close()
        self._sequencer.release()
        super().close()


LOG_KEY = "log.pem"
_POLICY = {"engine": "wasm", "catalogs": ["county.yaml", "archive.yaml"]}


def replace_server(settings: Any, **changes: Any) -> Any:
    return settings.model_copy(update={"server": Server(**{**settings.server.model_dump(), **changes})})


class _Rows:
    """Replaces all rows of a legacy database, quickly: it is written to by tests only."""

    def __init__(self, url: str) -> None:
        names = [column.name for column in TABLE.columns]
        if url.startswith("sqlite"):
            self._connection: Any = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
            self._connection.execute("PRAGMA synchronous = OFF")
            mark = "?"
        else:
            self._connection = psycopg.connect(url.replace("postgresql+psycopg", "postgresql"))
            mark = "%s"
        columns = ", ".join(f'"{name}"' for name in names)
        self._insert = f'INSERT INTO "T_AJXX" ({columns}) VALUES ({", ".join(mark for _ in names)})'
        self._names = names

    def replace(self, rows: Sequence[Values]) -> None:
        if isinstance(self._connection, sqlite3.Connection):
            self._connection.execute("BEGIN")
        cursor = self._connection.cursor()
        cursor.execute('DELETE FROM "T_AJXX"')
        if rows:
            cursor.executemany(self._insert, [[row[name] for name in self._names] for row in rows])
        self._connection.commit()

    def close(self) -> None:
        self._connection.close()


@dataclass
class _Asked:
    """An inquiry that was made, for its pages and repetitions."""

    client: str
    body: dict[str, Any]
    answer: Mapping[str, Any]


_NO_ID = "01a2076b-4400-763e-9705-bf33f059dab0"
_LINK = re.compile(rb"\r\nLink: <([^>]+)>")
_NEXT = re.compile(rb'"next": "([^"]+)"')


def content_of(answer: bytes) -> bytes:
    """The body of an answer; in front of the answer there may be an interim one (RFC 9110 §15.2)."""
    return answer.rpartition(b"\r\n\r\n")[2]


@dataclass
class Session:
    """Makes calls against one side; what it learns from answers it learns in both worlds alike."""

    side: Side
    asked: list[_Asked] = field(default_factory=list)
    letters: dict[str, str] = field(default_factory=dict)
    legacy: list[tuple[Legacy, bytes]] = field(default_factory=list)
    sessions: dict[str, str] = field(default_factory=dict)
    learned: dict[str, str] = field(default_factory=lambda: {"id": _NO_ID, "inquiry": _NO_ID, "number": "000.p/1"})

    def make(self, call: Call) -> bytes:
        """The answer as it is on the wire; nothing where nothing was sent."""
        match call:
            case Wait():
                answer = self._wait(call)
            case Visit():
                answer = self.visit(call)
            case Raw():
                answer = self.send(
                    "POST", "/v1/inquiries", call.client, call.headers, call.body * call.times, call.door
                )
            case Ask():
                answer = self._post(call.client, self._body(call), call.headers, call.door)
            case Open():
                answer = self._open(call)
            case Legacy():
                answer = self._legacy(call)
            case Next():
                answer = self._next(call)
            case _:
                answer = self._follow(call)
        return answer

    def _wait(self, call: Wait) -> bytes:
        self.side.clock.set(self.side.clock.now() + timedelta(seconds=call.seconds))
        self.side.sign()
        return b""

    def visit(self, call: Visit) -> bytes:
        path = call.path
        for name, value in self.learned.items():
            path = path.replace(f"{{{name}}}", value)
        answer = self.send(call.method, path, call.client, call.headers, call.body, "thin")
        self._learn(call, answer)
        return answer

    def _learn(self, call: Visit, answer: bytes) -> None:
        content = content_of(answer)
        if call.path == "/v1/applications" and answer.startswith(b"HTTP/1.1 201"):
            self.learned["id"] = orjson.loads(content)["id"]
        if call.path == "/log/checkpoint" and answer.startswith(b"HTTP/1.1 200") and content:
            size = int(content.split(b"\n")[1])
            newest = Bundle((size - 1) // WIDTH, (size - 1) % WIDTH + 1)
            self.learned["number"] = newest.path.removeprefix("tile/entries/")

    def _open(self, call: Open) -> bytes:
        body = self._body(Ask(call.client, {**call.stated, "database": ARCHIVE}))
        answer = self.send("POST", "/v1/sessions", call.client, {}, orjson.dumps(body), "thin")
        if answer.startswith(b"HTTP/1.1 201"):
            made = orjson.loads(content_of(answer))
            login = f"{made['username']}:{made['password']}".encode()
            self.sessions[call.client] = f"Basic {b64encode(login).decode()}"
        return answer

    def _legacy(self, call: Legacy) -> bytes:
        headers = {"Content-Type": call.kind, **call.headers}
        if call.session and call.client in self.sessions:
            headers["Authorization"] = self.sessions[call.client]
        else:
            headers |= self._facts(call.client)
        answer = self.send(call.method, f"/proxy/{ARCHIVE}{call.path}", call.client, headers, call.body, "thin")
        self.legacy.append((call, answer))
        return answer

    def _facts(self, name: str) -> dict[str, str]:
        """What an inquiry states, as headers."""
        stated = self._body(Ask(name, {}))
        basis = stated.pop("basis")
        told = {
            "Reason": stated["reason"], "Basis-Instrument": basis["instrument"], "Basis-Article": basis["article"],
            "Purpose": stated["purpose"], "Case-Number": stated["case_number"], "Letter": stated.get("letter", ""),
        }  # fmt: skip
        return {f"Inquiry-{name}": quote(value) for name, value in told.items() if value}

    def _next(self, call: Next) -> bytes:
        if not self.legacy:
            return b""
        earlier, answer = self.legacy[call.of % len(self.legacy)]
        head, _, body = answer.partition(b"\r\n\r\n")
        path = earlier.path
        if link := _LINK.search(head):
            path = link[1].decode().removeprefix(f"/proxy/{ARCHIVE}")
        elif following := _NEXT.search(body):
            path = f"{earlier.path}&from={following[1].decode()}"
        return self._legacy(replace(earlier, path=path))

    def _follow(self, call: More | Again) -> bytes:
        if not self.asked:
            return b""
        if isinstance(call, Again):
            earlier = self.asked[call.of % len(self.asked)]
            return self._post(earlier.client, earlier.body, call.headers, "thin")
        paged = [asked for asked in self.asked if asked.answer.get("next_cursor")] or self.asked
        earlier = paged[call.of % len(paged)]
        body = {**earlier.body, **call.stated, "cursor": earlier.answer.get("next_cursor") or "A" * 1400}
        return self._post(call.client or earlier.client, body, {}, call.door)

    def _post(self, client: str, body: dict[str, Any], headers: Mapping[str, str], door: str) -> bytes:
        answer = self.send("POST", "/v1/inquiries", client, headers, orjson.dumps(body), door)
        asked = _Asked(client, body, orjson.loads(content_of(answer)))
        self.asked.append(asked)
        self.learned["inquiry"] = str(asked.answer.get("inquiry_id", _NO_ID))
        return answer

    def _body(self, call: Ask) -> dict[str, Any]:
        client, plain = CLIENTS[call.client], self.plain(call.client, {})
        if client.letter and call.letter != "none":
            plain["letter"] = self._letter(client, call)
        return {**plain, **call.stated}

    def plain(self, name: str, stated: Body) -> dict[str, Any]:
        """A client's inquiry without a letter."""
        client = CLIENTS[name]
        return {
            "database": "county",
            "reason": client.ground.reason,
            "basis": client.ground.basis,
            "purpose": client.ground.code,
            "case_number": client.case_number,
            **stated,
        }

    def _letter(self, client: Client, call: Ask) -> str:
        """A fresh letter about the subject, one about somebody else, or the client's last one."""
        if call.letter == "last" and client.subject in self.letters:
            return self.letters[client.subject]
        assert client.unit is not None
        named = call.stated.get("subject", {}).get("person_id", ADULT.SFZH)
        self.letters[client.subject] = made = self.side.letter(
            [ADULT.SFZH if call.letter == "another's" else named],
            officer=client.subject,
            unit=client.unit,
            number=f"示公函字〔2026〕{self.side.serial()}号",
            basis=client.ground.basis,
            purpose=client.ground.code,
            databases=["archive", "county"],
        )
        return made

    def send(  # noqa: PLR0917  # the parts of a request, in the order of the wire
        self, method: str, path: str, client: str, headers: Mapping[str, str], body: bytes, door: str
    ) -> bytes:
        """One request through the application's own WSGI interface (PEP 3333)."""
        monotonic = self.side.clock.monotonic
        arrived, held = monotonic(), {HELD: 0.0}
        answer = wsgi(self.side.doors[door], method, path, self.headers(client, headers, body), body, held)
        self.side.left.append(leaving(arrived, monotonic(), held[HELD]) - arrived if held[HELD] else 0.0)
        return answer

    def headers(self, client: str, headers: Mapping[str, str], body: bytes) -> dict[str, str]:
        """A client's headers, and those of the call in their place."""
        who = CLIENTS[client]
        sent = {
            "Host": "sidecar.example",
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            **headers,
        }
        if who.unit is not None and "Authorization" not in headers:
            sent["Authorization"] = f"Bearer {self.side.token(who.subject, who.unit, who.roles, **who.claims)}"
        return sent


def wsgi(  # noqa: PLR0917  # the parts of a request, in the order of the wire, and what the server has
    application: Any, method: str, target: str, headers: Mapping[str, str], body: bytes, server: dict[str, float]
) -> bytes:
    """Call a WSGI application and write its answer as it would be on the wire, every header in its place."""
    path, _, query = target.partition("?")
    environ = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
    environ["CONTENT_TYPE"] = environ.pop("HTTP_CONTENT_TYPE")
    environ["CONTENT_LENGTH"] = environ.pop("HTTP_CONTENT_LENGTH")
    started: list[tuple[str, list[tuple[str, str]]]] = []
    asked = {
        **environ,
        **server,
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_NAME": "sidecar.example",
        "SERVER_PORT": "443",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "192.0.2.7",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "https",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    answer = application(asked, lambda status, sent, exc_info=None: started.append((status, sent)))
    server |= {name: asked[name] for name in server}
    content = b"".join(answer)
    if hasattr(answer, "close"):
        answer.close()
    ((status, sent),) = started
    head = "".join(f"{name}: {value}\r\n" for name, value in sent)
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode("latin-1") + content


# --- what else is seen -----------------------------------------------------------------------------------------------


def forget_counts() -> None:
    """Both worlds count from nothing: counters are a process's own, and here one process holds both."""
    for counter in {id(found): found for found in metrics.REGISTRY._names_to_collectors.values()}.values():
        counter.clear()
    metrics._child.cache_clear()


@contextlib.contextmanager
def logged(clock: Any) -> Iterator[io.StringIO]:
    """All log lines at the most talkative level, as they are written in production."""
    written = io.StringIO()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    with contextlib.redirect_stderr(written):
        configure(Logging(level="debug", format="json"), clock)
        uncache()
        try:
            yield written
        finally:
            root.handlers[:] = handlers
            root.setLevel(level)
            structlog.reset_defaults()
            uncache()


def uncache() -> None:
    """Loggers of modules keep the configuration they were first used with; let them take the present one."""
    for name, module in list(sys.modules.items()):
        if name.startswith("sidecar"):
            for value in vars(module).values():
                if isinstance(value, structlog._config.BoundLoggerLazyProxy):
                    vars(value).pop("bind", None)


class Pairing:
    """Two sides, for as many worlds as wanted."""

    def __init__(self, folder: Path, keys: Path, places: Places) -> None:
        self._parts = (folder, shared_keys(folder, keys), places)
        self._built = self._worlds = 0
        self._suspect = False
        self.archive = Shelves(("archive-a", "archive-b"))
        self.sides = self._build()

    def _build(self) -> tuple[Side, Side]:
        folder, keys, places = self._parts
        self._built += 1
        one, two = (
            Side(folder / f"w{self._built}{n}", keys, places, f"w{self._built}{n}", shelf)
            for n, shelf in zip("ab", self.archive.of, strict=True)
        )
        # Compiling a statement takes a tenth of a second; it depends on catalog and revision only, which both share.
        two.connector._ready = replace(two.connector._prepared(), plans=one.connector._prepared().plans)
        return one, two

    def compare(self, pair: Pair, calls: Sequence[Call]) -> tuple[str, Observed]:
        """What differs, and what the first world showed."""
        if self._suspect:
            self._mend()
        difference, seen = self._compare(pair, calls)
        self._suspect = bool(difference)
        return difference, seen

    def _compare(self, pair: Pair, calls: Sequence[Call]) -> tuple[str, Observed]:
        seen = []
        self._worlds += 1
        for side, rows in zip(self.sides, (pair.first, pair.second), strict=True):
            side.plant(rows)
            seen.append(side.play(calls, self._worlds))
        return seen[0].difference(seen[1]), seen[0]

    def _mend(self) -> None:
        """After a difference: are the sides themselves still alike? If not, there are new ones."""
        if self._compare(Pair((), (), (), joint=False), CONTROL)[0]:
            self._leave()
            self.sides = self._build()

    def _leave(self) -> None:
        for side in self.sides:
            side.close()

    def close(self) -> None:
        self._leave()
        self.archive.close()


def shared_keys(folder: Path, keys: Path) -> Path:
    """All keys, with one for the log: both sides sign alike."""
    mine = folder / "keys"
    shutil.copytree(keys, mine)
    create_log_key(mine / LOG_KEY, mine / "log.signed", nothing_signed(DEPLOYMENT))
    return mine


CONTROL: tuple[Call, ...] = (
    Ask("police", by_number(ADULT)),
    Visit("GET", "/oversight/v1/events", "police"),
    Visit("GET", "/log/checkpoint", "prosecutor"),
    Visit("GET", "/metrics"),
)
"""Calls over empty databases, one of which alerts."""
