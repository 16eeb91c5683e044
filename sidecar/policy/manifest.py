"""A revision's manifest and its approvals: canonical JSON, signed detached by two approvers' own keys (RFC 7515, 8037).

The manifest names by digest everything that decides: artefacts, catalogs, trusted issuers, security settings. What is
signed is the digest of its bytes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from sidecar.errors import ConfigurationError, RevisionUnapproved
from sidecar.policy.artefacts import NAMES, canonical, digest, parse
from sidecar.settings import Settings

FORMAT = 1
"""Version of the manifest."""

NEEDED_APPROVALS = 2
"""Four eyes: two different people with two different keys."""

APPROVAL_TYPE = "revision-approval+jws"
"""``typ`` of an approval: a signature made for another purpose is none."""

_ALGORITHM = "EdDSA"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a revision is, by digests.

    Attributes:
        format: version of this format.
        number: rises with every revision, from 1.
        deployment: the deployment's id: an approval for one is none for another.
        created: when it was built, ISO 8601 in UTC.
        source: digest of the policies' sources.
        bundle_revision: revision in the Rego bundle.
        artefacts: digest of each artefact by name.
        catalogs: digest of each catalog by name.
        issuers: digest of the trusted issuers.
        security: digest of the security settings.
    """

    format: int
    number: int
    deployment: str
    created: str
    source: str
    bundle_revision: str
    artefacts: Mapping[str, str]
    catalogs: Mapping[str, str]
    issuers: str
    security: str

    def encode(self) -> bytes:
        """The canonical bytes that are signed."""
        return canonical(asdict(self))


def decode_manifest(data: bytes) -> Manifest:
    """Read a manifest; only the canonical bytes of a valid one pass.

    Raises:
        RevisionUnapproved: it is none, or not canonical.
    """
    try:
        document = parse(data, "manifest.json")
        manifest = Manifest(**document)
        valid = _valid(document) and manifest.encode() == data
    except (ConfigurationError, TypeError, AttributeError) as exc:
        raise RevisionUnapproved("manifest.json: expected a revision's manifest") from exc
    if not valid:
        raise RevisionUnapproved(f"manifest.json: expected canonical JSON of format {FORMAT}")
    return manifest


def _valid(document: Mapping[str, Any]) -> bool:
    digests = [document[name] for name in ("source", "bundle_revision", "issuers", "security")]
    digests += [*document["artefacts"].values(), *document["catalogs"].values()]
    return (
        document["format"] == FORMAT
        and type(document["number"]) is int
        and document["number"] >= 1
        and set(document["artefacts"]) == set(NAMES)
        and all(_NAME.fullmatch(name) for name in document["catalogs"])
        and all(isinstance(text, str) and _DIGEST.fullmatch(text) for text in digests)
        and isinstance(document["deployment"], str)
        and isinstance(document["created"], str)
    )


def issuers_digest(settings: Settings) -> str:
    """Digest of the trusted issuers as they are configured: who is trusted for which roles, and where keys come from."""
    return digest(canonical([issuer.model_dump(mode="json") for issuer in settings.identity.issuers]))


def security_digest(settings: Settings) -> str:
    """Digest of the settings that decide who is believed and what is limited, and of the approvers' keys.

    Addresses, sizes of pools and caches, and the choice of engine are not in it: they change nothing about an answer.
    """
    identity = settings.identity.model_dump(mode="json", exclude={"issuers", "token_cache", "letter_cache"})
    document = {
        "approvers": {name: digest(public_bytes(key)) for name, key in approver_keys(settings).items()},
        "cross_check": [settings.policy.cross_check_sealed, settings.policy.cross_check_open],
        "deployment": settings.deployment.model_dump(mode="json"),
        "dossier_recipients": sorted(settings.keys.dossier_recipients),
        "gateway": settings.gateway.model_dump(mode="json"),
        "identity": identity,
        "max_body_bytes": settings.server.max_body_bytes,
    }
    if settings.bypass.sources:  # who is not watched is for two approvers to say
        document["bypass"] = settings.bypass.model_dump(mode="json", exclude={"poll_ms"})
    return digest(canonical(document))


