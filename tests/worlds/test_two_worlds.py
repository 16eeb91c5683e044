"""P3 and Q13 as a theorem with a test: two worlds that differ in what is sealed show the same bytes, all of them."""

from __future__ import annotations

import json
import os

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.worlds.calls import HEADERS, PATHS, Ask, Call, More, Visit, by_name, by_number, calls, search
from tests.worlds.county import ADULT, NOBODY, OLD, YOUNG, Pair, base, pair_of, pairs
from tests.worlds.sides import Pairing
from tests.worlds.tally import Tally

WORLDS = int(os.environ.get("WORLDS", "500"))
"""Worlds of a run, over both kinds of database."""

SEED = os.environ.get("WORLDS_SEED")
"""Other worlds than the usual ones: any number. Without it each run tries the same."""

POSTGRESQL_SHARE = 5
"""One world in so many is on PostgreSQL."""


def try_worlds(pairing: Pairing, worlds: st.SearchStrategy[Pair], number: int) -> Tally:
    """Compare so many pairs of worlds; fails at the first difference, made as small as it gets."""
    tally = Tally()

    @settings(
        max_examples=number,
        database=None,
        deadline=None,
        derandomize=SEED is None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(worlds, calls())
    def alike(pair: Pair, made: tuple[Call, ...]) -> None:
        difference, seen = pairing.compare(pair, made)
        assert not difference, told(pair, made, difference)
        tally.count(pair, made, seen.answers)

    (alike if SEED is None else seed(int(SEED))(alike))()
    return tally


def told(pair: Pair, made: tuple[Call, ...], difference: str) -> str:
    """What was asked of which worlds, and what was seen."""
    return "\n".join(["", pair.told(), *map(repr, made), difference])


def assert_says_something(tally: Tally, number: int) -> None:
    """Half of the worlds asked for what differs, by inquiries that were answered; pages, refusals and wrong input were among them."""
    assert tally.worlds >= number * 0.9, tally
    assert tally.hit >= tally.worlds * 0.5, tally
    assert tally.joint >= tally.worlds * 0.1, tally
    assert tally.pages >= tally.worlds * 0.05, tally
    assert tally.statuses["200"] >= tally.calls * 0.3, tally
    assert {"400", "401", "403", "405", "422"} <= tally.statuses.keys(), tally
    assert "500" not in tally.statuses, tally


def test_nothing_tells_two_worlds_apart_on_sqlite(sqlite_pairing: Pairing) -> None:
    number = WORLDS - WORLDS // POSTGRESQL_SHARE
    tally = try_worlds(sqlite_pairing, pairs(strange=True), number)
    assert_says_something(tally, number)
    tally.note("SQLite")


def test_nothing_tells_two_worlds_apart_on_postgresql(postgres_pairing: Pairing) -> None:
    number = WORLDS // POSTGRESQL_SHARE
    tally = try_worlds(postgres_pairing, pairs(), number)
    assert_says_something(tally, number)
    tally.note("PostgreSQL")


EVERYTHING = search(("case", "prefix", "AJ"))
BY_DAY = {"sort": [{"field": "concluded", "order": "desc"}], "page_size": 2}
THOROUGH: tuple[Call, ...] = (
    *(Ask("police", target) for who in (ADULT, YOUNG, NOBODY) for target in (by_number(who), by_name(who))),
    *(Ask(client, by_number(YOUNG)) for client in ("school", "notary", "court", "employer")),
    Ask("police", {**EVERYTHING, **BY_DAY}),
    More(0), More(-1), More(-1),
    *(Ask("police", {**by_number(YOUNG), "page_size": 1}, headers, "flask") for headers in HEADERS),
    *(Visit(method, path, "police") for path in PATHS for method in ("GET", "HEAD", "OPTIONS")),
)  # fmt: skip
"""Every kind of header with an inquiry, every path, each person and order once."""


def crowded(number: int) -> Pair:
    """One world with thousands of sealed rows, of one person and of many; the other has none of them."""
    common = [base(ADULT, ZM="盗窃罪", JARQ=f"202503{day:02d}") for day in range(1, 8)] + [base(YOUNG)]
    sealed = [base((ADULT, YOUNG, NOBODY)[i % 3], FCBJ="1", JARQ="20250304", ZM="盗窃罪") for i in range(number)]
    return pair_of(common, (sealed, []))


def test_thousands_of_sealed_rows_show_no_more_than_none_on_sqlite(sqlite_pairing: Pairing) -> None:
    difference, seen = sqlite_pairing.compare(crowded(2000), THOROUGH)
    assert difference == ""
    assert sum(answer.startswith(b"HTTP/1.1 200") for answer in seen.answers) > 30


def test_thousands_of_sealed_rows_show_no_more_than_none_on_postgresql(postgres_pairing: Pairing) -> None:
    difference, _ = postgres_pairing.compare(crowded(2000), THOROUGH)
    assert difference == ""


def test_a_sealed_codefendant_shows_nowhere_and_null_is_also_what_is_not_there(sqlite_pairing: Pairing) -> None:
    """R16b: dropped fields answer null, as does a record whose database holds nothing there; the members are the same."""
    common = [base(ADULT, GTFZ="1"), base(OLD, BZ=None, JTZZ=None)]
    minor = base(YOUNG, GTFZ="1", FARQ="20220315", XQ_YUE="24")
    facts = ({"FMBJ": "1", "BZ": b"\xff\xff", "JTZZ": "甲"}, {"FMBJ": "2", "BZ": None, "JTZZ": None})
    worlds = pair_of(common, ([minor], []), facts, beside=True)
    difference, seen = sqlite_pairing.compare(worlds, (Ask("police", EVERYTHING), *THOROUGH))
    assert difference == ""
    joint, single = json.loads(seen.answers[0].partition(b"\r\n\r\n")[2])["records"]
    assert joint.keys() == single.keys()
    assert (joint["story"], joint["address"]) == (single["story"], single["address"]) == (None, None)
