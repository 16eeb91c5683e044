from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime

import hypothesis.strategies as st
import pytest
from hypothesis import given

from sidecar.codes import FieldClass, Outcome, View
from sidecar.errors import EngineUnavailable, RequestInvalid, TokenRejected
from sidecar.gateway import steps
from sidecar.gateway.types import Inquiry
from sidecar.ledger.entry import encode
from sidecar.policy.artefacts import baseline
from sidecar.policy.types import NO_VIEWS, Classification, Decision, Views
from sidecar.records.types import Condition, Search, SortKey, Subject

PARAMS = baseline().params()
INQUIRY = Inquiry(
    id="i",
    received=datetime(2026, 11, 23, 8, 0, tzinfo=UTC),
    channel="api",
    database="county",
    target=Subject(person_id="330102200506010017"),
    scope="open",
    reason="",
    basis=("", ""),
    purpose="",
    case_number="",
    letter="",
    application="",
    page_size=50,
    cursor="",
    sort=(),
    idempotency_key="",
)


def views(open_=None, sealed=None, dropped=(), **shown):
    return Views(
        open=open_ or {},
        sealed=sealed or {},
        fields={View(name): frozenset(classes) for name, classes in shown.items()},
        joint_dropped=frozenset(dropped),
        cover_mark=False,
    )


C = FieldClass
WIDE = views(
    {"judgment": View.FULL},
    {"judgment": View.LIMITED, "violation": View.OMITTED},
    [C.NARRATIVE],
    full=[C.CRIME, C.TERM, C.NARRATIVE, C.ADDRESS],
    limited=[C.CRIME, C.TERM],
    omitted=[],
)


@pytest.mark.parametrize("value", ["", "Bearer", "Bearer  ", "Basic x", "bearerx y"])
def test_what_is_no_bearer_token_is_missing(value):
    with pytest.raises(TokenRejected) as caught:
        steps.bearer({"authorization": value})
    assert (caught.value.code, caught.value.status) == ("token-missing", 401)


def test_the_scheme_is_read_in_any_case():
    assert steps.bearer({"authorization": "bEARER  a.b.c "}) == "a.b.c"


def test_only_what_every_granted_view_shows_may_be_asked_for():
    assert steps.shown_to_all(WIDE) == {C.CRIME, C.TERM}


def test_what_is_dropped_from_joint_cases_may_not_be_asked_for():
    alone = views({"judgment": View.FULL}, dropped=[C.NARRATIVE], full=[C.CRIME, C.NARRATIVE])
    assert steps.shown_to_all(alone) == {C.CRIME}


def test_where_nothing_is_shown_nothing_may_be_asked_for():
    assert steps.shown_to_all(NO_VIEWS) == frozenset()
    assert steps.shown_to_all(views({"judgment": View.LIMITED})) == frozenset()


def asking(*names, sort=()):
    conditions = tuple(Condition(name, "eq", "x") for name in names)
    target = Search(conditions) if names else Subject(person_id="x")
    return replace(INQUIRY, target=target, sort=tuple(map(SortKey, sort)))


FILTERABLE = {"ZM": C.CRIME, "JTZZ": C.ADDRESS}
SORTABLE = {"XQ": C.TERM, "BZ": C.NARRATIVE}


@pytest.mark.parametrize("inquiry", [asking(), asking("ZM"), asking("ZM", sort=["XQ"]), asking(sort=["XQ"])])
def test_declared_fields_that_all_views_show_pass(inquiry):
    steps.check_fields(inquiry, WIDE, FILTERABLE, SORTABLE)


@pytest.mark.parametrize(
    "inquiry",
    [asking("JTZZ"), asking("ZM", "JTZZ"), asking("XQ"), asking("nothing"), asking(sort=["BZ"]), asking(sort=["ZM"])],
)
def test_any_other_field_is_refused(inquiry):
    with pytest.raises(RequestInvalid) as caught:
        steps.check_fields(inquiry, WIDE, FILTERABLE, SORTABLE)
    assert (caught.value.code, caught.value.status) == ("field-not-allowed", 422)


@pytest.mark.parametrize(
    ("basis", "purpose", "expected"),
    [
        (("刑事诉讼法", "第二百八十六条"), "case_handling", ("CPL/286", "listed", "case_handling", "known")),
        (("《刑诉法》", "286"), "curiosity", ("CPL/286", "listed", "", "unknown")),
        (("本公司章程", "1"), "", ("", "unlisted", "", "missing")),
        (("刑事诉讼法", ""), "case_handling", ("", "missing", "case_handling", "known")),
        (("", ""), "case_handling", ("", "missing", "case_handling", "known")),
    ],
)
def test_basis_and_purpose_are_told_in_the_revisions_terms(basis, purpose, expected):
    said = steps.stated(replace(INQUIRY, basis=basis, purpose=purpose), PARAMS)
    assert (said.basis, said.basis_state, said.purpose, said.purpose_state) == expected


def test_another_number_of_classifications_than_rows_is_not_trusted():
    steps.check_classified(1, [Classification(is_open=True, record_class="judgment", grounds=(), review=False)])
    with pytest.raises(EngineUnavailable, match="expected 2 classifications, got 0"):
        steps.check_classified(2, [])


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@given(st.sampled_from([*Outcome, steps.ERROR]), st.lists(st.sampled_from(["a-b", "c-d"]), max_size=2), words)
def test_every_entry_of_an_inquiry_is_of_one_size(outcome, codes, subject):
    known = steps.Known("i" * 36, "2026-11-23T08:00:00.000Z", "api", "https://idp|p1", "u" * 18, "1@x", subject=subject)
    _, leaf = encode(steps.entry(known, outcome, codes, "a" * 43, "s" * 22))
    assert len(leaf.data) == 2048


def test_the_entry_says_what_is_known_and_sorts_the_codes():
    known = steps.Known(**{f.name: f.name for f in fields(steps.Known) if f.name != "page"}, page=3)
    entry = steps.entry(known, "refuse", ("b", "a"), "answer", "salt")
    for name in (f.name for f in fields(steps.Known) if f.name != "read_as"):
        assert getattr(entry, name) == getattr(known, name)
    assert entry.extra == {"read": "read_as"}
    assert (entry.kind, entry.outcome, entry.codes, entry.answer, entry.salt) == (
        "inquiry",
        "refuse",
        ("a", "b"),
        "answer",
        "salt",
    )


@pytest.mark.parametrize(("outcome", "status"), [(Outcome.REFUSE, 403), (Outcome.HOLD, 409), (Outcome.REVIEW, 202)])
def test_a_refusal_is_a_function_of_the_decision(outcome, status):
    decision = Decision(outcome, ("x-y", "z"), ("letter",), (), ("Q5",), NO_VIEWS, "1@x", "wasm")
    document = steps.refusal("id", decision)
    assert document == {
        "type": "/docs/reason-codes#x-y",
        "title": "X y",
        "status": status,
        "code": "x-y",
        "reasons": [{"code": "x-y", "title": "X y"}, {"code": "z", "title": "Z"}],
        "missing": ["letter"],
        "rules": ["Q5"],
        "inquiry_id": "id",
    }


def test_an_answer_has_the_same_members_whatever_was_found():
    decision = Decision(Outcome.ALLOW, (), (), ("keep-to-purpose",), (), WIDE, "1@x", "wasm")
    none, some = steps.answer("id", decision, [], 0, None), steps.answer("id", decision, [{"a": 1}], 1, "c")
    assert none.keys() == some.keys() == {"inquiry_id", "records", "count", "next_cursor", "obligations"}
