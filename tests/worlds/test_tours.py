"""Every operation that there is takes part in the comparison of worlds: a later one cannot forget to."""

from __future__ import annotations

import re
from collections import defaultdict

import pytest

from sidecar.web.openapi import OPERATIONS, Operation
from tests.worlds.calls import TOURS, Call, Legacy, Next, operation
from tests.worlds.county import ADULT, NOBODY, YOUNG, base, pair_of
from tests.worlds.sides import Pairing

_SEALED = [*(base(who, FCBJ="1", ZM="盗窃罪") for who in (ADULT, NOBODY, YOUNG) for _ in range(3))]
PAIR = pair_of(
    [base(ADULT, ZM="盗窃罪", JARQ=f"202503{day:02d}") for day in range(1, 7)] + [base(YOUNG)], (_SEALED, [])
)
ROUTES = ("persons", "crimes", "feed", "query", "soap")
"""Of the archive's catalog."""


def of_this(each: Operation, call: Call) -> bool:
    """Whether a call is this operation's, and no other's of the same form."""
    told = operation(call)
    form = re.sub(r"\\\{\w+\\\}", ".+", re.escape(each.path))
    exact = {other.path for other in OPERATIONS if "{" not in other.path}
    return (
        told is not None
        and told[0] == each.method
        and re.fullmatch(form, told[1]) is not None
        and (told[1] == each.path or told[1] not in exact)
        and ("/tile/entries/" in each.path) == ("/tile/entries/" in told[1])
        and ("{label}" in each.path) == told[1].startswith("/log/2026/")
    )


@pytest.fixture(scope="module")
def toured(sqlite_pairing: Pairing) -> list[tuple[Call, bytes]]:
    """Every call of all tours, with its answer; the two worlds' are the same."""
    found = []
    for tour in TOURS:
        difference, seen = sqlite_pairing.compare(PAIR, tour)
        assert difference == "", (tour, difference)
        found += zip(tour, seen.answers, strict=True)
    return found


@pytest.mark.parametrize("each", OPERATIONS, ids=lambda each: f"{each.method} {each.path}")
def test_every_operation_is_compared_and_answers_what_it_is_for(
    toured: list[tuple[Call, bytes]], each: Operation
) -> None:
    done = min(each.statuses)
    assert any(of_this(each, call) and answer[9:12] == b"%d" % done for call, answer in toured)


@pytest.mark.parametrize("route", ROUTES)
def test_every_route_of_the_proxy_is_compared_and_answered(toured: list[tuple[Call, bytes]], route: str) -> None:
    statuses = defaultdict(int)
    for call, answer in toured:
        if isinstance(call, Legacy) and re.split(r"[/?]", call.path)[1] == route:
            statuses[answer[9:12]] += 1
    assert statuses[b"200"] > 2, statuses


def test_further_pages_of_the_proxy_are_compared(toured: list[tuple[Call, bytes]]) -> None:
    assert sum(isinstance(call, Next) and answer.startswith(b"HTTP/1.1 200") for call, answer in toured) > 2
