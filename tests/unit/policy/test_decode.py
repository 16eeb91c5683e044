from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.codes import FieldClass, Outcome, View
from sidecar.errors import EngineUnavailable
from sidecar.policy import decode
from sidecar.policy.types import NO_VIEWS

ALLOW = {
    "outcome": "allow",
    "codes": [],
    "missing": [],
    "obligations": ["keep-to-purpose"],
    "rules": ["R16a", "Q5"],
    "views": {
        "open": {"judgment": "full", "violation": "omitted"},
        "sealed": {"judgment": "limited"},
        "fields": {"full": ["crime", "term"], "limited": ["crime"]},
        "joint_dropped": ["image"],
        "cover_mark": False,
    },
}
NOTHING = {"open": {}, "sealed": {}, "fields": {}, "joint_dropped": ["image"], "cover_mark": False}
REFUSE = {
    "outcome": "refuse",
    "codes": ["letter-missing", "basis-missing"],
    "missing": ["letter"],
    "obligations": [],
    "rules": ["Q5"],
    "views": NOTHING,
}


def read(answer):
    return decode.decision(answer, revision="1@x", engine="opa")


def changed(answer, path, value):
    document = copy.deepcopy(answer)
    target = document
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    return document


def without(answer, *path):
    document = copy.deepcopy(answer)
    target = document
    for key in path[:-1]:
        target = target[key]
    del target[path[-1]]
    return document


def test_an_allow_is_read_whole_and_sorted():
    found = read(ALLOW)
    assert found.outcome is Outcome.ALLOW
    assert found.rules == ("Q5", "R16a")
    assert found.views.open["judgment"] is View.FULL
    assert found.views.fields[View.LIMITED] == {FieldClass.CRIME}
    assert (found.revision, found.engine) == ("1@x", "opa")


def test_a_refusal_has_sorted_codes_and_no_views():
    found = read(REFUSE)
    assert found.codes == ("basis-missing", "letter-missing")
    assert found.views is NO_VIEWS


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        "allow",
        True,
        {},
        changed(ALLOW, ["outcome"], "permit"),
        changed(ALLOW, ["outcome"], None),
        changed(ALLOW, ["codes"], ["letter-missing"]),
        changed(REFUSE, ["codes"], []),
        changed(REFUSE, ["codes"], ["not-a-code"]),
        changed(REFUSE, ["codes"], ["letter-missing", "letter-missing"]),
        changed(REFUSE, ["codes"], {"letter-missing": True}),
        changed(REFUSE, ["codes"], [1]),
        changed(REFUSE, ["views"], ALLOW["views"]),
        changed(REFUSE, ["views", "cover_mark"], True),
        changed(REFUSE, ["views", "fields"], {"full": ["crime"]}),
        changed(REFUSE, ["views", "sealed"], {"judgment": "full"}),
        changed(ALLOW, ["views", "open"], {"judgement": "full"}),
        changed(ALLOW, ["views", "open"], {"judgment": "everything"}),
        changed(ALLOW, ["views", "open"], [["judgment", "full"]]),
        changed(ALLOW, ["views", "fields"], {"limited": ["crime"]}),
        changed(ALLOW, ["views", "fields", "full"], ["crime", "school"]),
        changed(ALLOW, ["views", "fields", "omitted"], ["crime"]),
        changed(ALLOW, ["views", "cover_mark"], 0),
        changed(ALLOW, ["rules"], ["law"]),
        changed(ALLOW, ["obligations"], ["Keep!"]),
        changed(ALLOW, ["obligations"], [f"n{n}" for n in range(65)]),
        changed(ALLOW, ["extra"], 1),
        changed(ALLOW, ["views", "extra"], 1),
        *(without(ALLOW, key) for key in ALLOW),
        *(without(ALLOW, "views", key) for key in NOTHING),
    ],
)
def test_any_other_shape_denies(answer):
    with pytest.raises(EngineUnavailable):
        read(answer)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(sorted(ALLOW)), JSON)
def test_no_foreign_value_anywhere_gives_another_error_than_ours(key, value):
    try:
        found = read(changed(ALLOW, [key], value))
    except EngineUnavailable:
        return
    assert found.outcome is Outcome.ALLOW
    assert not found.codes


ROW = {"open": False, "class": "judgment", "grounds": ["S2", "S1"], "review": False}


def test_rows_come_in_order_with_sorted_grounds():
    first, second = decode.classifications([ROW, {**ROW, "open": True}], ("judgment", "judgment"))
    assert first.grounds == ("S1", "S2")
    assert (first.is_open, second.is_open) == (False, True)


def test_a_kind_that_the_revision_does_not_know_is_of_class_unknown():
    (found,) = decode.classifications([{**ROW, "class": "unknown"}], ("judgment",))
    assert found.record_class == "unknown"


@pytest.mark.parametrize(
    "answer",
    [
        None,
        {},
        [],
        [ROW, ROW],
        [None],
        [{**ROW, "open": 1}],
        [{**ROW, "open": "false"}],
        [{**ROW, "class": "violation"}],
        [{**ROW, "class": None}],
        [{**ROW, "review": None}],
        [{**ROW, "grounds": ["x"]}],
        [{**ROW, "view": "full"}],
        [{k: v for k, v in ROW.items() if k != "review"}],
    ],
)
def test_rows_of_any_other_number_or_shape_deny(answer):
    with pytest.raises(EngineUnavailable):
        decode.classifications(answer, ("judgment",))


ALERT = {"type": "sealed-records.attempt.letter-forged.v1", "severity": "critical", "rules": ["R18", "A1"]}


def test_alerts_come_sorted_by_type():
    other = {**ALERT, "type": "a.b.v1"}
    assert [found.type for found in decode.alerts([ALERT, other])] == ["a.b.v1", ALERT["type"]]
    assert decode.alerts([]) == []


@pytest.mark.parametrize(
    "answer",
    [
        None,
        {},
        [{}],
        [{**ALERT, "severity": "fatal"}],
        [{**ALERT, "severity": []}],
        [{**ALERT, "type": "A B"}],
        [{**ALERT, "type": None}],
        [{**ALERT, "rules": "A1"}],
        [ALERT, ALERT],
        [ALERT] * 65,
    ],
)
def test_other_alerts_deny(answer):
    with pytest.raises(EngineUnavailable):
        decode.alerts(answer)
