"""Public keys as JSON Web Keys with their thumbprints for names (RFC 7517, RFC 7638, RFC 8037)."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import orjson
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

PublicKey = Ed25519PublicKey | EllipticCurvePublicKey | RSAPublicKey
"""Kinds of public keys that tokens and letters are verified with."""

_REQUIRED = {"EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x"), "RSA": ("e", "kty", "n")}


def b64url(data: bytes) -> str:
    """Base64url without padding (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def thumbprint(jwk: dict[str, Any]) -> str:
    """RFC 7638 thumbprint (SHA-256, base64url); the ``kid`` of our own keys."""
    members = {name: jwk[name] for name in _REQUIRED[jwk["kty"]]}
    return b64url(hashlib.sha256(orjson.dumps(members, option=orjson.OPT_SORT_KEYS)).digest())


def public_jwk(key: PublicKey, kid: str | None = None) -> dict[str, Any]:
    """A public key as JWK for signatures; ``kid`` is the thumbprint unless given."""
    if isinstance(key, Ed25519PublicKey):
        jwk, algorithm = OKPAlgorithm.to_jwk(key, as_dict=True), "EdDSA"
    elif isinstance(key, EllipticCurvePublicKey):
        jwk, algorithm = ECAlgorithm.to_jwk(key, as_dict=True), "ES256"
    else:
        jwk, algorithm = RSAAlgorithm.to_jwk(key, as_dict=True), "PS256"
    jwk.pop("key_ops", None)
    return {**jwk, "alg": algorithm, "kid": kid or thumbprint(jwk), "use": "sig"}


def key_set(*jwks: dict[str, Any]) -> bytes:
    """A JWK set as JSON, with a final newline."""
    return orjson.dumps({"keys": list(jwks)}, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2) + b"\n"
