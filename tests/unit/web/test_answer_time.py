"""Every answer of the inquiry endpoints leaves at its step, errors too; whatever else there is does not wait."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from werkzeug.test import Client

from sidecar.demo import legacy
from sidecar.demo.people import COURT
from sidecar.errors import DatabaseClosed, LedgerUnavailable, RevisionUnapproved
from sidecar.records.catalog import SqlSource
from sidecar.records.routes import HttpSource
from sidecar.web.answer_time import HELD, AnswerTime
from sidecar.web.app import create_app
from sidecar.web.http import STEP
from tests.support.world import NOW, FixedClock

CASE = {
    "database": "county",
    "subject": {"person_id": legacy.OPEN.SFZH},
    "reason": "审理案件",
    "basis": {"instrument": "刑事诉讼法", "article": "第二百八十六条"},
    "purpose": "case_handling",
    "case_number": "（2026）浙0101刑初1号",
}


@pytest.fixture(params=["thin", "flask"])
def ask(world, request):
    """Makes a request through one of the doors; gives its status and what the thread would have slept."""
    server = world.settings.server.model_copy(update={"thin_lane": request.param == "thin"})
    settings, slept = world.settings.model_copy(update={"server": server}), []
    client = Client(create_app(settings, world.services, sleep=slept.append))
    world.reset()

    def made(method="POST", path="/v1/inquiries", body=CASE, **headers):
        del slept[:]
        sent = {"Content-Type": "application/json", "Authorization": f"Bearer {world.token('j1', COURT)}", **headers}
        answer = client.open(path, method=method, data=json.dumps(body), headers=sent)
        return answer.status_code, [round(seconds, 9) for seconds in slept]  # a clock of many hours is less fine

    return made


def with_database(world, monkeypatch, **changes):
    runtime = world.gateway.runtime
    changed = replace(runtime.databases["county"], **changes)
    monkeypatch.setattr(world.gateway, "runtime", replace(runtime, databases={**runtime.databases, "county": changed}))


def test_the_step_is_on_by_default():
    assert SqlSource(kind="sql", dsn_file="x").answer_step_ms == 5
    assert HttpSource(kind="http", base_url="http://x").answer_step_ms == 50


def test_an_answer_over_sql_leaves_after_5_ms(ask):
    assert ask() == (200, [0.005])


@pytest.mark.parametrize(
    ("status", "asked"),
    [
        (401, ("POST", "/v1/inquiries", CASE, {"Authorization": ""})),
        (401, ("POST", "/v1/inquiries", CASE, {"Authorization": "Bearer x.y.z"})),
        (403, ("POST", "/v1/inquiries", CASE | {"case_number": ""}, {})),
        (403, ("POST", "/v1/inquiries", CASE | {"database": "nowhere"}, {})),
        (415, ("POST", "/v1/inquiries", CASE, {"Content-Type": "text/plain"})),
        (422, ("POST", "/v1/inquiries", CASE | {"unknown": 1}, {})),
        (405, ("GET", "/v1/inquiries", CASE, {})),
        (404, ("POST", "/v1/inquiries/", CASE, {})),
        (401, ("POST", "/v1/sessions", CASE, {"Authorization": ""})),
        (422, ("POST", "/v1/sessions", CASE | {"page_size": 1}, {})),
        (404, ("GET", "/proxy/county/cases", CASE, {})),
        (401, ("GET", "/proxy/county/cases", CASE, {"Authorization": "Basic eDp5"})),
    ],
)
def test_an_error_leaves_after_the_same_time(ask, status, asked):
    method, path, body, headers = asked
    assert ask(method, path, body, **headers) == (status, [0.005])


def test_a_closed_database_is_said_after_the_same_time(ask, world, monkeypatch):
    with_database(world, monkeypatch, fault=DatabaseClosed("its canary"))
    assert ask() == (503, [0.005])


def test_what_cannot_be_recorded_is_said_after_the_same_time(ask, world, monkeypatch):
    def commit(*_, **__):
        raise LedgerUnavailable("no ledger")

    monkeypatch.setattr(world.gateway.ports.ledger, "commit", commit)
    assert ask() == (503, [0.005])


def test_without_a_revision_answers_leave_at_the_longest_default(ask, world, monkeypatch):
    monkeypatch.setattr(world.gateway, "runtime", RevisionUnapproved("none"))
    assert ask() == (503, [0.05])


def test_a_step_of_0_is_off(ask, world, monkeypatch):
    with_database(world, monkeypatch, step=0.0)
    assert ask() == (200, [])


def test_an_answer_for_no_database_takes_the_longest_step(ask, world, monkeypatch):
    runtime = world.gateway.runtime
    county = runtime.databases["county"]
    both = {"county": county, "archive": replace(county, step=0.05)}
    monkeypatch.setattr(world.gateway, "runtime", replace(runtime, databases=both))
    assert ask() == (200, [0.005])
    assert ask(body=CASE | {"case_number": ""}) == (403, [0.005])
    assert ask(Authorization="") == (401, [0.05])
    assert ask("GET", "/proxy/nowhere/x") == (404, [0.05])


@pytest.mark.parametrize("path", ["/healthz", "/v1/keys", "/v1/databases", "/nothing"])
def test_other_paths_do_not_wait(ask, path):
    assert ask("GET", path)[1] == []


# --- the layer by itself ---------------------------------------------------------------------------------------------


class Slow:
    """Takes so many seconds of a clock that stands still otherwise."""

    def __init__(self, clock, seconds):
        self._clock, self._seconds = clock, seconds

    def __call__(self, environ, start_response):
        self._clock.passed += self._seconds
        environ[STEP] = 0.25
        return [b"x"]


class Passing(FixedClock):
    """A clock whose monotonic seconds are set."""

    passed = 0.0

    def monotonic(self):
        return self.passed


@pytest.mark.parametrize(("work", "slept"), [(0.0, 0.25), (0.125, 0.125), (0.25, 0.0), (0.375, 0.125), (1.0, 0.0)])
def test_the_wait_fills_the_step_that_the_work_began(work, slept):
    clock, waits = Passing(NOW), []
    layer = AnswerTime(Slow(clock, work), clock, lambda: 9.0, waits.append)
    assert b"".join(layer({"PATH_INFO": "/proxy/x"}, None)) == b"x"
    assert waits == [slept]


def test_a_server_that_keeps_answers_back_is_told_the_step_and_no_thread_sleeps():
    clock, waits, environ = Passing(NOW), [], {"PATH_INFO": "/v1/inquiries", HELD: 0.0}
    AnswerTime(Slow(clock, 0.0), clock, lambda: 9.0, waits.append)(environ, None)
    assert (environ[HELD], waits) == (0.25, [])


def test_what_no_door_answered_takes_the_longest_step():
    clock, waits = Passing(NOW), []
    AnswerTime(lambda *_: [b"x"], clock, lambda: 9.0, waits.append)({"PATH_INFO": "/proxy/"}, None)
    assert waits == [9.0]
