"""JSON bodies of legacy services: one meaning, numbers as written, nothing but what is shown."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.records import wire_json as w

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES, st.booleans(), st.booleans())
def test_what_is_read_is_written_the_same(value, spaced, escaped):
    separators = (", ", ": ") if spaced else (",", ":")
    text = json.dumps(value, ensure_ascii=escaped, separators=separators)
    assert w.dump(w.parse(text, 50), spaced=spaced, escaped=escaped) == text


@pytest.mark.parametrize("text", ["1.50", "1e3", "-0", "12345678901234567890", "0.1000"])
def test_a_number_stays_as_it_was_written(text):
    assert w.dump(w.parse(f"[{text}]", 5), spaced=False, escaped=False) == f"[{text}]"


@pytest.mark.parametrize("text", ["{", "", '{"a":1,"a":2}', "[NaN]", "[Infinity]", "[" * 60 + "]" * 60, "[" * 100_000])
def test_a_body_of_no_or_two_meanings_is_a_fault(text):
    with pytest.raises(w.BodyFault):
        w.parse(text, 32)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("$", ()),
        ("$.data.rows[0]", ("data", "rows", 0)),
        ("$['two words'].x", ("two words", "x")),
        ('$["a.b"][10]', ("a.b", 10)),
        ("$.姓名", ("姓名",)),
    ],
)
def test_a_path_is_a_singular_query(text, path):
    assert w.compile_path(text) == path


@pytest.mark.parametrize("text", ["", "data", "$..a", "$.*", "$[*]", "$[?(@.x)]", "$.a[1:2]", "$.", "$['a'"])
def test_what_may_lead_to_more_than_one_place_is_no_path(text):
    with pytest.raises(ValueError, match="expected"):
        w.compile_path(text)


def test_null_and_nothing_are_told_apart():
    value = w.parse('{"a": null, "b": [1]}', 5)
    assert w.get(value, ("a",)) is None
    assert w.get(value, ("c",)) is w.ABSENT
    assert w.get(value, ("b", 1)) is w.ABSENT
    assert w.get(value, ("a", "x")) is w.ABSENT


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, None), (True, "true"), (w.Number("1.50"), "1.50"), ("x", "x"), ([1], w.JUNK), ({}, w.JUNK)],
)
def test_a_structure_is_junk_where_a_scalar_is_expected(value, text):
    assert w.leaf(value) == text


def test_a_cut_keeps_what_is_shown_and_nothing_else():
    value = w.parse('{"a":{"b":1,"secret":2},"c":[{"d":3},{"d":4}],"secret":5}', 5)
    assert (
        w.dump(w.cut(value, {("a", "b"), ("c", 1, "d")}, ()), spaced=False, escaped=False)
        == '{"a":{"b":1},"c":[{"d":4}]}'
    )


def test_a_blanked_place_is_null():
    value = w.parse('{"a":1,"b":2,"c":3}', 5)
    assert w.cut(value, {("a",)}, {("b",)}) == {"a": "1", "b": None}


@given(st.dictionaries(st.text(min_size=1, max_size=3), VALUES, max_size=5), st.data())
def test_nothing_that_is_not_shown_is_in_a_cut(record, data):
    shown = data.draw(st.sets(st.sampled_from(sorted(record)))) if record else set()
    cut = w.cut(w.parse(json.dumps(record), 50), {(name,) for name in shown}, ())
    assert cut.keys() == shown


def test_values_are_put_as_the_template_has_them():
    assert w.like(w.Number("0"), "7") == w.Number("7")
    assert isinstance(w.like(w.Number("0"), "7"), w.Number)
    assert w.like(False, "true") is True
    assert not isinstance(w.like("0", "7"), w.Number)


def test_flat_names_every_scalar_and_every_empty_structure():
    assert w.flat(w.parse('{"a":{"b":1},"c":[],"d":{},"e":[null]}', 5)) == {
        ("a", "b"): "1", ("c",): w.JUNK, ("d",): w.JUNK, ("e", 0): None,
    }  # fmt: skip
