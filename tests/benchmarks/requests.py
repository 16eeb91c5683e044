"""What the load asks: 20 officers with tokens of their own issuer and 20 unit letters, a tenth without case number."""

from __future__ import annotations

import itertools
import json
import uuid
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from sidecar.demo.people import AUDIENCE, DATABASE, POLICE
from sidecar.demo.story import CASE, POLICE_CASE
from sidecar.keys.files import read_ed25519_private
from sidecar.papers.issue import Draft, sign_letter
from sidecar.papers.parse import MAX_USES
from tests.benchmarks.county import persons

ISSUER = "https://idp.bench.invalid/police"
KID = "bench-1"
OFFICERS = 20
SUBJECTS = 25
"""Of a letter."""

REFUSED_EVERY = 10
"""Every tenth request states no case number, which the policy refuses (Q4)."""

TOKEN_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it is sent, and whether it states a case number."""

    token: str
    body: bytes
    allowed: bool


class Desk:
    """Signs tokens and letters; both are new at each round, as they would be at each shift."""

    def __init__(self, unit_key: Path) -> None:
        self._issuer = ec.generate_private_key(ec.SECP256R1())
        self._unit = read_ed25519_private(unit_key)
        self._numbers = itertools.count(1)
        self._persons = [number for number, _ in persons()]

    def jwks(self) -> bytes:
        """The issuer's key set (RFC 7517)."""
        public = ECAlgorithm.to_jwk(self._issuer.public_key(), as_dict=True)
        return json.dumps({"keys": [{**public, "kid": KID, "use": "sig", "alg": "ES256"}]}).encode()

    def token(self, officer: int, now: datetime) -> str:
        """A token of ten minutes."""
        seconds = int(now.timestamp())
        claims = {
            "iss": ISSUER, "sub": f"33{officer:04d}", "aud": AUDIENCE, "iat": seconds, "nbf": seconds,
            "exp": seconds + TOKEN_SECONDS, "jti": str(uuid.uuid4()), "unit": POLICE.code, "roles": ["officer"],
            "work_certificate": {"number": f"GZ-{officer}", "status": "valid", "expires": "2099-12-31"},
        }  # fmt: skip
        return jwt.encode(claims, self._issuer, "ES256", headers={"kid": KID})

    def letter(self, officer: int, subjects: list[str], now: datetime) -> str:
        """A letter for many uses."""
        draft = Draft(
            unit=POLICE.code, audience=AUDIENCE, number=f"示例函〔2026〕{next(self._numbers)}号", officer=f"33{officer:04d}",
            subjects=subjects, databases=[DATABASE], scope="open", basis=(CASE.instrument, CASE.article),
            purpose=CASE.code, days=30, uses=MAX_USES,
        )  # fmt: skip
        return sign_letter(draft, self._unit, now)

    def round(self, now: datetime, *, letters: int = OFFICERS) -> list[Asked]:
        """Requests of a round: each letter's subjects once, the letters in turn, so that neighbours differ.

        Args:
            now: tokens and letters begin here.
            letters: how many; 400 cover every person of the county.
        """
        tokens = [self.token(officer, now) for officer in range(OFFICERS)]
        groups = [self._persons[i * SUBJECTS : (i + 1) * SUBJECTS] for i in range(letters)]
        signed = [self.letter(i % OFFICERS, group, now) for i, group in enumerate(groups)]
        places = itertools.product(range(SUBJECTS), range(letters))
        return [
            _asked(tokens[i % OFFICERS], groups[i][place], signed[i], allowed=bool(n % REFUSED_EVERY))
            # one place further at each pass, so that the refused tenth is not always the same two officers'
            for n, (place, i) in enumerate((place, (i + place) % letters) for place, i in places)
        ]


def _asked(token: str, subject: str, letter: str, *, allowed: bool) -> Asked:
    body = {
        "database": DATABASE, "subject": {"person_id": subject}, "scope": "open", "reason": CASE.reason,
        "basis": CASE.basis, "purpose": CASE.code, "letter": letter,
        **({"case_number": POLICE_CASE} if allowed else {}),
    }  # fmt: skip
    return Asked(token, json.dumps(body, ensure_ascii=False).encode(), allowed)


def write(asked: list[Asked], file: Path) -> None:
    """One request a line, token and body apart by a tab: what ``load.lua`` reads."""
    file.write_bytes(b"".join(a.token.encode() + b"\t" + a.body + b"\n" for a in asked))
