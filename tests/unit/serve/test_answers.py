"""Answers wait in a heap, not on a thread: what is due leaves in order, and a broken one keeps back no other."""

from __future__ import annotations

import threading

from sidecar.serve.answers import Releases, answering
from sidecar.web.answer_time import HELD

SECONDS = 30.0


class SetClock:
    """A monotonic clock that is set."""

    def __init__(self):
        self.seconds = 0.0

    def monotonic(self):
        return self.seconds


class Handle:
    """Keeps what would be sent."""

    def __init__(self):
        self.sent, self.done = [], threading.Event()

    def response_bytes(self, status, headers, body):
        self.sent.append((status, headers, body))
        self.done.set()


def application(step, work=None):
    def answer(environ, start_response):
        if work is not None:
            work()
        environ[HELD] = step
        start_response("200 OK", [("A", "b")])
        return (b"x", b"y")

    return answer


def test_an_answer_without_a_step_leaves_at_once_and_on_its_own_thread():
    clock, handle = SetClock(), Handle()
    assert answering(application(0.0), {}, clock=clock)(handle, {"PATH_INFO": "/"}) == 200
    assert handle.sent == [(200, [("A", "b")], b"xy")]


def test_one_thread_makes_any_number_of_answers_before_the_first_one_leaves():
    clock, handles = SetClock(), [Handle() for _ in range(64)]
    releases = Releases(clock)
    answer = answering(application(0.5), {}, clock=clock, releases=releases)
    for handle in handles:
        answer(handle, {"PATH_INFO": "/"})
    assert releases.waiting == 64
    assert not any(handle.sent for handle in handles)
    clock.seconds = 0.5
    releases.look()
    assert all(handle.done.wait(SECONDS) for handle in handles)
    assert releases.waiting == 0


def test_an_answer_that_took_longer_leaves_at_the_next_multiple():
    clock, slow, quick, later = SetClock(), Handle(), Handle(), Handle()
    releases = Releases(clock)

    def work():
        clock.seconds = 0.75

    answering(application(0.5, work), {}, clock=clock, releases=releases)(slow, {})  # arrived at 0, due at 1.0
    answering(application(0.5), {}, clock=clock, releases=releases)(later, {})  # arrived at 0.75, due at 1.25
    answering(application(0.125), {}, clock=clock, releases=releases)(quick, {})  # due at 0.875
    clock.seconds = 0.9
    releases.look()
    assert quick.done.wait(SECONDS)
    assert (slow.sent, later.sent) == ([], [])
    clock.seconds = 1.0
    releases.look()
    assert slow.done.wait(SECONDS)
    assert later.sent == []


def test_those_of_one_instant_leave_in_the_order_they_came():
    clock, order, last = SetClock(), [], threading.Event()
    releases = Releases(clock)
    for number in range(50):
        releases.at(1.0, lambda number=number: order.append(number))
    releases.at(1.0, last.set)
    clock.seconds = 1.0
    releases.look()
    assert last.wait(SECONDS)
    assert order == list(range(50))


def test_an_answer_that_cannot_be_sent_keeps_back_no_other(caplog):
    clock, handle = SetClock(), Handle()
    releases = Releases(clock)

    def broken():
        raise BaseException("what Rust raises")  # noqa: TRY002  # pyo3's PanicException is one

    releases.at(0.0, broken)
    releases.at(0.0, lambda: handle.response_bytes(200, [], b""))
    assert handle.done.wait(SECONDS)


def test_the_bodys_generator_is_closed():
    closed, handle = [], Handle()

    def answer(environ, start_response):
        def parts():
            try:
                yield b"x"
            finally:
                closed.append(True)

        start_response("404 Not Found", [])
        return parts()

    answering(answer, {}, clock=SetClock())(handle, {})
    assert (handle.sent, closed) == ([(404, [], b"x")], [True])


def test_the_processs_own_variables_are_not_in_the_environment(monkeypatch):
    monkeypatch.setenv("SECRET_OF_THE_PROCESS", "x")
    seen = {}

    def answer(environ, start_response):
        seen.update(environ)
        start_response("200 OK", [])
        return ()

    answering(answer, {}, clock=SetClock())(Handle(), {"PATH_INFO": "/"})
    assert "SECRET_OF_THE_PROCESS" not in seen
    assert seen["wsgi.input_terminated"] is True
