"""Inputs and engines for tests of policy: facts with all papers, a minor's judgment, an engine that answers as told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from sidecar.codes import Outcome
from sidecar.policy.types import (
    NO_VIEWS,
    AlertFinding,
    ApplicationFacts,
    Attributes,
    Classification,
    Decision,
    Era,
    Facts,
    Joint,
    LetterFacts,
    MainActs,
    Minor,
    RecordKind,
    UndertakingFacts,
)
from sidecar.settings import Settings

FACTS = Facts(
    channel="api",
    today=20261123,
    roles=("officer",),
    certificate="valid",
    officer="active",
    organ="court",
    unit="active",
    database="known",
    target="subject",
    scope="open",
    reason="stated",
    basis="CPL/286",
    basis_state="listed",
    purpose="case_handling",
    purpose_state="known",
    case_number="court_form",
    letter=LetterFacts("valid", "", "jws", *[True] * 7),
    application=ApplicationFacts("approved", *[True] * 8),
    undertaking=UndertakingFacts("signed", officer_match=True),
)

RECORD = Attributes(
    minor=Minor.YES,
    sentence_months=60,
    kind=RecordKind.JUDGMENT,
    main_acts=MainActs.UNKNOWN,
    joint=Joint.NONE,
    seal_mark=False,
    exempted=False,
    unsealed=False,
    disclosure_agreed=False,
    era=Era.CURRENT,
)
"""A minor's judgment of exactly 60 months: sealed (S2)."""


class ScriptedEngine:
    """An engine whose answers a test gives; it counts its calls."""

    def __init__(
        self,
        name: str = "opa",
        *,
        outcome: Outcome = Outcome.ALLOW,
        is_open: Callable[[Attributes], bool] = lambda record: record.sentence_months > 60,
        revision: str = "1@sha256:000000000000",
    ) -> None:
        self.name = name
        self.revision = revision
        self.available = True
        self.asked: list[Any] = []
        self.failure: Exception | None = None
        self.outcome = outcome
        self._is_open = is_open

    def _note(self, question: Any) -> None:
        self.asked.append(question)
        if self.failure is not None:
            raise self.failure

    def decide(self, facts: Facts) -> Decision:
        self._note(facts)
        codes = () if self.outcome is Outcome.ALLOW else ("letter-missing",)
        return Decision(self.outcome, codes, (), (), (), NO_VIEWS, self.revision, self.name)

    def classify(self, records: Sequence[Attributes]) -> list[Classification]:
        self._note(tuple(records))
        return [Classification(self._is_open(r), r.kind.value, ("S1",), review=False) for r in records]

    def alerts(self, entry: Mapping[str, Any]) -> list[AlertFinding]:
        self._note(entry)
        return []

    def close(self) -> None:
        self.available = False


def months(count: int) -> Attributes:
    """The minor's judgment with another term."""
    return replace(RECORD, sentence_months=count)


def new_approver(folder: Path, name: str) -> Ed25519PrivateKey:
    """A fresh key; its public half stands in ``<folder>/<name>.pem``."""
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (folder / f"{name}.pem").write_bytes(public)
    return key


def private_pem(key: Ed25519PrivateKey) -> bytes:
    """An approver's key as a file would hold it."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def deployment(folder: Path, *approvers: str, **policy: Any) -> Settings:
    """Settings of a deployment on SQLite with a catalog and approvers whose public keys are in the folder."""
    (folder / "county.yaml").write_text("catalog: 1\ndatabase: county\n", encoding="utf-8")
    return Settings(
        base=folder,
        deployment={"id": "county"},
        identity={"issuers": [{"issuer": "https://idp.example", "jwks_file": "idp.json", "roles": ["officer"]}]},
        policy={
            "engine": "wasm",
            "approvers": {name: f"{name}.pem" for name in approvers},
            "catalogs": ["county.yaml"],
            **policy,
        },
    )
