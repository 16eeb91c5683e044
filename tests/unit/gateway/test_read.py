from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import hypothesis.strategies as st
import orjson
import pytest
from hypothesis import given

from sidecar.errors import RequestInvalid
from sidecar.gateway.read import Limits, case_number_state, read_inquiry, request_digest
from sidecar.gateway.types import Request
from sidecar.records.types import Condition, Search, SortKey, Subject

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
LIMITS = Limits(body_bytes=65536, page_size=50, max_page_size=200)
BODY = {"database": "county", "subject": {"person_id": "339901200506019013"}}


def read(body, **headers):
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    sent = {"content-type": "application/json", **{k.replace("_", "-"): v for k, v in headers.items()}}
    return read_inquiry(Request("api", "POST", "/v1/inquiries", sent, raw, ""), "id", NOW, LIMITS)


def refused(body, **headers):
    with pytest.raises(RequestInvalid) as caught:
        read(body, **headers)
    return caught.value.code, caught.value.status


def test_identifiers_are_normalised_and_papers_stay_as_stated():
    body = {
        "database": "county",
        "subject": {"person_id": " 33990120050601901３ "},
        "basis": {"instrument": " 刑诉法 ", "article": " 286 "},
        "purpose": " case_handling ",
        "reason": " 办案\n ",
        "case_number": "(2026)浙0101刑初1号",
        "letter": " x.y.z ",
        "application_id": " a ",
    }
    inquiry = read(body)
    assert inquiry.target == Subject(person_id="339901200506019013")
    assert inquiry.case_number == "（2026）浙0101刑初1号"
    assert (inquiry.basis, inquiry.purpose, inquiry.reason) == (("刑诉法", "286"), "case_handling", "办案")
    assert (inquiry.letter, inquiry.application) == ("x.y.z", "a")
    assert (inquiry.scope, inquiry.page_size, inquiry.id, inquiry.received) == ("open", 50, "id", NOW)


def test_a_person_may_be_named_with_a_birth_date():
    inquiry = read({"database": "county", "subject": {"name": " 何大伟 ", "birth_date": "1985-07-11"}})
    assert inquiry.target == Subject(name="何大伟", birth_date="1985-07-11")


def test_a_search_keeps_its_conditions_and_order():
    body = {
        "database": "county",
        "filter": [{"field": "ZM", "operator": "in", "value": ["盗窃罪", "抢劫罪"]}],
        "sort": [{"field": "AJBH", "order": "desc"}],
    }
    inquiry = read(body)
    assert inquiry.target == Search((Condition("ZM", "in", ("盗窃罪", "抢劫罪")),))
    assert inquiry.sort == (SortKey("AJBH", descending=True),)


@pytest.mark.parametrize(
    ("subject", "code"),
    [
        ({"person_id": "330102200506010018"}, "identifier-invalid"),
        ({"person_id": "330102209906010011"}, "identifier-invalid"),
        ({"name": " ", "birth_date": "1985-07-11"}, "identifier-invalid"),
        ({"name": "何\u200b大伟", "birth_date": "1985-07-11"}, "identifier-invalid"),
        ({"name": "何大伟", "birth_date": "1985-02-30"}, "body-invalid"),
        ({"name": "何大伟", "birth_date": "2985-02-28"}, "identifier-invalid"),
    ],
)
def test_a_subject_that_is_none_is_refused(subject, code):
    assert refused({"database": "county", "subject": subject}) == (code, 422)


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("", "missing"),
        ("  ", "missing"),
        ("（2026）浙0101刑初1号", "court_form"),
        ("(2026)浙0101刑初1号", "court_form"),
        ("（2026）浙0101刑初1号之二", "court_form"),
        ("某公刑立字2026第1号", "free_form"),
        ("甲\u200b乙", "malformed"),
        ("九" * 65, "malformed"),
    ],
)
def test_the_form_of_a_case_number_is_told(text, state):
    assert case_number_state(text) == state


def test_a_malformed_case_number_is_left_for_the_policy_to_refuse():
    assert case_number_state(read(BODY | {"case_number": "甲\u200b乙"}).case_number) == "malformed"


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8", "APPLICATION/JSON"])
def test_json_by_any_of_its_spellings_is_read(content_type):
    assert read(BODY, content_type=content_type).database == "county"


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/json; charset=gbk", "application/jsonx"])
def test_another_content_type_is_415(content_type):
    assert refused(BODY, content_type=content_type) == ("body-invalid", 415)


def test_a_body_one_byte_over_the_limit_is_413():
    assert refused(b" " * 65537) == ("body-too-large", 413)


def test_a_body_in_a_content_coding_is_415():
    assert refused(BODY, content_encoding="gzip") == ("body-invalid", 415)
    assert read(BODY, content_encoding="identity") == read(BODY)


@pytest.mark.parametrize("key", ["k" * 129, "a b", "钥", "a\tb", "one,two"])
def test_an_idempotency_key_is_short_visible_ascii(key):
    assert refused(BODY, idempotency_key=key) == ("body-invalid", 422)
    assert read(BODY, idempotency_key="k" * 128).idempotency_key == "k" * 128


CHANGES = {
    "channel": "desk",
    "database": "other",
    "target": Subject(person_id="x"),
    "scope": "sealed",
    "reason": "r",
    "basis": ("i", "a"),
    "purpose": "p",
    "case_number": "c",
    "letter": "l",
    "application": "a",
    "page_size": 51,
    "sort": (SortKey("f"),),
}


@pytest.mark.parametrize("name", CHANGES)
def test_every_statement_is_in_the_digest(name):
    inquiry = read(BODY)
    assert request_digest(replace(inquiry, **{name: CHANGES[name]})) != request_digest(inquiry)


def test_cursor_key_id_and_time_are_not_in_the_digest():
    inquiry = read(BODY)
    other = replace(inquiry, cursor="c", idempotency_key="k", id="other", received=datetime(2027, 1, 1, tzinfo=UTC))
    assert request_digest(other) == request_digest(inquiry)


@given(st.binary(max_size=200))
def test_noise_is_refused_as_unreadable_or_misshapen(raw):
    assert refused(raw) in {("body-invalid", 400), ("body-invalid", 422), ("field-unknown", 422)}
