"""Receipts: what an inquirer keeps to prove which answer was given under which ledger entry (JWS, RFC 7515; RFC 8785).

**Released bytes.** Every answer, refusals included, is one JSON object. Its *released bytes* are the RFC 8785
canonical JSON of that object without its member ``receipt``. The *commitment* is HMAC-SHA-256 over the released bytes
under the receipt's 32-byte ``nonce``, base64url without padding. It stands in the receipt (``answer``) and in the
ledger entry; the nonce stands in the receipt and in the sealed dossier only, so that the ledger alone tells nothing
about a short answer.

To check a receipt: verify the JWS (EdDSA, ``typ: receipt+jwt``) with the deployment's key; take ``receipt`` out of the
answer, canonicalise the rest, compute the HMAC and compare with ``answer``; ask for the inclusion of ``leaf`` in the log.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

NONCE_BYTES = 32
"""Length of the commitment's key: as long as the hash, so that a short answer cannot be guessed."""


@dataclass(frozen=True, slots=True)
class Commitment:
    """Released bytes with the nonce and the HMAC over them (both base64url)."""

    released: bytes
    nonce: str
    answer: str


def b64url(data: bytes) -> str:
    """Base64url without padding (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def released_bytes(answer: Mapping[str, Any]) -> bytes:
    """Canonical JSON of an answer without its receipt. Values are texts, integers, booleans, null, lists and objects."""
    return orjson.dumps(answer, option=orjson.OPT_SORT_KEYS)


def commit_to(released: bytes, nonce: bytes) -> Commitment:
    """Commit to the released bytes. ``nonce`` MUST be ``NONCE_BYTES`` fresh random bytes."""
    return Commitment(released, b64url(nonce), b64url(hmac.digest(nonce, released, hashlib.sha256)))


@dataclass(frozen=True, slots=True)
class Claims:
    """What a receipt says of one answer.

    Attributes:
        deployment: issuer of the receipt.
        inquiry: id of the inquiry and of its ledger entries.
        page: which page of the inquiry the answer is, from 1.
        issued: POSIX seconds.
        revision: label of the deciding revision.
        letter: keyed hash of the letter as in the ledger entry; "" without one.
        outcome: outcome as in the ledger entry.
    """

    deployment: str
    inquiry: str
    page: int
    issued: int
    revision: str
    letter: str
    outcome: str

    def signed_over(self, commitment: Commitment, leaf_hash: bytes) -> dict[str, Any]:
        """The claim set to sign."""
        return {
            "iss": self.deployment,
            "iat": self.issued,
            "inquiry": self.inquiry,
            "page": self.page,
            "revision": self.revision,
            "letter": self.letter,
            "outcome": self.outcome,
            "nonce": commitment.nonce,
            "answer": commitment.answer,
            "leaf": b64url(leaf_hash),
        }


def with_receipt(released: bytes, receipt: str) -> bytes:
    """The answer as it is sent: the released bytes with ``receipt`` as the last member."""
    return released[:-1] + b',"receipt":"' + receipt.encode("ascii") + b'"}'
