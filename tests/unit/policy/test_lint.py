from __future__ import annotations

import pytest

from sidecar.policy.lint import MAX_SAFE_INTEGER, lint, lint_data

DATA = {"params": {"kinds": {"value": ["judgment"]}, "table": {"value": {"judgment": True}}, "limit": {"value": 60}}}


def var(name):
    return {"type": "var", "value": name}


def ref(*parts, row=7):
    head, *rest = parts
    return {
        "type": "ref",
        "location": {"row": row},
        "value": [var(head), *({"type": "string", "value": part} for part in rest)],
    }


def number(value):
    return {"type": "number", "value": value}


def module(name, left, right, package="sealing"):
    return {
        "package": {
            "path": [var("data"), {"type": "string", "value": "sidecar"}, {"type": "string", "value": package}]
        },
        "imports": [{"path": ref("data", "params")}],
        "rules": [{"body": [{"terms": [ref(*name.split(".")), left, right], "location": {"row": 7}}]}],
    }


def findings(*args, **kwargs):
    return [str(found) for found in lint(module(*args, **kwargs), DATA, "x.rego")]


@pytest.mark.parametrize("operator", ["lt", "lte", "gt", "gte"])
def test_an_attribute_on_the_right_of_an_ordering_is_found(operator):
    expected = [f"x.rego:7: an attribute on the right of {operator}; write it on the left"]
    assert findings(operator, ref("params", "limit", "value"), ref("r", "sentence_months")) == expected
    assert findings(operator, number(60), ref("input", "record", "sentence_months"), package="other") == expected
    assert findings(operator, ref("r", "sentence_months"), ref("r", "sentence_months")) == expected


@pytest.mark.parametrize("operator", ["lt", "lte", "gt", "gte"])
def test_an_attribute_on_the_left_is_good(operator):
    assert findings(operator, ref("r", "sentence_months"), ref("params", "limit", "value")) == []
    assert findings(operator, ref("r", "sentence_months"), number(60)) == []


def test_an_attribute_handed_on_under_another_name_is_found_in_the_filters_package():
    assert findings("lt", number(60), var("m")) == ["x.rego:7: a constant on the left of lt; write it on the right"]
    assert findings("lt", number(60), var("m"), package="request") == []


def test_equality_may_stand_either_way():
    assert findings("equal", number(60), ref("r", "sentence_months")) == []


def test_membership_in_a_list_is_good_and_in_an_object_is_found():
    assert findings("internal.member_2", ref("r", "kind"), ref("params", "kinds", "value")) == []
    for path in (("params", "table", "value"), ("data", "params", "table", "value"), ("params", "nowhere")):
        assert "no list" in findings("internal.member_2", ref("r", "kind"), ref(*path))[0]


def test_numbers_that_lose_digits_are_found_in_rules_and_data():
    assert findings("equal", ref("r", "sentence_months"), number(MAX_SAFE_INTEGER)) == []
    assert findings("equal", ref("r", "sentence_months"), number(MAX_SAFE_INTEGER + 1)) == [
        "x.rego:7: a number beyond 2^53-1: 9007199254740992"
    ]
    assert [str(found) for found in lint_data({"a": [{"b": -(2**53)}]})] == [
        "data.a.b: a number beyond 2^53-1: -9007199254740992"
    ]
    assert lint_data(DATA) == []
