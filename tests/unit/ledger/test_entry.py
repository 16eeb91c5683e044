"""An entry's bytes: canonical, of a fixed size, and nothing in them but what the entry says."""

from __future__ import annotations

from dataclasses import fields as dataclass_fields
from dataclasses import replace

import orjson
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from sidecar.ledger import merkle, verify
from sidecar.ledger.entry import SIZES, EntryInvalid, decode, encode, fields, read
from sidecar.ledger.types import Entry
from tests.support.state import entry

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
entries = st.builds(
    Entry,
    **{f.name: texts for f in dataclass_fields(Entry) if f.name not in {"codes", "page", "extra"}},
    codes=st.lists(texts, max_size=3).map(tuple),
    page=st.integers(0, 2**40),
    extra=st.none() | st.dictionaries(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), texts, max_size=3),
)


@given(entries)
def test_leaf_is_rfc_8785_of_one_size_and_the_verifier_pads_alike(made):
    body, leaf = encode(made)
    value = orjson.loads(leaf.data)
    assert leaf.data == rfc8785.dumps(value)
    assert len(leaf.data) in SIZES
    assert leaf.hash == merkle.leaf_hash(leaf.data)
    pad = value.pop("pad")
    assert set(pad) <= {"0"}
    assert body == rfc8785.dumps(value)
    assert verify.padded(body) == leaf.data


@given(entries)
def test_every_field_of_the_entry_is_in_the_body(made):
    value = decode(encode(made)[0])
    for field in dataclass_fields(Entry):
        given_value = getattr(made, field.name)
        expected = {"codes": list(made.codes), "extra": made.extra or {}}.get(field.name, given_value)
        assert value[field.name] == expected
    assert value["v"] == 1


def test_keys_stand_in_canonical_order():
    names = list(fields(entry()))
    assert names == sorted(names)


def length(made: Entry) -> int:
    return len(encode(made)[1].data)


def test_size_class_changes_only_with_a_longer_request():
    base = entry()
    room = SIZES[0] - len(orjson.dumps(fields(base)))
    assert length(replace(base, purpose="p" * room)) == SIZES[0]
    assert length(replace(base, purpose="p" * (room + 1))) == SIZES[1]


def test_answer_of_any_content_has_the_same_size():
    base = entry()
    assert {length(replace(base, answer=a * 43)) for a in "AZ-_"} == {SIZES[0]}


def test_a_value_that_looks_like_the_pad_stays_as_it_is():
    made = entry(extra={"pad": "", "x": ',"pad":""'})
    body, leaf = encode(made)
    assert decode(body)["extra"] == {"pad": "", "x": ',"pad":""'}
    assert orjson.loads(leaf.data)["pad"].strip("0") == ""


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"purpose": "p" * 9000}, "expected at most 8192 bytes, got 9"),
        ({"purpose": "\ud800"}, "no canonical JSON form"),
        ({"extra": {"名": "x"}}, "ASCII names"),
        ({"extra": {"n": 1.5}}, "ASCII names and strings"),
        ({"page": 2**70}, "no canonical JSON form"),
    ],
)
def test_what_has_no_canonical_form_is_refused(change, message):
    with pytest.raises(EntryInvalid, match=message):
        encode(replace(entry(), **change))


@pytest.mark.parametrize("body", [b"{", b"[]"])
def test_a_stored_body_that_is_no_object_is_refused(body):
    with pytest.raises(EntryInvalid):
        decode(body)


ONE = encode(entry())[0]


@pytest.mark.parametrize(
    "body",
    [
        b" " + ONE,
        ONE.replace(b":", b": ", 1),
        b'{"v":2,' + ONE[1:],
        ONE[:-1] + b',"z":' + b"[" * 300 + b"]" * 300 + b"}",
        b"{}",
        b'{"pad":""}',
    ],
    ids=["space", "spacing", "a member twice", "depth", "nothing", "its own pad"],
)
def test_no_other_body_has_the_leaf_of_an_entry(body):
    assert read(ONE)[1].hash
    with pytest.raises(EntryInvalid):
        read(body)
