"""Signing of unit letters with a unit's private key: for units without a system of their own (RFC 7515, R17)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import jwt
import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sidecar.errors import ConfigurationError
from sidecar.keys.files import read_ed25519_private
from sidecar.keys.jwk import public_jwk
from sidecar.law.days import add_days, beijing_day, day_last_second, day_start
from sidecar.law.identifiers import IdentifierInvalid, credit_code
from sidecar.papers.parse import TYPE, LetterMalformed, read_claims


@dataclass(frozen=True, slots=True)
class Draft:
    """What a letter is to say.

    Attributes:
        unit: credit code of the unit.
        audience: id of the deployment that it is for.
        number: letter number (E8).
        officer: ``sub`` of the officer.
        subjects: citizen numbers, or ``name/YYYY-MM-DD``.
        databases: names.
        scope: open | sealed.
        basis: (instrument, article).
        purpose: purpose code.
        days: how many Beijing days it is valid, the first one included (R17).
        uses: how often.
    """

    unit: str
    audience: str
    number: str
    officer: str
    subjects: Sequence[str]
    databases: Sequence[str]
    scope: str
    basis: tuple[str, str]
    purpose: str
    days: int
    uses: int = 1


def claims_of(draft: Draft, now: datetime) -> dict[str, Any]:
    """The claims of a letter that is valid from today on, normalised.

    Raises:
        ConfigurationError: it would be refused as malformed; the text says what was expected.
    """
    today = beijing_day(now)
    try:
        ends = day_last_second(add_days(today, draft.days - 1))
        stated = {
            "iss": credit_code(draft.unit),
            "aud": draft.audience,
            "nbf": int(day_start(today).timestamp()),
            "exp": int(ends.timestamp()),
            "number": draft.number,
            "officer": draft.officer,
            "subjects": list(draft.subjects),
            "databases": list(draft.databases),
            "scope": draft.scope,
            "basis": {"instrument": draft.basis[0], "article": draft.basis[1]},
            "purpose": draft.purpose,
            "uses": draft.uses,
        }
        read = read_claims(stated, today)
    except (IdentifierInvalid, LetterMalformed, OverflowError, ValueError) as exc:
        raise ConfigurationError(f"letter: {exc}") from None  # without the cause: it knows the value
    return {
        **stated,
        "number": read.number,
        "subjects": sorted(read.subjects),
        "databases": sorted(read.databases),
    }


def sign_letter(draft: Draft, key: Ed25519PrivateKey, now: datetime, kid: str = "") -> str:
    """A letter as compact JWS (EdDSA, ``typ: unit-letter+jws``).

    Args:
        draft: what it says.
        key: the unit's private key.
        now: the letter begins on this instant's Beijing day.
        kid: name of the key in the registry; its RFC 7638 thumbprint where "".

    Raises:
        ConfigurationError: as ``claims_of``.
    """
    payload = orjson.dumps(claims_of(draft, now), option=orjson.OPT_SORT_KEYS)
    name = kid or public_jwk(key.public_key())["kid"]
    return jwt.PyJWS().encode(payload, key, algorithm="EdDSA", headers={"kid": name, "typ": TYPE})


def issue_letter(draft: Draft, key_file: Path, now: datetime, kid: str = "") -> str:
    """``sign_letter`` with the key of a PEM file (PKCS #8, Ed25519, 0600).

    Raises:
        ConfigurationError: the file cannot be used, or as ``claims_of``.
    """
    return sign_letter(draft, read_ed25519_private(key_file), now, kid)


def split_basis(text: str) -> tuple[str, str]:
    """(instrument, article) of ``<instrument>/<article>``.

    Raises:
        ConfigurationError: it has not both parts.
    """
    instrument, _, article = text.rpartition("/")
    if not instrument.strip() or not article.strip():
        raise ConfigurationError("basis: expected <instrument>/<article>")
    return instrument.strip(), article.strip()