def approver_keys(settings: Settings) -> dict[str, Ed25519PublicKey]:
    """The approvers' public keys by name, from the files that the settings name.

    Raises:
        ConfigurationError: a file cannot be read or holds another kind of key, or a name is not ``[a-z0-9_-]``.
    """
    return {name: _public_key(name, settings) for name in sorted(settings.policy.approvers)}


def _public_key(name: str, settings: Settings) -> Ed25519PublicKey:
    if not _NAME.fullmatch(name):
        raise ConfigurationError(f"policy.approvers: {name!r}: expected letters a-z, digits, - and _")
    file = settings.path(settings.policy.approvers[name])
    try:
        key = load_pem_public_key(file.read_bytes())
    except (OSError, ValueError) as exc:
        raise ConfigurationError(f"policy.approvers: {name}: {file}: expected a PEM public key") from exc
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigurationError(f"policy.approvers: {name}: {file}: expected an Ed25519 key")
    return key


def public_bytes(key: Ed25519PublicKey) -> bytes:
    """The raw 32 bytes."""
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def private_key(pem: bytes) -> Ed25519PrivateKey:
    """An approver's own key.

    Raises:
        ConfigurationError: no Ed25519 key in PEM.
    """
    try:
        key = load_pem_private_key(pem, None)
    except (ValueError, TypeError) as exc:
        raise ConfigurationError("expected an Ed25519 private key in PEM without passphrase") from exc
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigurationError("expected an Ed25519 private key")
    return key


def sign(manifest: bytes, name: str, key: Ed25519PrivateKey) -> str:
    """An approval: a detached JWS over the manifest's digest."""
    return jwt.PyJWS().encode(
        digest(manifest).encode(),
        key,
        algorithm=_ALGORITHM,
        headers={"kid": name, "typ": APPROVAL_TYPE},
        is_payload_detached=True,
    )


def verify(
    manifest: bytes,
    approvals: Mapping[str, str],
    approvers: Mapping[str, Ed25519PublicKey],
    *,
    last_number: int | None = None,
) -> Manifest:
    """Verify a manifest. 1. its form, 2. each known approver's signature, 3. two different keys, 4. the number.

    Args:
        manifest: its bytes.
        approvals: detached JWS by approver's name; names that are no approver's count for nothing.
        approvers: public keys by name.
        last_number: the last activated number, from the ledger, which this one must be above; None where an activated
            revision is loaded again.

    Raises:
        RevisionUnapproved: any of the four fails.
    """
    found = decode_manifest(manifest)
    signed = {public_bytes(approvers[name]) for name in approvals if name in approvers}
    for name in sorted(approvals.keys() & approvers.keys()):
        _check_signature(manifest, name, approvals[name], approvers[name])
    if len(signed) < NEEDED_APPROVALS:
        raise RevisionUnapproved(
            f"revision {found.number}: expected approvals by {NEEDED_APPROVALS} different keys, got {len(signed)}"
        )
    if last_number is not None and found.number <= last_number:
        raise RevisionUnapproved(f"revision {found.number}: expected a number above {last_number}")
    return found


def check_approvals(
    content: bytes, approvals: Mapping[str, str], approvers: Mapping[str, Ed25519PublicKey]
) -> tuple[str, ...]:
    """The names of the approvers of ``content``, two of them with different keys at least.

    Raises:
        RevisionUnapproved: there are fewer, or an approval is of no approver or over something else.
    """
    for name, approval in sorted(approvals.items()):
        if name not in approvers:
            raise RevisionUnapproved(f"{name} is none of policy.approvers")
        _check_signature(content, name, approval, approvers[name])
    if len({public_bytes(approvers[name]) for name in approvals}) < NEEDED_APPROVALS:
        raise RevisionUnapproved(f"expected approvals by {NEEDED_APPROVALS} different keys, got {len(approvals)}")
    return tuple(sorted(approvals))


def _check_signature(manifest: bytes, name: str, approval: str, key: Ed25519PublicKey) -> None:
    try:
        header: Any = jwt.get_unverified_header(approval)
        if header.get("typ") != APPROVAL_TYPE or header.get("kid") != name:
            raise RevisionUnapproved(f"the approval of {name} was made for something else")
        jwt.PyJWS().decode(approval, key, algorithms=[_ALGORITHM], detached_payload=digest(manifest).encode())
    except jwt.PyJWTError as exc:
        raise RevisionUnapproved(f"the approval of {name} is not over this manifest") from exc
