"""Making and rotating keys."""

import stat

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sidecar.errors import ConfigurationError
from sidecar.keys import files, generate, jwk


def test_a_ring_is_made_of_secret_files_and_never_twice(tmp_path):
    folder = tmp_path / "keys"
    paths = generate.create_ring(folder, 2026)
    assert [path.name for path in paths] == ["receipt.pem", "cursor.key", "application.key", "pseudonym-2026.key"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    before = [path.read_bytes() for path in paths]
    with pytest.raises(ConfigurationError, match="never overwritten"):
        generate.create_ring(folder, 2027)
    assert [path.read_bytes() for path in paths] == before
    assert not (folder / "pseudonym-2027.key").exists()
    with pytest.raises(ConfigurationError, match="never overwritten"):
        generate.add_pseudonym_year(folder, 2026)


def test_rotating_the_cursor_key_changes_it_and_needs_one(tmp_path):
    with pytest.raises(ConfigurationError, match="expected a key to rotate"):
        generate.rotate_cursor(tmp_path)
    generate.create_ring(tmp_path, 2026)
    before = files.read_symmetric(tmp_path / "cursor.key")
    generate.rotate_cursor(tmp_path)
    assert files.read_symmetric(tmp_path / "cursor.key") != before


def test_a_crash_between_the_writes_of_a_rotation_loses_nothing(tmp_path, monkeypatch):
    generate.create_ring(tmp_path, 2026)
    old = (tmp_path / "receipt.pem").read_bytes()
    written = []

    def first_only(path, data, mode=files.SECRET_MODE):
        if written:
            raise ConfigurationError("crash")
        written.append(path)
        files.replace(path, data, mode)

    monkeypatch.setattr(generate, "replace", first_only)
    with pytest.raises(ConfigurationError, match="crash"):
        generate.rotate_receipt(tmp_path)
    assert (tmp_path / "receipt.pem").read_bytes() == old
    monkeypatch.undo()
    generate.rotate_receipt(tmp_path)
    listed = jwt.PyJWKSet.from_json((tmp_path / "receipts.jwks").read_text()).keys
    assert len(listed) == 1


def test_a_log_key_comes_with_its_file_of_what_was_signed_and_never_without(tmp_path):
    key, signed = tmp_path / "keys" / "log.pem", tmp_path / "state" / "log.signed"
    public = generate.create_log_key(key, signed, b"nothing")
    assert files.read_ed25519_private(key).public_key() == public
    assert files.read_secret(signed) == b"nothing"
    key.unlink()
    with pytest.raises(ConfigurationError, match=r"log\.signed: exists already"):
        generate.create_log_key(key, signed, b"nothing")
    assert not key.exists()


def test_a_signing_key_comes_in_two_files(tmp_path):
    made = generate.create_signing_key(tmp_path / "units", "court")
    private = files.read_ed25519_private(made.private)
    public = files.read_ed25519_public(made.public)
    assert private.public_key() == public
    assert jwk.public_jwk(public)["kid"] == made.kid
    assert stat.S_IMODE(made.public.stat().st_mode) == 0o644
    made.private.unlink()
    with pytest.raises(ConfigurationError, match=r"court\.pub\.pem: exists already"):
        generate.create_signing_key(tmp_path / "units", "court")
    assert not made.private.exists()


def test_an_age_identity_is_made_once(tmp_path):
    public = generate.create_age_identity(tmp_path / "age" / "organ")
    assert public.startswith("age1")
    assert stat.S_IMODE((tmp_path / "age" / "organ").stat().st_mode) == 0o600
    with pytest.raises(ConfigurationError, match="never overwritten"):
        generate.create_age_identity(tmp_path / "age" / "organ")


def test_a_key_set_holds_public_keys_of_each_kind(tmp_path):
    keys = {
        "ed": Ed25519PrivateKey.generate().public_key(),
        "ec": ec.generate_private_key(ec.SECP256R1()).public_key(),
        "rsa": rsa.generate_private_key(65537, 2048).public_key(),
    }
    path = tmp_path / "issuer.jwks"
    generate.write_key_set(path, keys)
    generate.write_key_set(path, keys)
    found = jwt.PyJWKSet.from_json(path.read_text())
    assert {kid: found[kid].key for kid in keys} == keys
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert b'"d"' not in path.read_bytes()


def test_a_thumbprint_is_that_of_rfc_7638_and_rfc_8037():
    example = {
        "kty": "OKP",
        "crv": "Ed25519",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    }
    assert jwk.thumbprint(example) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
