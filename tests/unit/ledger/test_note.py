"""Signed notes: the vectors of Go's ``golang.org/x/mod/sumdb/note``, and nothing opens that was not signed."""

from __future__ import annotations

from base64 import b64decode, b64encode

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from sidecar.ledger import merkle
from sidecar.ledger.checkpoint import Checkpoint, open_checkpoint, parse
from sidecar.ledger.note import MAX_NOTE_BYTES, NoteInvalid, Verifier, open_note, parse_verifier, sign, verifier

# The example of the reference implementation.
SEED = b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
SIGNATURE = (
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
KEY = Ed25519PrivateKey.from_private_bytes(SEED)
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(32))
NOTE = f"{TEXT}\n{SIGNATURE}"


def test_a_note_is_signed_as_the_reference_signs_it():
    assert str(verifier("PeterNeumann", KEY.public_key())) == VKEY
    assert sign(TEXT, "PeterNeumann", KEY) == NOTE


def test_the_reference_note_opens():
    known = parse_verifier(VKEY + "\n")
    assert open_note(NOTE.encode(), [known]) == (TEXT, (known,))


def line(name, key, text=TEXT):
    return sign(text, name, key).partition("\n\n")[2]


def test_unknown_signatures_are_ignored_and_the_first_of_a_known_key_counts():
    known = parse_verifier(VKEY)
    unknown = "".join(line(f"witness-{n}", OTHER) for n in range(15))
    repeated = SIGNATURE + line("PeterNeumann", KEY, "other\n")
    assert open_note(f"{TEXT}\n{unknown}{repeated}".encode(), [known])[1] == (known,)


def test_several_known_keys_are_all_named():
    keys = [parse_verifier(VKEY), verifier("w", OTHER.public_key())]
    assert open_note((NOTE + line("w", OTHER)).encode(), keys)[1] == tuple(keys)


def test_a_bad_signature_of_a_known_key_spoils_the_note():
    keys = [parse_verifier(VKEY), verifier("w", OTHER.public_key())]
    with pytest.raises(NoteInvalid, match="the signature of w is bad"):
        open_note((NOTE + line("w", OTHER, "other\n")).encode(), keys)


@pytest.mark.parametrize(
    ("note", "text"),
    [
        (NOTE.replace("answer", "Answer"), "signature of PeterNeumann is bad"),
        (f"{TEXT}\n{line('w', OTHER)}", "no signature of a known key"),
        (TEXT, "behind a blank line"),
        (f"{TEXT}\n", "behind a blank line"),
        (NOTE[:-1], "the last one ended"),
        (NOTE.replace("answer", "\t"), "control characters"),
        (NOTE.replace("— ", "- "), "begin with a dash"),
        (f"{TEXT}\n— x+y eDA4Z28v\n", "without spaces and plus signs"),
        (f"{TEXT}\n— x eDA4\n", "more than 4 bytes"),
        (f"{TEXT}\n— x !\n", "expected base64"),
        (f"{TEXT}\n{SIGNATURE * 101}", "1 to 100 signatures"),
        ("x" * MAX_NOTE_BYTES + "\n", "at most"),
    ],
)
def test_what_is_no_note_signed_by_the_key_does_not_open(note, text):
    with pytest.raises(NoteInvalid, match=text):
        open_note(note.encode(), [parse_verifier(VKEY)])


def test_bytes_that_are_no_text_do_not_open():
    with pytest.raises(NoteInvalid, match="not UTF-8"):
        open_note(b"\xff\n", [parse_verifier(VKEY)])


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u3000b", "a\n"])
def test_a_name_that_would_break_a_line_is_refused(name):
    with pytest.raises(NoteInvalid, match="key name"):
        sign("text\n", name, KEY)


@pytest.mark.parametrize("text", ["", "no end", "a\tb\n"])
def test_a_text_that_cannot_stand_in_a_note_is_not_signed(text):
    with pytest.raises(NoteInvalid, match="control characters"):
        sign(text, "name", KEY)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (VKEY.replace("c74f20a3", "c74f20a4"), "expected key id c74f20a3"),
        (VKEY.replace("Peter", "Petra"), "expected key id"),
        (f"w+00000000+{b64encode(bytes([5]) + bytes(32)).decode()}", "Ed25519"),
        (f"w+00000000+{b64encode(bytes([1]) + bytes(31)).decode()}", "Ed25519"),
        ("w+00000000+§", "expected base64"),
        ("", "key name"),
    ],
)
def test_a_damaged_verifier_key_is_refused(text, fault):
    with pytest.raises(NoteInvalid, match=fault):
        parse_verifier(text)


LINES = st.lists(st.text(st.characters(exclude_categories=("Cs", "Cc"))), min_size=1, max_size=4)


@given(LINES, st.data())
def test_what_is_signed_opens_and_any_changed_byte_does_not(lines, data):
    text = "".join(f"{line}\n" for line in lines)
    note, known = sign(text, "log", KEY).encode(), [Verifier("log", KEY.public_key().public_bytes_raw())]
    assert open_note(note, known)[0] == text
    place = data.draw(st.integers(0, len(text.encode()) - 1))
    changed = note[:place] + bytes([note[place] ^ 1]) + note[place + 1 :]
    with pytest.raises(NoteInvalid):
        open_note(changed, known)


ROOT = merkle.leaf_hash(b"x")
LOG = verifier("county", KEY.public_key())


@given(st.integers(0, 10**18), st.binary(min_size=32, max_size=32))
def test_a_checkpoint_reads_back_from_its_note(size, root):
    made = Checkpoint("county", size, root)
    assert open_checkpoint(made.signed(KEY).encode(), LOG) == made


def test_a_checkpoint_is_three_lines():
    empty = Checkpoint("county", 0, merkle.EMPTY_ROOT)
    assert empty.text() == "county\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"


GOOD = Checkpoint("county", 7, ROOT).text()


@pytest.mark.parametrize(
    "text",
    ["", GOOD + "extension\n", GOOD.replace("7", "07"), GOOD.replace("7", "-7"), GOOD[:-2] + "\n", "\n" + GOOD],
)
def test_what_is_no_checkpoint_of_ours_is_refused(text):
    with pytest.raises(NoteInvalid, match="expected a checkpoint"):
        parse(text)


def test_a_root_with_stray_bits_is_refused():
    stray = GOOD[:-3] + chr(ord(GOOD[-3]) + 1) + "=\n"
    assert b64decode(stray.split("\n")[2]) == ROOT
    with pytest.raises(NoteInvalid, match="expected a checkpoint"):
        parse(stray)


def test_a_checkpoint_of_another_origin_under_this_key_is_refused():
    with pytest.raises(NoteInvalid, match="expected origin county, got other"):
        open_checkpoint(sign(Checkpoint("other", 7, ROOT).text(), "county", KEY).encode(), LOG)
