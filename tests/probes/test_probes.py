"""The probes tell where there is something to tell, and nothing of the sidecar; ``make probes`` plays enough games to say how little."""

from __future__ import annotations

import random
from array import array
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.demo.postgres import PostgresCluster
from tests.probes import timing
from tests.probes.attacker import Attacker, Game, Score
from tests.probes.run import KNOWN, UNKNOWN, scores
from tests.probes.timing import compared

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


def test_welchs_t_notices_a_difference_and_nothing_else() -> None:
    dice = random.Random(1)
    one, same = ([dice.gauss(1000, 100) for _ in range(4000)] for _ in range(2))
    assert abs(compared("same", one, same).t) < 4.5
    later = compared("later", one, [value + 50 for value in same])
    assert later.t > 10
    assert 30 < later.difference < 60  # of the quicker nine tenths


@pytest.mark.parametrize("name", ["http", "sql-off"])
def test_the_clocked_deployment_answers_at_its_step(tmp_path: Path, world_keys: Path, name: str) -> None:
    phase = replace(timing.PHASES[name], connections=2)
    samples = timing.measure(tmp_path, world_keys, phase, missing=20, seconds=60)
    assert len(samples[timing.FIXED]) >= 20
    assert not phase.stepped or min(samples[timing.FIXED]) >= 50_000  # µs


def test_what_was_measured_is_kept_and_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dice = random.Random(1)
    for name, phase in timing.PHASES.items():
        for _ in range(2):
            timing.keep(
                tmp_path, name, {kind: array("d", (dice.gauss(5000, 9) for _ in range(60))) for kind in phase.shares}
            )
        assert {len(values) for values in timing.kept(tmp_path, name).values()} == {120}
    monkeypatch.setattr(timing, "PAGE", tmp_path / "time.md")
    page = timing.report(tmp_path)
    assert page.count("| left 50 µs later | 120 |") == 2
    assert page.count("| 50 µs more work | 120 |") == 4
    assert "**Not as it is to be:** Over SQL, step of 5 ms: left 50 µs later" in page  # for nothing was planted here
    assert (tmp_path / "time-http.svg").read_text(encoding="utf-8").count("<polyline") == 10
    assert timing.go_on(tmp_path, 100, 0)


def test_a_run_that_was_ended_says_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert not timing.go_on(tmp_path, 1000, 0)
    assert "Over SQL, step of 5 ms: 1,000 missing" in capsys.readouterr().out
