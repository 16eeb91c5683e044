"""The golden cases and a whole deployment to run them in: legacy rows, golden catalog, papers that are really issued."""

from __future__ import annotations

import atexit
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

import orjson
from sqlalchemy import Column, Integer, MetaData, String, Table, create_engine, select

from sidecar.codes import Outcome
from sidecar.demo.legacy import Case
from sidecar.demo.people import COURT, POLICE, SCHOOL, DemoUnit
from sidecar.gateway.ports import Database, Runtime
from sidecar.identity.imports import import_units
from sidecar.identity.types import Officer
from sidecar.keys.generate import create_signing_key
from sidecar.ledger.open import open_ledger
from sidecar.ledger.sequencer import Sequencer
from sidecar.oversight.projector import AlertProjector
from sidecar.oversight.tables import EVENTS
from sidecar.papers.applications import Applications
from sidecar.papers.content import ContentSealer
from sidecar.papers.drafts import Draft as ApplicationDraft
from sidecar.papers.issue import Draft as LetterDraft
from sidecar.papers.issue import sign_letter
from sidecar.papers.undertaking import current
from sidecar.policy.artefacts import baseline
from sidecar.policy.open import supervise
from sidecar.policy.revisions import load_active
from sidecar.policy.supervisor import OpaProcess
from sidecar.records.catalog import Catalog, parse
from sidecar.records.types import Subject
from sidecar.settings import load_yaml
from tests.support.opa import opa_path
from tests.support.world import DEPLOYMENT, World, make_keys

FOLDER = Path(__file__).resolve().parents[2] / "policies" / "golden"
GOLDEN: Mapping[str, Any] = load_yaml((FOLDER / "cases.yaml").read_text("utf-8"))
CATALOG_TEXT = (FOLDER / "catalog.yaml").read_text("utf-8")
CATALOG: Catalog = parse(CATALOG_TEXT)
DATABASE: str = GOLDEN["database"]
NOBODY: str = GOLDEN["nobody"]
SOMEBODY_ELSE = "339901199912319964"
"""Whom a letter names that differs in its subject: neither the subject of any case nor nobody."""

LICENSING = DemoUnit("licensing", "113399010000070752", "示例县文化和旅游局", "licensing_authority")
COMMISSION = DemoUnit("commission", "113399010000080821", "示例县监察委员会", "supervisory_commission")
UNITS = {unit.organ: unit for unit in (POLICE, COURT, SCHOOL, LICENSING, COMMISSION)}

_METADATA = MetaData()
LEGACY = Table(
    "T_AJXX",
    _METADATA,
    Column("AJBH", String(24), primary_key=True),
    Column("SFZH", String(18), index=True),
    *(
        Column(name, Integer if name in {"XH", "XQ_YUE", "XQ_HJ"} else String(120), primary_key=name == "XH")
        for name in GOLDEN["row"]
    ),
)


@dataclass(frozen=True, slots=True)
class Ask:
    """One ask of a case: ``asker`` with its changes, about ``subject``, whose ``rows`` are in the legacy database."""

    name: str
    subject: str
    rows: tuple[Mapping[str, Any], ...]
    asker: Mapping[str, Any]
    expect: Mapping[str, Any]

    def about(self, subject: str) -> Ask:
        """The same ask about another person."""
        return Ask(self.name, subject, (), self.asker, self.expect)


