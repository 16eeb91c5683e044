"""What a log has signed and its witnesses have seen is read without the writer's code; whatever is wrong is refused."""

from __future__ import annotations

from base64 import b64encode

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from sidecar.ledger import merkle, note
from sidecar.ledger.checkpoint import Checkpoint
from sidecar.ledger.evidence import EvidenceInvalid, check_proof, read_checkpoint, read_key

KEY, OTHER = (Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (1, 2))
LOG = read_key(str(note.verifier("county", KEY.public_key())))
WITNESS = read_key(str(note.verifier("procuracy", OTHER.public_key(), note.COSIGNATURE)))
LEAVES = [merkle.leaf_hash(bytes([n])) for n in range(5)]
CHECKPOINT = Checkpoint("county", 5, merkle.root(LEAVES))
SIGNED = CHECKPOINT.signed(KEY)
COSIGNED = SIGNED + note.cosign(CHECKPOINT.text(), "procuracy", OTHER, 1_790_000_000)
PROOF = "c2sp.org/tlog-proof@v1\nindex 2\n{path}\n\n{note}"


def proof(index=2, text=SIGNED):
    path = "\n".join(b64encode(h).decode() for h in merkle.inclusion_proof(LEAVES, index))
    return PROOF.format(path=path, note=text).replace("index 2", f"index {index}").encode()


def test_a_checkpoint_names_who_has_seen_it_and_when():
    found = read_checkpoint(COSIGNED.encode(), LOG, [WITNESS])
    assert (found.origin, found.size, found.root) == ("county", 5, CHECKPOINT.root)
    assert found.witnesses == (("procuracy", 1_790_000_000),)
    assert read_checkpoint(COSIGNED.encode(), LOG).witnesses == ()


@given(st.integers(0, 4))
def test_a_proof_leads_from_the_leaf_to_the_signed_root(index):
    place, statement = check_proof(proof(index), LEAVES[index], LOG)
    assert (place, statement.size) == (index, 5)


def test_extra_data_of_a_proof_is_ignored():
    extra = proof().replace(b"index", b"extra QUJD\nindex")
    assert check_proof(extra, LEAVES[2], LOG)[0] == 2


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (proof(text=COSIGNED.replace("procuracy", "stranger")), ""),
        (proof().replace(b"index 2", b"index 3"), "not at 3"),
        (proof().replace(b"index 2", b"index 9"), "not at 9"),
        (proof().replace(b"index 2", b"index 02"), "expected the index"),
        (proof().replace(b"@v1", b"@v2"), "begins with"),
        (proof().replace(b"\n\n", b"\n", 1), "not at|expected"),
        (b"c2sp.org/tlog-proof@v1\n\n" + SIGNED.encode(), "expected the index"),
        (proof(text=Checkpoint("county", 5, merkle.root(LEAVES)).signed(OTHER)), "no signature of county"),
        (b"\xff", "UTF-8"),
        (b"a" * 65537, "at most 65536"),
    ],
)
def test_a_proof_of_anything_else_is_refused(content, text):
    if not text:
        assert check_proof(content, LEAVES[2], LOG, [WITNESS])[1].witnesses == ()  # an unknown key is ignored
        return
    with pytest.raises(EvidenceInvalid, match=text):
        check_proof(content, LEAVES[2], LOG)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SIGNED.replace("\n5\n", "\n6\n"), "signature of county is bad"),
        (COSIGNED.replace("\n5\n", "\n6\n"), "is bad"),
        (SIGNED.replace("county\n5", "other\n5"), "expected a checkpoint of county, got one of other"),
        (SIGNED.replace("\n5\n", "\n05\n"), "origin, size and root"),
        (SIGNED.rstrip("\n"), "behind a blank line"),
        (CHECKPOINT.text(), "behind a blank line"),
        (SIGNED + "— county\n", "signature's line"),
        (SIGNED + "— county AB==C\n", "signature's line|base64"),
        (SIGNED + "— a AAAA\n" * 300, "behind a blank line"),
        (SIGNED.replace("— county ", "— county A"), "base64|no signature|bad"),
    ],
)
def test_a_note_that_is_wrong_in_any_place_is_refused(text, message):
    with pytest.raises(EvidenceInvalid, match=message):
        read_checkpoint(text.encode(), LOG, [WITNESS])


def test_a_witness_key_is_no_log_key():
    with pytest.raises(EvidenceInvalid, match="expected a checkpoint of procuracy"):
        read_checkpoint(COSIGNED.encode(), WITNESS)


@given(st.integers(0, len(COSIGNED.encode()) - 1), st.integers(1, 255))
def test_no_changed_byte_adds_a_statement(place, flip):
    content = bytearray(COSIGNED.encode())
    content[place] ^= flip
    try:
        found = read_checkpoint(bytes(content), LOG, [WITNESS])
    except EvidenceInvalid:
        return
    assert (found.size, found.root) == (5, CHECKPOINT.root)


KEY_TEXT = str(note.verifier("county", KEY.public_key()))


@pytest.mark.parametrize(
    "text", ["", "county", KEY_TEXT.replace("+AY", "+CY"), KEY_TEXT[:-4], KEY_TEXT.replace("county", "a b")]
)
def test_what_is_no_key_is_refused(text):
    with pytest.raises(EvidenceInvalid, match="expected"):
        read_key(text)


def test_a_key_under_another_name_is_refused():
    with pytest.raises(EvidenceInvalid, match="other: expected key id"):
        read_key(KEY_TEXT.replace("county", "other"))
