"""Pseudonyms, receipts, and a ring that says what is wrong with its folder."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import jwt
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.clock import FixedClock
from sidecar.errors import ConfigurationError
from sidecar.keys import generate
from sidecar.keys.files import read_ed25519_private
from sidecar.keys.ring import RECEIPT_FILE, YEARS_SECONDS, FileKeyRing, KeyMissing, ReceiptInvalid, YearKeys

CLOCK = FixedClock(datetime(2026, 11, 23, tzinfo=UTC))
NUMBER = "11010519491231002X"
CLAIMS = {"inquiry": "0193", "revision": "7@sha256:ab", "nonce": "n", "leaf": "l"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("ring")
    generate.create_ring(path, 2026)
    return path


@pytest.fixture(scope="module")
def ring(folder):
    return FileKeyRing.load(folder, CLOCK)


def test_p6_a_pseudonym_is_the_hmac_of_kind_and_value_under_the_years_key(ring, folder):
    key = base64.b64decode((folder / "pseudonym-2026.key").read_bytes())
    digest = hmac.new(key, b"person_id\x00" + NUMBER.encode(), hashlib.sha256).digest()[:16]
    key_id, text = ring.pseudonym("person_id", NUMBER, 2026)
    assert text == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    assert key_id.startswith("2026-")
    assert len(text) == 22


@given(value=st.text(max_size=20))
def test_p6_kinds_never_meet(ring, value):
    made = {
        ring.pseudonym("person_id", value, 2026)[1],
        ring.pseudonym("name_birth", value, 2026)[1],
        ring.keyed_hash("letter", value, 2026),
        ring.keyed_hash("application", value, 2026),
    }
    assert len(made) == 4


def test_unknown_kinds_are_refused(ring):
    with pytest.raises(ValueError, match="expected a kind of"):
        ring.pseudonym("letter", NUMBER, 2026)
    for kind in ("person_id", "letter\x00"):
        with pytest.raises(ValueError, match="no pseudonym has"):
            ring.keyed_hash(kind, NUMBER, 2026)


def test_a_new_year_needs_its_key_and_finds_it_without_restart(tmp_path):
    generate.create_ring(tmp_path, 2026)
    ring = FileKeyRing.load(tmp_path, CLOCK)
    assert not ring.has_year(2027)
    with pytest.raises(KeyMissing, match="sidecar keys rotate --year 2027") as caught:
        ring.pseudonym("person_id", NUMBER, 2027)
    assert caught.value.status == 503
    assert NUMBER not in str(caught.value)
    generate.add_pseudonym_year(tmp_path, 2027)
    assert ring.has_year(2027)
    old, new = (ring.pseudonym("person_id", NUMBER, year) for year in (2026, 2027))
    assert old[0] != new[0]
    assert old[1] != new[1]


def test_the_year_is_beijings(tmp_path):
    generate.create_ring(tmp_path, 2027)
    FileKeyRing.load(tmp_path, FixedClock(datetime(2026, 12, 31, 16, 0, tzinfo=UTC)))
    with pytest.raises(ConfigurationError, match=r"pseudonym-2026\.key"):
        FileKeyRing.load(tmp_path, FixedClock(datetime(2026, 12, 31, 15, 59, tzinfo=UTC)))


@pytest.mark.parametrize("name", ["receipt.pem", "cursor.key", "pseudonym-2026.key"])
def test_load_without_or_with_an_open_file_refuses(tmp_path, name):
    generate.create_ring(tmp_path, 2026)
    (tmp_path / name).chmod(0o644)
    with pytest.raises(ConfigurationError, match="expected mode 0600"):
        FileKeyRing.load(tmp_path, CLOCK)
    (tmp_path / name).unlink()
    with pytest.raises(ConfigurationError, match=name):
        FileKeyRing.load(tmp_path, CLOCK)


def test_a_receipt_verifies_with_a_foreign_library_and_the_published_set(ring):
    receipt = ring.sign_receipt(CLAIMS)
    keys = jwt.PyJWKSet.from_json(ring.public_jwks().decode())
    assert jwt.decode(receipt, keys[ring.receipt_kid], algorithms=["EdDSA"]) == CLAIMS
    assert jwt.get_unverified_header(receipt) == {"alg": "EdDSA", "kid": ring.receipt_kid, "typ": "receipt+jwt"}
    assert ring.verify_receipt(receipt) == CLAIMS
    assert ring.sign_receipt(CLAIMS) == receipt


def test_published_keys_are_public_only(ring):
    for jwk in orjson.loads(ring.public_jwks())["keys"]:
        assert "d" not in jwk


@given(data=st.data())
def test_a_changed_receipt_is_refused(ring, data):
    receipt = ring.sign_receipt(CLAIMS)
    place = data.draw(st.integers(0, len(receipt) - 2))  # the last character has unused bits
    other = data.draw(st.sampled_from("ABab01-_."))
    changed = receipt[:place] + other + receipt[place + 1 :]
    if changed == receipt:
        return
    with pytest.raises(ReceiptInvalid):
        ring.verify_receipt(changed)


def test_receipts_of_other_types_keys_and_shapes_are_refused(ring, folder, tmp_path):
    def signed(payload, key=read_ed25519_private(folder / RECEIPT_FILE), **header):  # noqa: B008  # read once
        full = {"kid": ring.receipt_kid, "typ": "receipt+jwt", **header}
        return jwt.PyJWS().encode(payload, key, algorithm="EdDSA", headers=full)

    generate.create_ring(tmp_path, 2026)
    other = FileKeyRing.load(tmp_path, CLOCK)
    for receipt in (
        other.sign_receipt(CLAIMS),
        signed(b"{}", typ="unit-letter+jws"),
        signed(b"{}", typ="JWT"),
        signed(b"[]"),
        signed(b"no json"),
        signed(b"{}", key=read_ed25519_private(tmp_path / RECEIPT_FILE)),
        "",
        "a.b.c",
        "é" * 10,
        "a" * 20000,
        jwt.encode(CLAIMS, None, algorithm="none", headers={"kid": ring.receipt_kid, "typ": "receipt+jwt"}),
    ):
        with pytest.raises(ReceiptInvalid):
            ring.verify_receipt(receipt)
    assert ring.verify_receipt(signed(b"{}")) == {}


def test_after_rotation_old_receipts_verify_and_new_ones_have_a_new_key(tmp_path):
    generate.create_ring(tmp_path, 2026)
    first = FileKeyRing.load(tmp_path, CLOCK)
    old = first.sign_receipt(CLAIMS)
    kids = [first.receipt_kid, generate.rotate_receipt(tmp_path), generate.rotate_receipt(tmp_path)]
    ring = FileKeyRing.load(tmp_path, CLOCK)
    assert ring.receipt_kid == kids[-1]
    assert len(set(kids)) == 3
    assert ring.verify_receipt(old) == ring.verify_receipt(ring.sign_receipt(CLAIMS)) == CLAIMS
    assert [key["kid"] for key in orjson.loads(ring.public_jwks())["keys"]] == kids[::-1]


@pytest.mark.parametrize("content", ["", "{}", '{"keys":[]}', '{"keys":[{"kty":"oct","k":"AAAA","kid":"a"}]}'])
def test_a_bad_list_of_former_keys_refuses(tmp_path, content):
    generate.create_ring(tmp_path, 2026)
    (tmp_path / "receipts.jwks").write_text(content)
    with pytest.raises(ConfigurationError, match=r"receipts\.jwks"):
        FileKeyRing.load(tmp_path, CLOCK)
    with pytest.raises(ConfigurationError, match=r"receipts\.jwks"):
        generate.rotate_receipt(tmp_path)


def test_nothing_of_a_key_is_shown(ring):
    assert base64.b64encode(ring.cursor_key).decode() not in repr(ring)
    assert ring.cursor_key != ring._years[2026][1]


def test_years_are_those_of_the_key_files_and_new_ones_are_found(tmp_path):
    generate.create_ring(tmp_path, 2026)
    clock = FixedClock(datetime(2026, 11, 23, tzinfo=UTC))
    ring = FileKeyRing.load(tmp_path, clock)
    assert ring.years() == (2026,)
    generate.add_pseudonym_year(tmp_path, 2027)
    (tmp_path / "pseudonym-old.key").touch()
    clock.set(clock.now() + timedelta(seconds=YEARS_SECONDS))
    assert ring.years() == (2026, 2027)


def test_the_years_keys_alone_make_the_rings_hashes(tmp_path):
    generate.create_ring(tmp_path, 2026)
    ring = FileKeyRing.load(tmp_path, FixedClock(datetime(2026, 6, 1, tzinfo=UTC)))
    for name in ("receipt.pem", "cursor.key", "application.key"):
        (tmp_path / name).unlink()
    alone = YearKeys(tmp_path)
    assert alone.keyed_hash("audit", "a", 2026) == alone.keyed_hash("audit", "a", 2026)
    assert alone.keyed_hash("audit", "a", 2026) == ring.keyed_hash("audit", "a", 2026)
    with pytest.raises(ValueError, match="a kind that no pseudonym has"):
        alone.keyed_hash("person_id", "a", 2026)
    with pytest.raises(ConfigurationError):
        alone.keyed_hash("audit", "a", 2031)