def rows(case: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The case's rows with the file's values in every column that they do not name."""
    return [{**GOLDEN["row"], **row} for row in case["rows"]]


def subject(case: Mapping[str, Any]) -> str:
    """Whom the case asks about."""
    return case["rows"][0]["SFZH"] if case["rows"] else NOBODY


def _changed(asker: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(asker)
    for name, value in change.items():
        merged[name] = {**merged[name], **value} if isinstance(value, dict) else value
    return merged


def asks() -> dict[str, Ask]:
    """Every ask of every case by its name."""
    found = {}
    for case in GOLDEN["cases"]:
        for place, ask in enumerate(case["asks"]):
            name = f"{case['id']}-{place}-{ask['who']}"
            asker = _changed(GOLDEN["askers"][ask["who"]], ask.get("change", {}))
            found[name] = Ask(name, subject(case), tuple(rows(case)), asker, ask["expect"])
    return found


@lru_cache(maxsize=1)
def shared_keys() -> Path:
    """Keys of deployment and units, made once a process."""
    parent = Path(tempfile.mkdtemp(prefix="golden-"))
    atexit.register(shutil.rmtree, parent, ignore_errors=True)
    folder = parent / "keys"
    make_keys(folder)
    for unit in (LICENSING, COMMISSION):
        create_signing_key(folder, unit.name)
    return folder


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the answer byte for byte and read, and the events that it raised."""

    status: int
    headers: tuple[tuple[str, str], ...]
    raw: bytes
    document: Mapping[str, Any]
    alerts: tuple[tuple[str, str], ...]

    def without_ids(self) -> tuple[int, tuple[tuple[str, str], ...], bytes]:
        """Status, headers and body but for what differs between any two answers (Q13)."""
        body = re.sub(rb'"(inquiry_id|receipt)":"[^"]*"', rb'"\1":""', self.raw)
        return self.status, tuple(h for h in self.headers if h[0] != "Date"), body


class GoldenWorld(World):
    """A deployment over the rows of all golden cases, on one kind of database and with one engine.

    Args:
        folder: an empty folder.
        engine: ``wasm``, or ``opa`` with an OPA server as child.
        urls: (state database, legacy database) where they are not SQLite files.
    """

    def __init__(self, folder: Path, *, engine: str, urls: tuple[str, str] | None = None) -> None:
        self._urls = urls or ("sqlite:///state.db", f"sqlite:///{folder / 'golden.db'}")
        self._sockets = Path(tempfile.mkdtemp(prefix="opa-"))
        self._process: OpaProcess | None = None
        self._numbers = 0
        self._events = 0
        policy = {
            "engine": engine,
            "catalogs": ["golden.yaml"],
            "timeout_ms": 10_000,
            # each engine answers for itself here
            "cross_check_sealed": 0,
            "cross_check_open": 0,
        }
        if engine == "opa":
            policy |= {"opa_binary": str(opa_path()), "opa_socket": self._sockets / "opa.sock"}
        super().__init__(folder, keys=shared_keys(), policy=policy, storage={"url": self._urls[0]})
        ports = self.gateway.ports
        self.sequencer = Sequencer(
            self.state, ports.ledger, self.clock, [AlertProjector(self.runtime.engine, DEPLOYMENT)]
        )
        sealer = ContentSealer.load(self.settings.path(self.settings.keys.directory))
        self.applications = Applications(
            self.state, ports.ledger, ports.keys, sealer, self.clock, dossiers=ports.inputs
        )

    def close(self) -> None:
        """Close everything, the OPA server last."""
        self.sequencer.release()
        super().close()
        if self._process is not None:
            self._process.stop()
        shutil.rmtree(self._sockets, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def runtime(self) -> Runtime:
        """What the active revision brought."""
        runtime = self.gateway.runtime
        assert isinstance(runtime, Runtime), runtime
        return runtime

    @property
    def database(self) -> Database:
        """The legacy database, open."""
        database = self.runtime.databases[DATABASE]
        assert database.fault is None, database.fault
        return database

    # --- making --------------------------------------------------------------------------------------------------

    def _legacy(self, cases: Iterable[Case]) -> None:
        del cases
        (self.folder / "golden.yaml").write_text(CATALOG_TEXT, encoding="utf-8")
        (self.folder / "golden.dsn").write_text(self._urls[1], encoding="utf-8")
        (self.folder / "golden.dsn").chmod(0o600)
        engine = create_engine(self._urls[1])
        with engine.begin() as connection:
            _METADATA.create_all(connection)
            connection.execute(LEGACY.insert(), [row for case in GOLDEN["cases"] for row in rows(case)])
        engine.dispose()

    def _govern(self) -> None:
        """Registry with the units of all askers, a revision, and the OPA server of that revision."""
        units = [
            {
                "code": unit.code,
                "name": unit.title,
                "organ": unit.organ,
                "keys": [{"file": f"keys/{unit.name}.pub.pem", "valid_from": "2020-01-01", "valid_to": "2099-12-31"}],
            }
            for unit in UNITS.values()
        ]
        file = self.folder / "units.yaml"
        file.write_bytes(orjson.dumps({"registry": 1, "units": units}))  # JSON is YAML
        ledger = open_ledger(self.settings, self.clock, engine=self.state)
        import_units(
            file,
            engine=self.state,
            ledger=ledger,
            clock=self.clock,
            organs=baseline().params().organs,
            registrar="张三",
            confirmed_by="李四",
        )
        self.activate(1, ledger)
        ledger.close()
        self.revision = load_active(self.state, self.settings)
        self._process = supervise(self.settings, self.revision)

    # --- papers --------------------------------------------------------------------------------------------------

    def _officer(self, asker: Mapping[str, Any], name: str = "p1", roles: Iterable[str] = ("officer",)) -> Officer:
        """The officer of a token, as the gateway itself reads it."""
        token = self.token(name, UNITS[asker["organ"]], roles)
        return self.gateway.ports.verifier.verify(token, self.clock.now())

    def letter_for(self, ask: Ask) -> str:
        """A fresh letter signed with the unit's key, for the ask but for what is to differ; "" where none is brought."""
        stated, body, unit = ask.asker["letter"], ask.asker["body"], UNITS[ask.asker["organ"]]
        if stated["state"] == "absent":
            return ""
        assert stated["kind"] == "jws", "no golden case brings a paper letter"
        differs = set(stated.get("differs", ()))
        if "unit" in differs:
            unit = COURT if unit is not COURT else POLICE
        self._numbers += 1
        draft = LetterDraft(
            unit=unit.code,
            audience=DEPLOYMENT,
            number=f"示公函字〔2026〕{self._numbers}号",
            officer="p2" if "officer" in differs else "p1",
            subjects=[SOMEBODY_ELSE if "subject" in differs else ask.subject],
            databases=["other" if "database" in differs else DATABASE],
            scope="open" if "scope" in differs else body["scope"],
            basis=("公证法", "第二十九条") if "basis" in differs else tuple(body["basis"].values()),
            purpose="notarisation" if "purpose" in differs else body["purpose"],
            days=1,
        )
        return sign_letter(draft, self.private_key(unit.name), self.clock.now())

    def application_for(self, ask: Ask) -> str:
        """A fresh application, brought to its state by the people who may; "" where there is none."""
        wanted, body = ask.asker["application"], ask.asker["body"]
        state = wanted["state"]
        if state == "absent":
            return ""
        draft = ApplicationDraft(
            subject=Subject(person_id=ask.subject),
            database=DATABASE,
            scope=body["scope"],
            reason=body["reason"],
            basis=(body["basis"]["instrument"], body["basis"]["article"]),
            purpose=body["purpose"],
            case_number=body["case_number"],
        )
        officer, store = self._officer(ask.asker), self.applications
        identifier = store.create(officer, draft, self.runtime.params, {DATABASE}).application.id
        if state in {"submitted", "approved", "refused"}:
            store.submit(officer, identifier)
        self._decide(ask, identifier)
        if state == "withdrawn":
            store.withdraw(officer, identifier)
        found = store.find(identifier)
        assert found is not None
        assert found.state.value == state, f"no golden case needs an application that is {state}"
        return identifier

    def _decide(self, ask: Ask, identifier: str) -> None:
        wanted, store = ask.asker["application"], self.applications
        assert wanted["approver"] == "distinct", "nobody approves an application of their own"
        approver = self._officer(ask.asker, "a1", ("approver",))
        if wanted["state"] == "refused":
            store.refuse(approver, identifier, codes=["application-refused"], text="")
        if wanted["state"] == "approved":
            store.approve(approver, identifier, copies_approved=wanted["copies_approved"], valid_days=1)
            if wanted["undertaking"] == "signed":
                store.sign(self._officer(ask.asker), identifier, current("zh").digest)

    # --- asking --------------------------------------------------------------------------------------------------

    def answer(self, ask: Ask) -> Answer:
        """Issue the papers and ask over HTTP; a letter that is used up was really used before."""
        body = {
            **ask.asker["body"],
            "database": DATABASE,
            "subject": {"person_id": ask.subject},
            "letter": self.letter_for(ask),
            "application_id": self.application_for(ask),
        }
        if ask.asker["letter"].get("uses_left", 1) == 0:
            assert self._post(ask, body).status == 200
        self._new_events()
        return self._post(ask, body)

    def _post(self, ask: Ask, body: Mapping[str, Any]) -> Answer:
        token = self.token("p1", UNITS[ask.asker["organ"]], ask.asker["roles"], **_certificate(ask))
        answer = self.app.test_client().post(
            "/v1/inquiries",
            data=orjson.dumps(body),
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        )
        alerts = tuple(sorted(self._new_events()))
        return Answer(answer.status_code, tuple(answer.headers.items()), answer.data, answer.get_json(), alerts)

    def _new_events(self) -> list[tuple[str, str]]:
        """Let the sequencer work; (type, severity) of the events since the last time."""
        while self.sequencer.step():
            pass
        with self.state.connect() as connection:
            found = connection.execute(select(EVENTS).where(EVENTS.c.seq > self._events).order_by(EVENTS.c.seq)).all()
        self._events = found[-1].seq if found else self._events
        return [(event.type, event.severity) for event in found]


def _certificate(ask: Ask) -> dict[str, Any]:
    """The work certificate in the token's claims."""
    state = ask.asker["certificate"]
    if state == "missing":
        return {"work_certificate": None}
    expires, status = ("2026-11-22", "valid") if state == "expired" else ("2027-12-31", state)
    return {"work_certificate": {"number": "浙p1", "status": status, "expires": expires}}


STATUS = {Outcome.ALLOW: 200, Outcome.REVIEW: 202, Outcome.REFUSE: 403, Outcome.HOLD: 409}
