from __future__ import annotations

import json

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from pydantic import ValidationError

from sidecar.errors import RequestInvalid
from sidecar.gateway import body
from sidecar.web import models

texts = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
    st.sampled_from(
        ["", " ", "a", "\n", "\x7f", "\x85", "in", "eq", "prefix", "asc", "open", "2005-02-29", "2005-06-01"]
    ),
    st.sampled_from([10, 11, 64, 65, 100, 101, 200, 201, 2000, 2001, 8192, 8193, 16384, 16385]).map(lambda n: "名" * n),
)
scalars = st.one_of(
    texts, st.none(), st.booleans(), st.sampled_from([0, 1, 1000, 1001, 2**53 - 1, 2**53, -(2**53), 1.0])
)
anything = st.recursive(
    scalars,
    lambda t: st.lists(t, max_size=2) | st.dictionaries(st.sampled_from(["field", "value", "x"]), t, max_size=2),
    max_leaves=4,
)


def near(good):
    """Mostly what is right, sometimes anything."""
    return st.integers(0, 9).flatmap(lambda n: anything if n == 0 else good)


def members(required, optional):
    return st.fixed_dictionaries(
        {k: near(v) for k, v in required.items()},
        optional={k: near(v) for k, v in optional.items()} | {"extra": scalars},
    ) | st.fixed_dictionaries(
        {k: near(v) for k, v in required.items()}, optional={k: near(v) for k, v in optional.items()}
    )


conditions = members(
    {
        "field": texts,
        "operator": st.sampled_from(sorted(body.OPERATORS)),
        "value": scalars | st.lists(scalars, max_size=51),
    },
    {},
)
orders = members({"field": texts}, {"order": st.sampled_from(["asc", "desc"])})
subjects = (
    members({"person_id": texts}, {}) | members({"name": texts, "birth_date": texts}, {}) | members({}, {"name": texts})
)
papers = {
    "scope": st.sampled_from(["open", "sealed"]),
    "reason": texts,
    "basis": members({}, {"instrument": texts, "article": texts}),
    "purpose": texts,
    "case_number": texts,
    "letter": texts,
    "application_id": texts,
    "page_size": st.sampled_from([1, 50, 1000]),
    "cursor": texts,
    "sort": st.lists(orders, max_size=5),
}
bodies = st.one_of(
    members({"database": texts, "subject": subjects}, papers),
    members({"database": texts, "filter": st.lists(conditions, max_size=9)}, papers),
    members({"database": texts}, papers | {"subject": subjects, "filter": st.lists(conditions, max_size=2)}),
)


def accepted_by_hand(value) -> bool:
    try:
        body.read_shape(value, 50, body.MAX_PAGE_SIZE)
    except RequestInvalid:
        return False
    return True


def accepted_by_model(value) -> bool:
    try:
        models.INQUIRY.validate_json(json.dumps(value))
    except ValidationError:
        return False
    return True


@settings(max_examples=600)
@given(bodies)
def test_the_hand_and_the_model_accept_the_same_bodies(value):
    assert accepted_by_hand(value) == accepted_by_model(value)


GOOD = {"database": "county", "subject": {"person_id": "1"}}


@pytest.mark.parametrize("name", sorted(papers))
@given(data=st.data())
@settings(max_examples=60)
def test_the_hand_and_the_model_accept_the_same_value_of_each_member(name, data):
    value = GOOD | {name: data.draw(papers[name] | anything)}
    assert accepted_by_hand(value) == accepted_by_model(value)


@settings(max_examples=300)
@given(conditions)
def test_the_hand_and_the_model_accept_the_same_conditions(condition):
    value = {"database": "county", "filter": [condition]}
    assert accepted_by_hand(value) == accepted_by_model(value)


def test_both_accept_something():
    assert accepted_by_hand(GOOD)
    assert accepted_by_model(GOOD)


def test_the_model_reads_what_the_hand_reads():
    value = GOOD | {"reason": "办案", "basis": {"article": "286"}, "sort": [{"field": "a", "order": "desc"}]}
    hand, model = body.read_shape(value, 50, 200), models.INQUIRY.validate_json(json.dumps(value))
    assert (hand.reason, hand.article, hand.instrument) == (model.reason, model.basis.article, model.basis.instrument)
    assert hand.sort == tuple((key.field, key.order == "desc") for key in model.sort)
    assert hand.page_size == model.page_size
