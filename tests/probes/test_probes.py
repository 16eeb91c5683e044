"""The probes tell where there is something to tell, and nothing of the sidecar; ``make probes`` plays enough games to say how little."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from sidecar.demo.postgres import PostgresCluster
from tests.probes.attacker import Attacker, Game, Score
from tests.probes.run import KNOWN, UNKNOWN, scores

pytestmark = pytest.mark.functional


@pytest.fixture(scope="module")
def found(
    tmp_path_factory: pytest.TempPathFactory, world_keys: Path, postgres_cluster: PostgresCluster
) -> Mapping[str, Score]:
    return dict(scores(tmp_path_factory.mktemp("probes"), world_keys, postgres_cluster, known=200, unknown=400))


def test_the_sidecar_tells_nothing(found: Mapping[str, Score]) -> None:
    assert abs(found["sidecar"].advantage) <= 1.5 * found["sidecar"].half_width


@pytest.mark.parametrize("name", ["postfilter", "unfiltered", "row security"])
def test_the_same_probes_tell_almost_all_of_the_others(found: Mapping[str, Score], name: str) -> None:
    assert found[name].advantage >= 0.9


def test_the_report_has_enough_games() -> None:
    games = [Game({"n": 1}, sealed=bool(i % 2)) for i in range(KNOWN)]
    assert Attacker(games).score(games[:1] * UNKNOWN).half_width <= 0.03


def test_the_attacker_finds_a_difference_of_two_numbers() -> None:
    games = [Game({"a": i % 7, "b": i % 7 + i % 2}, sealed=bool(i % 2)) for i in range(200)]
    score = Attacker(games[:100]).score(games[100:])
    assert (score.advantage, score.channel) == (1.0, "a − b")
