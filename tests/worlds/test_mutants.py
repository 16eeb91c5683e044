"""Tests of the tests: each fault of ``mutants`` is noticed by comparing one pair of worlds."""

from __future__ import annotations

import pytest

from sidecar.gateway import metrics
from tests.worlds.calls import Again, Ask, Call, More, by_name, by_number, search
from tests.worlds.county import ADULT, NOBODY, OLD, REGISTERED, YOUNG, base, pair_of
from tests.worlds.mutants import MUTANTS, Peek
from tests.worlds.sides import Pairing

_JOINT = {"GTFZ": "1", "ZM": "诈骗罪"}
_COMMON = [
    *(base(ADULT, JARQ=f"202503{day:02d}", XQ_SM=str(day)) for day in range(1, 5)),
    *(base(OLD, **_JOINT, JARQ=f"202504{day:02d}") for day in range(1, 3)),
    base(YOUNG),
]
_SEALED = [
    base(ADULT, FCBJ="1", JARQ="20260101"),
    base(YOUNG, FARQ="20220315", XQ_YUE="24"),
    base(NOBODY, FCBJ="1"),
    base(ADULT, FCBJ="1", XQ_SM=None, ZM="抢劫罪"),
    base(ADULT, AJBH=REGISTERED[0]),
]
_FACTS = ({"BZ": b"\xff\xff\xff", "JTZZ": "甲", "FMBJ": "1"}, {"BZ": "文".encode("gb18030"), "JTZZ": "乙", "FMBJ": "2"})
PAIR = pair_of(_COMMON, (_SEALED, []), _FACTS)

_ALL = search(("case", "prefix", "AJ"))
_BY_ADDRESS = {"sort": [{"field": "address"}]}
CALLS: tuple[Call, ...] = (
    *(Ask("police", {**target, "page_size": 2}) for who in (ADULT, YOUNG, NOBODY) for target in (by_number(who), by_name(who))),
    Ask("police", {**_ALL, "page_size": 2, "sort": [{"field": "concluded", "order": "desc"}]}),
    More(-1), More(-1), More(-1),
    Ask("court", {**_ALL, "page_size": 7}),
    Ask("court", search(("ZM", "prefix", "诈"))),
    Ask("police", search(("address", "eq", "甲"))),
    Ask("police", {**_ALL, **_BY_ADDRESS}),
    Ask("school", by_number(NOBODY)),
    Again(-1),
    Ask("notary", by_number(YOUNG), door="flask"),
)  # fmt: skip
"""What the attacker tries: each person, a walk through all pages, what is hidden, a letter twice."""


def test_the_directed_worlds_are_alike(sqlite_pairing: Pairing) -> None:
    difference, seen = sqlite_pairing.compare(PAIR, CALLS)
    assert difference == ""
    assert [answer[9:12] for answer in seen.answers].count(b"200") >= 14


def test_there_are_many_mutants() -> None:
    assert len(MUTANTS) >= 25


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_is_caught(sqlite_pairing: Pairing, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    collectors = dict(metrics.REGISTRY._collector_to_names)
    with monkeypatch.context() as patch:
        MUTANTS[name](patch, Peek())
        difference, _ = sqlite_pairing.compare(PAIR, CALLS)
    for collector in set(metrics.REGISTRY._collector_to_names) - set(collectors):
        metrics.REGISTRY.unregister(collector)
    assert difference, f"nobody noticed {name}"
