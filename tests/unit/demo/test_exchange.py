"""Two answers are compared as bytes; only ids, receipt and Date are put out."""

from __future__ import annotations

import pytest

from sidecar.demo.exchange import parse

BODY = b'{"count":0,"inquiry_id":"%s","receipt":"%s","records":[]}'


def _answer(
    inquiry: bytes = b"a1", receipt: bytes = b"x.y.z", date: bytes = b"Tue, 24 Nov 2026 08:00:00 GMT", **more: bytes
):
    body = more.get("body", BODY % (inquiry, receipt))
    head = b"HTTP/1.1 200 OK\r\nDate: %s\r\nContent-Length: %d\r\n\r\n" % (date, len(body))
    return parse(head + body)


def test_status_headers_and_body_are_read() -> None:
    answer = _answer()
    assert (answer.status, answer.headers["content-length"], answer.json()["count"]) == (200, "60", 0)


def test_answers_that_differ_in_their_own_parts_only_are_equal() -> None:
    one, two = _answer(), _answer(b"b2", b"p.q.r", b"Tue, 24 Nov 2026 08:00:01 GMT")
    assert one.raw != two.raw
    assert one.anonymous() == two.anonymous()


@pytest.mark.parametrize(
    "other",
    [
        _answer(receipt=b"x.y.zz"),
        _answer(body=BODY.replace(b'"count":0', b'"count":1') % (b"a1", b"x.y.z")),
        _answer(body=(BODY + b" ") % (b"a1", b"x.y.z")),
    ],
    ids=["length of the receipt", "count", "a space"],
)
def test_any_other_difference_shows(other) -> None:
    assert other.anonymous() != _answer().anonymous()


def test_a_broken_answer_is_no_answer() -> None:
    raw = _answer().raw
    with pytest.raises(ConnectionError, match="not whole"):
        parse(raw[:-1])
    with pytest.raises(ConnectionError, match="not whole"):
        parse(b"")


def test_a_body_that_is_no_object_is_an_empty_one() -> None:
    assert _answer(body=b"[1]").json() == {}
    assert _answer(body=b"no").json() == {}
