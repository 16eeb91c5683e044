"""Papers for tests: a unit with a key, an officer, letters signed or registered."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import jwt
import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sidecar.identity.keysets import VerificationKey, parse_key_set
from sidecar.identity.types import Officer, WorkCertificate
from sidecar.keys.jwk import b64url, key_set, public_jwk
from sidecar.papers.issue import Draft
from sidecar.papers.parse import TYPE
from sidecar.policy.types import LegalParameters

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
UNIT = "91350100M000100Y43"
AUDIENCE = "county"
PERSON = "33010220050601003X"
NUMBER = "京公法字〔2026〕337号"
ISSUER = "https://idp.example"

PARAMS = LegalParameters(
    majority_years=18,
    leap_birthday="0301",
    sealing_law_from=20130101,
    violation_sealing_from=20260101,
    bases=frozenset({"law/286"}),
    instruments={"law": "law", "刑事诉讼法": "law"},
    purposes=frozenset({"case"}),
    organs=frozenset({"court"}),
)

OFFICER = Officer(ISSUER, "110", UNIT, WorkCertificate("7", "valid"), frozenset({"officer"}), "t", 0)

DRAFT = Draft(
    unit=UNIT,
    audience=AUDIENCE,
    number=NUMBER,
    officer="110",
    subjects=(PERSON,),
    databases=("cases",),
    scope="sealed",
    basis=("刑事诉讼法", "第二百八十六条"),
    purpose="case",
    days=1,
)


def verification_key(key: Ed25519PrivateKey, kid: str) -> VerificationKey:
    """The key as a registry has it."""
    return parse_key_set(key_set(public_jwk(key.public_key(), kid)))[kid]


@dataclass
class Units:
    """Units' keys; ``asked`` counts the questions."""

    keys: dict[tuple[str, str], VerificationKey] = field(default_factory=dict)
    asked: int = 0

    def unit_key(self, unit_code: str, kid: str) -> VerificationKey | None:
        """The key, where it is there."""
        self.asked += 1
        return self.keys.get((unit_code, kid))


def draft(**changes: Any) -> Draft:
    """``DRAFT`` with changes."""
    return replace(DRAFT, **changes)


def sign(claims: dict[str, Any], key: Any, algorithm: str = "EdDSA", **header: Any) -> str:
    """A JWS over any claims, with any header."""
    headers = {"alg": algorithm, "kid": "k", "typ": TYPE, **header}
    signed = f"{b64url(orjson.dumps(headers))}.{b64url(orjson.dumps(claims))}"
    method = jwt.get_algorithm_by_name(algorithm)
    return f"{signed}.{b64url(method.sign(signed.encode(), key))}"


def application_row(identifier: str, **changes: Any) -> dict[str, Any]:
    """A row of an approved application of ``OFFICER``, with its undertaking."""
    return {
        "id": identifier,
        "state": "approved",
        "version": 3,
        "officer_issuer": ISSUER,
        "officer": "110",
        "unit": UNIT,
        "subject": "p",
        "subject_key": "2026-ab",
        "database": "cases",
        "scope": "sealed",
        "basis": "law/286",
        "purpose": "case",
        "received": 0,
        "valid_to": int(NOW.timestamp()) + 60,
        "approver": f"{ISSUER}|boss",
        "copies_approved": True,
        "undertaking_by": f"{ISSUER}|110",
        "content": b"",
        "content_key_id": "",
    } | changes
