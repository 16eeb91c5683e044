"""Key files: who may read them, how they are written."""

import base64
import os
import stat

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sidecar.errors import ConfigurationError
from sidecar.keys import files

KEY = base64.b64encode(b"k" * 32)


def pem(key):
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "secret.key"
    files.write_new(path, KEY)
    return path


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o660, 0o644, 0o666, 0o610, 0o601, 0o444])
def test_a_file_that_others_can_reach_is_refused_with_the_fix(secret, mode):
    secret.chmod(mode)
    with pytest.raises(ConfigurationError, match=f"expected mode 0600, got {mode:04o}; run: chmod 600"):
        files.read_secret(secret)


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_an_owners_file_is_read(secret, mode):
    secret.chmod(mode)
    assert files.read_secret(secret) == KEY


def test_a_mounted_secret_is_read_only_where_it_belongs_to_root(secret, monkeypatch):
    secret.chmod(0o440)
    status = secret.stat()

    def owned_by(uid):
        return os.stat_result((*status[:4], uid, *status[5:]))

    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(os, "fstat", lambda _: owned_by(0))
    assert files.read_secret(secret) == KEY
    monkeypatch.setattr(os, "fstat", lambda _: owned_by(1000))
    with pytest.raises(ConfigurationError, match="expected mode 0600, got 0440"):
        files.read_secret(secret)
    monkeypatch.setattr(os, "fstat", lambda _: owned_by(1001))
    with pytest.raises(ConfigurationError, match="expected owner 1000 or root, got 1001"):
        files.read_secret(secret)


def test_missing_large_and_odd_files_are_refused(tmp_path, secret):
    with pytest.raises(ConfigurationError, match="No such file"):
        files.read_secret(tmp_path / "none")
    secret.write_bytes(b"x" * (files.MAX_KEY_FILE_BYTES + 1))
    with pytest.raises(ConfigurationError, match="expected at most 65536 bytes"):
        files.read_secret(secret)
    with pytest.raises(ConfigurationError, match="regular file"):
        files.read_secret(type(secret)("/dev/null"))


@pytest.mark.parametrize("content", [b"", b"!!!!", base64.b64encode(b"k" * 31), base64.b64encode(b"k" * 33)])
def test_a_symmetric_key_has_32_bytes(secret, content):
    secret.write_bytes(content)
    with pytest.raises(ConfigurationError, match="base64") as caught:
        files.read_symmetric(secret)
    assert content == b"" or content.decode() not in str(caught.value)


def test_a_symmetric_key_is_read(secret):
    assert files.read_symmetric(secret) == b"k" * 32


def test_only_ed25519_private_keys_are_read(secret):
    secret.write_bytes(pem(ec.generate_private_key(ec.SECP256R1())))
    with pytest.raises(ConfigurationError, match="expected an Ed25519 key, got EC"):
        files.read_ed25519_private(secret)
    secret.write_bytes(b"no key")
    with pytest.raises(ConfigurationError, match="unencrypted Ed25519 private key"):
        files.read_ed25519_private(secret)
    key = Ed25519PrivateKey.generate()
    secret.write_bytes(pem(key))
    assert files.read_ed25519_private(secret).private_bytes_raw() == key.private_bytes_raw()


def test_only_ed25519_public_keys_are_read(tmp_path):
    path = tmp_path / "a.pub.pem"
    kinds = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    with pytest.raises(ConfigurationError, match="cannot be read"):
        files.read_ed25519_public(path)
    path.write_bytes(b"no key")
    with pytest.raises(ConfigurationError, match="expected an Ed25519 public key in PEM"):
        files.read_ed25519_public(path)
    path.write_bytes(ec.generate_private_key(ec.SECP256R1()).public_key().public_bytes(*kinds))
    with pytest.raises(ConfigurationError, match="got EC"):
        files.read_ed25519_public(path)
    key = Ed25519PrivateKey.generate().public_key()
    path.write_bytes(key.public_bytes(*kinds))
    assert files.read_ed25519_public(path) == key


def test_writing_never_overwrites_and_leaves_nothing_behind(secret, tmp_path):
    with pytest.raises(ConfigurationError, match="never overwritten"):
        files.write_new(secret, b"other")
    assert secret.read_bytes() == KEY
    assert [path.name for path in tmp_path.iterdir()] == ["secret.key"]
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600


def test_mode_is_set_whatever_the_umask(tmp_path):
    old = os.umask(0o777)
    try:
        files.write_new(tmp_path / "a", b"1")
        files.write_new(tmp_path / "b", b"1", files.PUBLIC_MODE)
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "b").stat().st_mode) == 0o644


def test_writing_where_there_is_no_folder_is_a_configuration_error(tmp_path):
    for write in (files.write_new, files.replace):
        with pytest.raises(ConfigurationError, match="cannot be written"):
            write(tmp_path / "none" / "a", b"1")


def test_a_failed_replacement_keeps_the_old_and_cleans_up(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(ConfigurationError, match="cannot be replaced"):
        files.replace(tmp_path / "a", b"1")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_failed_link_cleans_up(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "link", full)
    with pytest.raises(ConfigurationError, match="No space left"):
        files.write_new(tmp_path / "a", b"1")
    assert list(tmp_path.iterdir()) == []
