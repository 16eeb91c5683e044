from __future__ import annotations

from dataclasses import replace

import jwt
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sidecar.errors import ConfigurationError, RevisionUnapproved
from sidecar.policy.artefacts import NAMES, digest
from sidecar.policy.manifest import (
    APPROVAL_TYPE,
    Manifest,
    approver_keys,
    decode_manifest,
    issuers_digest,
    private_key,
    security_digest,
    sign,
    verify,
)
from tests.support.policy import deployment, new_approver, private_pem

D = digest(b"x")
MANIFEST = Manifest(1, 3, "county", "2026-11-23T08:00:00Z", D, D, dict.fromkeys(NAMES, D), {"county": D}, D, D)
BYTES = MANIFEST.encode()
LIN, WANG, EVE = (Ed25519PrivateKey.generate() for _ in range(3))
APPROVERS = {"lin": LIN.public_key(), "wang": WANG.public_key()}
BOTH = {"lin": sign(BYTES, "lin", LIN), "wang": sign(BYTES, "wang", WANG)}


def test_two_different_approvers_make_it_valid():
    assert verify(BYTES, BOTH, APPROVERS, last_number=2) == MANIFEST


def test_one_approver_is_not_enough():
    with pytest.raises(RevisionUnapproved, match="got 1"):
        verify(BYTES, {"lin": BOTH["lin"]}, APPROVERS)


def test_one_approver_under_two_names_is_one_approver():
    approvers = {"lin": LIN.public_key(), "lin2": LIN.public_key()}
    approvals = {"lin": BOTH["lin"], "lin2": sign(BYTES, "lin2", LIN)}
    with pytest.raises(RevisionUnapproved, match="got 1"):
        verify(BYTES, approvals, approvers)


def test_one_approver_signing_in_anothers_name_is_refused():
    for approval in (sign(BYTES, "wang", LIN), BOTH["lin"]):
        with pytest.raises(RevisionUnapproved, match="approval of wang"):
            verify(BYTES, {"lin": BOTH["lin"], "wang": approval}, APPROVERS)


def test_who_is_no_approver_counts_for_nothing():
    with pytest.raises(RevisionUnapproved, match="got 1"):
        verify(BYTES, {"lin": BOTH["lin"], "eve": sign(BYTES, "eve", EVE)}, APPROVERS)


@pytest.mark.parametrize("last", [3, 4])
def test_a_number_that_does_not_rise_is_refused(last):
    with pytest.raises(RevisionUnapproved, match=f"above {last}"):
        verify(BYTES, BOTH, APPROVERS, last_number=last)


def test_approvals_of_another_manifest_are_refused():
    other = replace(MANIFEST, catalogs={"county": digest(b"y")}).encode()
    with pytest.raises(RevisionUnapproved, match="not over this manifest"):
        verify(other, BOTH, APPROVERS)


@pytest.mark.parametrize(
    "approval",
    [
        "",
        "a.b.c",
        BOTH["wang"][:-4],
        jwt.encode({"digest": digest(BYTES)}, WANG, algorithm="EdDSA", headers={"kid": "wang", "typ": APPROVAL_TYPE}),
        jwt.encode({}, "", algorithm="none", headers={"kid": "wang", "typ": APPROVAL_TYPE}),
        jwt.PyJWS().encode(
            digest(BYTES).encode(),
            WANG,
            "EdDSA",
            headers={"kid": "wang", "typ": "receipt+jwt"},
            is_payload_detached=True,
        ),
    ],
)
def test_no_other_signature_is_an_approval(approval):
    with pytest.raises(RevisionUnapproved, match="approval of wang"):
        verify(BYTES, {**BOTH, "wang": approval}, APPROVERS)


def _document(**changes):
    return orjson.dumps({**orjson.loads(BYTES), **changes}, option=orjson.OPT_SORT_KEYS)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        BYTES + b"\n",
        orjson.dumps(dict(reversed(orjson.loads(BYTES).items()))),
        _document(format=2),
        _document(number=0),
        _document(number=True),
        _document(number="3"),
        _document(extra=1),
        _document(source="sha256:short"),
        _document(artefacts={}),
        _document(catalogs={"../county": D}),
        _document(catalogs=[]),
        _document(deployment=None),
    ],
)
def test_only_canonical_bytes_of_a_manifest_pass(data):
    with pytest.raises(RevisionUnapproved, match=r"manifest\.json"):
        decode_manifest(data)


@pytest.fixture
def settings(tmp_path):
    for name in ("lin", "wang"):
        new_approver(tmp_path, name)
    return deployment(tmp_path, "lin", "wang")


def _with(settings, **sections):
    return settings.model_copy(
        update={name: getattr(settings, name).model_copy(update=changes) for name, changes in sections.items()}
    )


def test_a_changed_issuer_changes_the_digest(settings):
    issuer = settings.identity.issuers[0]
    for changes in (
        {"roles": ["officer", "prosecutor"]},
        {"issuer": "https://evil.example"},
        {"jwks_url": "https://x"},
    ):
        changed = _with(settings, identity={"issuers": [issuer.model_copy(update=changes)]})
        assert issuers_digest(changed) != issuers_digest(settings)


@pytest.mark.parametrize(
    "changes",
    [
        {"identity": {"algorithms": ["RS256"]}},
        {"identity": {"leeway_seconds": 60}},
        {"policy": {"cross_check_sealed": 0.5}},
        {"deployment": {"unit": "x"}},
        {"gateway": {"max_page_size": 1000}},
        {"keys": {"dossier_recipients": ["age1x"]}},
        {"server": {"max_body_bytes": 1 << 20}},
    ],
)
def test_changed_security_settings_change_the_digest(settings, changes):
    assert security_digest(_with(settings, **changes)) != security_digest(settings)


def test_a_swapped_approver_key_changes_the_digest(settings, tmp_path):
    before = security_digest(settings)
    new_approver(tmp_path, "wang")
    assert security_digest(settings) != before


@pytest.mark.parametrize(
    "changes", [{"server": {"port": 1}}, {"policy": {"engine": "opa"}}, {"identity": {"token_cache": 0}}]
)
def test_what_changes_no_answer_needs_no_new_revision(settings, changes):
    assert security_digest(_with(settings, **changes)) == security_digest(settings)


def test_approver_keys_are_read_and_others_refused(settings, tmp_path):
    assert sorted(approver_keys(settings)) == ["lin", "wang"]
    other = generate_private_key(SECP256R1()).public_key()
    (tmp_path / "wang.pem").write_bytes(other.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    with pytest.raises(ConfigurationError, match=r"wang.*Ed25519"):
        approver_keys(settings)
    (tmp_path / "wang.pem").unlink()
    with pytest.raises(ConfigurationError, match=r"wang.*PEM public key"):
        approver_keys(settings)
    with pytest.raises(ConfigurationError, match="expected letters"):
        approver_keys(_with(settings, policy={"approvers": {"../x": tmp_path / "lin.pem"}}))


def test_an_approvers_own_key_is_read_and_others_refused():
    assert private_key(private_pem(LIN)).public_key() == LIN.public_key()
    with pytest.raises(ConfigurationError, match="Ed25519 private key"):
        private_key(b"no key")
