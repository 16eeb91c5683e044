from __future__ import annotations

import io

import pytest

from sidecar.gateway.types import Response
from sidecar.web.http import STEP, head_fault, read_request, send


def environ(body=b"", **more):
    return {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/v1/inquiries",
        "QUERY_STRING": "a=1",
        "REMOTE_ADDR": "192.0.2.7",
        "wsgi.input": io.BytesIO(body),
        **more,
    }


def test_a_request_is_read_as_it_came():
    request = read_request(
        environ(b"{}", CONTENT_LENGTH="2", CONTENT_TYPE="application/json", HTTP_IDEMPOTENCY_KEY="k"), "api", 10
    ).whole()
    assert request.headers == {"content-type": "application/json", "idempotency-key": "k"}
    assert (request.method, request.path, request.query, request.body) == ("POST", "/v1/inquiries", "a=1", b"{}")
    assert (request.channel, request.source) == ("api", "192.0.2.7")


@pytest.mark.parametrize("announced", [{"CONTENT_LENGTH": "5000"}, {"HTTP_TRANSFER_ENCODING": "chunked"}])
def test_of_a_large_body_one_byte_over_the_limit_is_read(announced):
    request = read_request(environ(b"x" * 5000, **announced), "api", 100).whole()
    assert len(request.body) == 101


def test_nothing_of_a_body_is_read_before_it_is_asked_for():
    sent = environ(b"{}", CONTENT_LENGTH="2")
    head = read_request(sent, "api", 100)
    assert (head.body, sent["wsgi.input"].tell()) == (b"", 0)
    assert head.whole().whole().body == b"{}"


def test_an_announced_length_is_not_read_beyond():
    assert read_request(environ(b"{}{}", CONTENT_LENGTH="2"), "api", 100).whole().body == b"{}"


@pytest.mark.parametrize("announced", ["", "-1", "x", "٣"])
def test_without_a_length_nothing_is_read(announced):
    assert read_request(environ(b"{}", CONTENT_LENGTH=announced), "api", 100).whole().body == b""


@pytest.mark.parametrize(
    "changed",
    [
        {"REQUEST_METHOD": "post"},
        {"PATH_INFO": "//v1/inquiries"},
        {"HTTP_HOST": ""},
        {"HTTP_HOST": "a,b"},
        {"HTTP_HOST": "a b"},
        {"HTTP_HOST": "a@b"},
        {"HTTP_HOST": "a/b"},
        {"HTTP_HOST": "a:999999"},
        {"HTTP_TRANSFER_ENCODING": "gzip, chunked"},
        {"HTTP_TRANSFER_ENCODING": "chunked, chunked"},
        {"HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": "3"},
        {"HTTP_CONTENT_TYPE": "application/json"},
        {"HTTP_CONTENT_LENGTH": "3"},
    ],
)
def test_a_head_that_can_be_taken_in_two_ways_is_a_fault(changed):
    sent = environ(SERVER_PROTOCOL="HTTP/1.1", HTTP_HOST="sidecar.example:8080") | changed
    assert head_fault(sent)
    assert read_request(sent, "api", 100).fault == head_fault(sent)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8080", "[::1]", "[fe80::1]:443", "a-b.example."])
def test_an_ordinary_head_has_no_fault(host):
    assert head_fault(environ(SERVER_PROTOCOL="HTTP/1.1", HTTP_HOST=host, HTTP_TRANSFER_ENCODING="Chunked")) == ""
    assert head_fault(environ(SERVER_PROTOCOL="HTTP/1.0")) == ""


class _Drip(io.BytesIO):
    def read(self, size=-1):
        return super().read(min(size, 3))


def test_a_body_that_comes_in_pieces_is_read_whole():
    sent = environ(b"", HTTP_TRANSFER_ENCODING="chunked") | {"wsgi.input": _Drip(b"0123456789")}
    assert read_request(sent, "api", 100).whole().body == b"0123456789"


def test_a_response_is_sent_byte_for_byte():
    started, environ = [], {}
    answer = Response(409, (("A", "b"),), b"xyz", 0.05)
    body = send(answer, environ, lambda status, headers: started.append((status, headers)))
    assert (b"".join(body), started) == (b"xyz", [("409 Conflict", [("A", "b")])])
    assert environ == {STEP: 0.05}
