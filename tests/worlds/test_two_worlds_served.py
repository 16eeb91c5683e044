"""The same through real sockets: two served processes that share seed and clock, clients that keep their connections."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.worlds.calls import Ask, Call, by_number, calls
from tests.worlds.county import ADULT, Pair, base, pair_of, pairs
from tests.worlds.sides import Pairing, SqlitePlaces
from tests.worlds.tally import Tally
from tests.worlds.wire import Served, served

pytestmark = pytest.mark.functional

WORLDS = 20


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, world_keys) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    pairing = Pairing(folder, world_keys, SqlitePlaces(folder))
    with served(pairing, folder) as found:
        yield found
    pairing.close()


def test_nothing_on_the_wire_tells_two_worlds_apart(both: Served) -> None:
    tally = Tally()

    @settings(
        max_examples=WORLDS,
        database=None,
        deadline=None,
        derandomize=True,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(pairs(strange=True), calls())
    def alike(pair: Pair, made: tuple[Call, ...]) -> None:
        difference, answers = both.compare(pair, made)
        assert not difference, "\n".join(["", pair.told(), *map(repr, made), difference])
        tally.count(pair, made, answers)

    alike()
    assert tally.worlds >= WORLDS
    assert tally.hit >= WORLDS // 3, tally
    assert tally.statuses["200"] >= WORLDS, tally
    one, two = both.books()
    assert one == two
    assert len(one[0]) >= WORLDS


def test_an_open_row_more_shows_on_the_wire(both: Served) -> None:
    """What may be seen is seen: the comparison is of two deployments that answer."""
    more = pair_of([base(ADULT)], ([base(ADULT)], []))
    difference, _ = both.compare(more, (Ask("police", by_number(ADULT)),))
    assert '"count":2' in difference
