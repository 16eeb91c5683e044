"""A whole deployment in one process, made of the real parts: state and legacy database, keys, registry, revision, application.

Nothing is random and no clock runs: the same world twice gives the same bytes, which is how tests compare two of them.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jwt
import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from sqlalchemy import Engine, create_engine, literal_column, select

from sidecar.clock import FixedClock
from sidecar.demo import legacy
from sidecar.demo.catalog import CATALOG
from sidecar.demo.people import COURT, EMPLOYER, NOTARY, POLICE, PROCURATORATE, SCHOOL, DemoUnit
from sidecar.gateway.types import Request, Response
from sidecar.identity.imports import import_units
from sidecar.keys.generate import create_age_identity, create_ring, create_signing_key, write_key_set
from sidecar.keys.jwk import public_jwk
from sidecar.ledger.entry import decode
from sidecar.ledger.open import create_ledger, open_ledger
from sidecar.ledger.tables import ENTRIES
from sidecar.papers.tables import IDEMPOTENCY_KEYS, INQUIRIES, LETTER_USES
from sidecar.policy import revisions
from sidecar.policy.artefacts import baseline
from sidecar.settings import Settings
from sidecar.storage.engine import open_state
from sidecar.storage.metadata import METADATA
from sidecar.web.app import create_app
from sidecar.web.wire import build_services

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
DEPLOYMENT = "county"
IDP, PROCURACY = "https://idp.example", "https://procuracy.example"
ROLES = {IDP: ["officer", "approver", "archive_clerk", "security_officer", "operator"], PROCURACY: ["prosecutor"]}
UNITS = (POLICE, COURT, SCHOOL, EMPLOYER, NOTARY, PROCURATORATE)


APPROVERS = ("gu", "shen")


class Drip:
    """Bytes that look random and are the same in every world."""

    def __init__(self, seed: bytes = b"world") -> None:
        self._state, self._buffer = hashlib.sha256(seed).digest(), b""

    def __call__(self, count: int) -> bytes:
        while len(self._buffer) < count:
            self._state = hashlib.sha256(self._state).digest()
            self._buffer += self._state
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken


def make_keys(folder: Path) -> None:
    """Keys of deployment, issuers, units and recipients; worlds that are compared share them."""
    create_ring(folder / "ring", 2026)
    for name in ("idp", "procuracy", *APPROVERS, *(unit.name for unit in UNITS)):
        create_signing_key(folder, name)
    (folder / "recipient.txt").write_text(create_age_identity(folder / "recipient.key"), encoding="ascii")


class World:
    """One deployment. ``close`` it.

    Args:
        folder: an empty folder.
        keys: folder of ``make_keys``; made here where None.
        cases: rows of the legacy database.
        settings: sections that differ from the defaults, e.g. ``gateway={"page_size": 2}``.
    """

    def __init__(
        self,
        folder: Path,
        *,
        keys: Path | None = None,
        cases: Iterable[legacy.Case] = legacy.TOLD,
        **settings: Mapping[str, Any],
    ) -> None:
        self.folder, self.clock = folder, FixedClock(NOW)
        self.random = Drip(b"setting up")
        if keys is None:
            make_keys(folder / "keys")
        else:
            shutil.copytree(keys, folder / "keys")
        self.settings = self._settings(settings)
        self._legacy(cases)
        self.state = open_state(self.settings, create=True)
        METADATA.create_all(self.state)
        create_ledger(self.state, DEPLOYMENT, self.clock)
        self._govern()
        self.services = build_services(self.settings, clock=self.clock, random=Drip(), watch=False)
        self.waited: list[float] = []  # seconds that a thread would have slept for answers' steps
        self.app = create_app(self.settings, self.services, sleep=self.waited.append)
        self._runtime, self._seen = self.gateway.runtime, 0

    def reset(self) -> None:
        """As new for the next test: what was used is unused, the clock stands at ``NOW``, entries count from here.

        The ledger itself is only added to, as always. What a test broke beyond the runtime needs a world of its own.
        """
        self.gateway.ports.attempts.tick(final=True)
        with self.state.begin() as connection:
            for table in (LETTER_USES, IDEMPOTENCY_KEYS, INQUIRIES):
                connection.execute(table.delete())
        self.clock.set(NOW)
        self.gateway.runtime, self.gateway.latest = self._runtime, datetime.fromtimestamp(0, UTC)
        self._seen = len(entries(self.state))

    def close(self) -> None:
        """Close everything."""
        self.services.close()
        self.state.dispose()

    @property
    def gateway(self):
        """The gateway."""
        return self.services.gateway

    def private_key(self, name: str) -> Ed25519PrivateKey:
        """An issuer's or a unit's private key."""
        key = load_pem_private_key((self.folder / "keys" / f"{name}.pem").read_bytes(), None)
        assert isinstance(key, Ed25519PrivateKey)
        return key

    def _settings(self, sections: Mapping[str, Mapping[str, Any]]) -> Settings:
        keys = self.folder / "keys"
        for name in ("idp", "procuracy"):
            write_key_set(self.folder / f"{name}.jwks", {f"{name}-1": self.private_key(name).public_key()})
        (self.folder / "county.yaml").write_text(CATALOG, encoding="utf-8")
        (self.folder / "county.dsn").write_text(f"sqlite:///{self.folder / 'county.db'}", encoding="utf-8")
        own: dict[str, Any] = {
            "deployment": {"id": DEPLOYMENT},
            "keys": {"directory": "keys/ring", "dossier_recipients": [(keys / "recipient.txt").read_text()]},
            "identity": {
                "issuers": [
                    {"issuer": IDP, "jwks_file": "idp.jwks", "roles": ROLES[IDP]},
                    {"issuer": PROCURACY, "jwks_file": "procuracy.jwks", "roles": ROLES[PROCURACY]},
                ]
            },
            "policy": {
                "engine": "wasm",
                "approvers": {name: f"keys/{name}.pub.pem" for name in APPROVERS},
                "catalogs": ["county.yaml"],
            },
        }
        merged = {name: own.get(name, {}) | dict(sections.get(name, {})) for name in own.keys() | sections.keys()}
        return Settings(base=self.folder, **merged)

    def _legacy(self, cases: Iterable[legacy.Case]) -> None:
        engine = create_engine(f"sqlite:///{self.folder / 'county.db'}")
        with engine.begin() as connection:
            legacy.LEGACY.create_all(connection)
            for case in cases:
                connection.execute(legacy.CASES.insert(), case.row())
        engine.dispose()

    def _govern(self) -> None:
        """Registry and revision, each by two people."""
        units = [
            {
                "code": unit.code,
                "name": unit.title,
                "organ": unit.organ,
                "keys": [{"file": f"keys/{unit.name}.pub.pem", "valid_from": "2020-01-01", "valid_to": "2099-12-31"}],
            }
            for unit in UNITS
        ]
        file = self.folder / "units.yaml"
        file.write_bytes(orjson.dumps({"registry": 1, "units": units}))  # JSON is YAML
        ledger = open_ledger(self.settings, self.clock, engine=self.state, random=self.random)
        organs = baseline().params().organs
        import_units(
            file,
            engine=self.state,
            ledger=ledger,
            clock=self.clock,
            organs=organs,
            registrar="张三",
            confirmed_by="李四",
            random=self.random,
        )
        self.activate(1, ledger)
        ledger.close()

    def activate(self, number: int, ledger: Any) -> None:
        """Build, approve and activate a revision of the baseline."""
        revisions.build(self.settings, number=number, clock=self.clock)
        for name in APPROVERS:
            revisions.approve(self.settings, number, name, self.private_key(name))
        revisions.activate(
            self.settings,
            number,
            ledger=ledger,
            database=self.state,
            clock=self.clock,
            conformance=lambda _: None,
            random=self.random,
        )

    # --- what people bring ---------------------------------------------------------------------------------------

    def token(
        self, subject: str = "p1", unit: DemoUnit = POLICE, roles: Iterable[str] = ("officer",), **claims: Any
    ) -> str:
        """A token, good unless ``claims`` change it; None takes a claim out."""
        now = int(self.clock.now().timestamp())
        issuer = claims.get("iss", PROCURACY if "prosecutor" in roles else IDP)
        name = "procuracy" if issuer == PROCURACY else "idp"
        content = {
            "iss": issuer,
            "sub": subject,
            "aud": DEPLOYMENT,
            "iat": now,
            "nbf": now,
            "exp": now + 300,
            "jti": f"{subject}-{now}",
            "unit": unit.code,
            "roles": list(roles),
            "work_certificate": {"number": f"浙{subject}", "status": "valid", "expires": "2027-12-31"},
        }
        content = {k: v for k, v in (content | claims).items() if v is not None}
        return jwt.encode(content, self.private_key(name), "EdDSA", headers={"kid": f"{name}-1"})

    def letter(self, subjects: Iterable[str], *, officer: str = "p1", unit: DemoUnit = POLICE, **claims: Any) -> str:
        """A unit letter as JWS, for an open inquiry unless ``claims`` change it."""
        key = self.private_key(unit.name)
        now = int(self.clock.now().timestamp())
        content = {
            "iss": unit.code,
            "aud": DEPLOYMENT,
            "number": "示公函字〔2026〕1号",
            "officer": officer,
            "subjects": list(subjects),
            "databases": ["county"],
            "scope": "open",
            "basis": {"instrument": "刑事诉讼法", "article": "286"},
            "purpose": "case_handling",
            "nbf": now - 3600,
            "exp": now + 3600,
            "uses": 1,
        } | claims
        return jwt.encode(content, key, "EdDSA", headers={"kid": self.kid(unit.name), "typ": "unit-letter+jws"})

    def kid(self, name: str) -> str:
        """Name of a unit's key: its thumbprint."""
        return str(public_jwk(self.private_key(name).public_key())["kid"])

    # --- asking --------------------------------------------------------------------------------------------------

    def ask(self, body: Any, token: str | None = "", **headers: str) -> Response:
        """Ask the gateway itself. ``token`` "" is a good police officer's, None is none."""
        sent = {"content-type": "application/json", **{k.replace("_", "-"): v for k, v in headers.items()}}
        if token is not None:
            sent["authorization"] = f"Bearer {token or self.token()}"
        raw = body if isinstance(body, bytes) else orjson.dumps(body)
        return self.gateway.handle(Request("api", "POST", "/v1/inquiries", sent, raw, "192.0.2.7"))

    def entries(self, kind: str = "inquiry") -> list[dict[str, Any]]:
        """The ledger's entries of a kind, in the order of their writers' sequences."""
        return [entry for entry in entries(self.state)[self._seen :] if entry["kind"] == kind]


def entries(state: Engine) -> list[dict[str, Any]]:
    """All entries, in the order in which the database got them (they are never updated, so where they lie is when)."""
    place = literal_column("rowid" if state.dialect.name == "sqlite" else "ctid")
    with state.connect() as connection:
        rows = connection.execute(select(ENTRIES.c.body).order_by(place)).all()
    return [decode(bytes(row.body)) for row in rows]
