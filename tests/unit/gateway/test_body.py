from __future__ import annotations

import json

import hypothesis.strategies as st
import pytest
from hypothesis import example, given

from sidecar.errors import RequestInvalid
from sidecar.gateway import body

GOOD = {"database": "county", "subject": {"person_id": "330102200506010017"}}


def refused(raw: bytes) -> tuple[str, int]:
    with pytest.raises(RequestInvalid) as caught:
        body.parse_object(raw)
    return caught.value.code, caught.value.status


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": -Infinity}',
        b'{"a": "\xff"}',
        b'{"a": "\\ud800"}',
        b"{'a': 1}",
        b'{"a": 1,}',
        b'{"a": 1} x',
        b"\xef\xbb\xbf{}",
        b'{"a": 1, "a": 1}',
        b'{"a": 1, "\\u0061": 2}',
        b'{"a": {"b": 1, "b": ":"}}',
        b'{"a": [{"b": "::", "b": 2}]}',
        b'{"x": "\\"", "a": ":", "a": 2}',
        b'{"a": ' + b"[" * 8 + b"]" * 8 + b"}",
        b'{"a": ' + b"[" * 2000 + b"]" * 2000 + b"}",
    ],
)
def test_a_body_with_no_meaning_or_two_is_refused(raw):
    assert refused(raw) == ("body-invalid", 400)


@pytest.mark.parametrize(
    "text",
    ['{"a": ":{[", "b": {"a": 1}}', '{"a": "\\\\", "b": "\\"}}]]::{{[[[[[[[[[["}', '{"a": ' + "[" * 7 + "]" * 7 + "}"],
)
def test_brackets_and_colons_in_texts_are_no_structure(text):
    assert body.parse_object(text.encode()) == json.loads(text)


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**53), 2**53),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
)
trees = st.recursive(
    scalars,
    lambda t: st.lists(t, max_size=4) | st.dictionaries(st.sampled_from(["a", "b", ":", "{"]), t, max_size=4),
    max_leaves=12,
)


def depth(value) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(depth, inner), default=0)


@given(st.dictionaries(st.sampled_from(["a", "b", "[:"]), trees, max_size=3), st.booleans())
def test_every_object_of_bounded_depth_is_read_as_it_stands(value, ascii_only):
    raw = json.dumps(value, ensure_ascii=ascii_only).encode()
    if depth(value) > body.MAX_DEPTH:
        assert refused(raw) == ("body-invalid", 400)
    else:
        assert body.parse_object(raw) == value


@given(trees, trees, st.sampled_from(["a", ":", "\\u0061", "\\\\", "{"]))
@example(":", "{", "a")
def test_every_duplicate_is_found(first, second, name):
    pair = f'"{name}": {json.dumps(first)}, "x": ":", "{name}": {json.dumps(second)}'
    for raw in (f"{{{pair}}}", f'{{"o": [{{{pair}}}]}}'):
        assert refused(raw.encode()) == ("body-invalid", 400)


def test_what_is_not_stated_is_blank():
    stated = body.read_shape(GOOD, 50, 200)
    assert stated == body.Stated(
        database="county",
        person_id="330102200506010017",
        name="",
        birth_date="",
        conditions=(),
        by_subject=True,
        scope="open",
        reason="",
        instrument="",
        article="",
        purpose="",
        case_number="",
        letter="",
        application_id="",
        page_size=50,
        cursor="",
        sort=(),
    )


def test_search_and_sort_are_read_in_order():
    value = {
        "database": "county",
        "filter": [
            {"field": "ZM", "operator": "in", "value": ["盗窃", 3]},
            {"field": "F", "operator": "ge", "value": 1},
        ],
        "sort": [{"field": "F", "order": "desc"}, {"field": "ZM"}],
        "page_size": 200,
    }
    stated = body.read_shape(value, 50, 200)
    assert stated.conditions == (("ZM", "in", ("盗窃", 3)), ("F", "ge", 1))
    assert stated.sort == (("F", True), ("ZM", False))
    assert not stated.by_subject


@pytest.mark.parametrize("size", [0, 201, -1, True, 1.0, "5", None, 2**70])
def test_a_page_size_out_of_bounds_is_refused(size):
    with pytest.raises(RequestInvalid, match="page_size: expected an integer from 1 to 200") as caught:
        body.read_shape(GOOD | {"page_size": size}, 50, 200)
    assert (caught.value.code, caught.value.status) == ("body-invalid", 422)


def test_a_refusal_never_quotes_what_was_sent():
    with pytest.raises(RequestInvalid) as caught:
        body.read_shape({"database": "county", "subject": {"person_id": "330102200506010017\x00"}}, 50, 200)
    assert "330102" not in str(caught.value)


def test_an_unknown_member_has_a_code_of_its_own():
    with pytest.raises(RequestInvalid, match="unknown member") as caught:
        body.read_shape(GOOD | {"person_id": "330102200506010017"}, 50, 200)
    assert (caught.value.code, caught.value.status) == ("field-unknown", 422)
