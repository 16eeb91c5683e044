"""``sidecar ledger origins``, ``approve``, ``destroy`` and ``new-origin``: two persons, an export, and the right tree."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import click
import pytest
import yaml

from sidecar.cli.context import State
from sidecar.cli.ledger import ledger
from sidecar.clock import FixedClock
from sidecar.errors import ConfigurationError, RevisionUnapproved
from sidecar.ledger.origins import begins
from sidecar.ledger.stored import StoredLog
from sidecar.oversight.projector import AlertProjector
from tests.support.log import SignedLog
from tests.support.state import entry
from tests.support.world import APPROVERS, DEPLOYMENT, World

FIRST, SECOND = sorted(APPROVERS)[:2]


class Desk:
    """A deployment of two years, and whoever runs commands on it."""

    def __init__(self, world, log):
        self.world, self.log, self.clock = world, log, FixedClock(datetime(2037, 6, 1, tzinfo=UTC))
        settings = json.loads(world.settings.model_dump_json(exclude={"base"}, exclude_unset=True))
        (world.folder / "sidecar.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")

    def run(self, *arguments):
        state = State(self.world.folder / "sidecar.yaml", self.clock)
        return ledger.main([str(each) for each in arguments], obj=state, standalone_mode=False)

    def approval(self, name, *what):
        file = self.world.folder / f"{name}.jws"
        self.run(
            "approve", *what, "--name", name, "--key", self.world.folder / "keys" / f"{name}.pem", "--output", file
        )
        return "--approval", file


@pytest.fixture(scope="module")
def desk(tmp_path_factory, world_keys):
    world = World(tmp_path_factory.mktemp("years"), keys=world_keys)
    log = SignedLog(world, [AlertProjector(world.gateway.runtime.engine, DEPLOYMENT)])
    for _ in range(3):
        world.gateway.ports.ledger.commit(entry())
    log.sign()
    log._clock.set(begins(2027))
    for _ in range(3):
        log.sign()
    yield Desk(world, log)
    log.close()
    world.close()


def test_origins_are_listed_with_the_key_of_the_year_to_come(desk, capsys):
    desk.run("origins", "--json")
    found = json.loads(capsys.readouterr().out)
    assert [(each["origin"], each["closed"]) for each in found["origins"]] == [
        (DEPLOYMENT, "year"),
        (f"{DEPLOYMENT}/2027", ""),
    ]
    assert found["origins"][0]["verifier"] == str(desk.log.verifier)
    assert found["next"]["verifier"].startswith(f"{DEPLOYMENT}/2028+")
    desk.run("origins")
    assert f"{DEPLOYMENT}/2028: to come" in capsys.readouterr().out


def test_both_years_are_verified_and_told(desk, capsys):
    assert desk.run("verify", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["origin"], found["ok"], [each["ok"] for each in found["origins"]]) == (
        f"{DEPLOYMENT}/2027", True, [True, True],
    )  # fmt: skip


def test_one_approver_or_one_for_something_else_is_not_enough(desk, tmp_path):
    desk.run("export", "--origin", "2026", tmp_path / "2026")
    one = desk.approval(FIRST, "destroy", "2026")
    other = desk.approval(SECOND, "destroy", "2027")
    for approvals in (one, (*one, *one), (*one, *other)):
        with pytest.raises(RevisionUnapproved):
            desk.run("destroy", "2026", "--export", tmp_path / "2026", *approvals)


def test_the_present_log_cannot_be_destroyed_nor_begun_anew_without_need(desk, tmp_path):
    with desk.world.state.connect() as connection:
        (tmp_path / "checkpoint").write_bytes(StoredLog(connection).checkpoint().cosigned)
    what = ("new-origin", "--checkpoint", tmp_path / "checkpoint")
    approvals = (*desk.approval(FIRST, *what), *desk.approval(SECOND, *what))
    with pytest.raises(ConfigurationError, match="stop the service first"):
        desk.run("new-origin", *what[1:], *approvals)
    desk.log.close()
    with pytest.raises(ConfigurationError, match="nothing to begin anew"):
        desk.run("new-origin", *what[1:], *approvals)
    with pytest.raises(click.UsageError, match="--checkpoint is needed"):
        desk.run("new-origin", *approvals)


def test_a_closed_year_is_destroyed_by_two_and_its_export_is_asked_for_then(desk, tmp_path, capsys):
    desk.run("export", "--origin", "2026", tmp_path / "2026")
    approvals = (*desk.approval(FIRST, "destroy", "2026"), *desk.approval(SECOND, "destroy", "2026"))
    desk.run("destroy", "2026", "--export", tmp_path / "2026", *approvals)
    desk.run("destroy", "2026", "--export", tmp_path / "2026", *approvals)  # once more changes nothing
    capsys.readouterr()
    assert desk.run("verify", "--json") == 0
    assert [each["origin"] for each in json.loads(capsys.readouterr().out)["origins"]] == [f"{DEPLOYMENT}/2027"]
    with pytest.raises(ConfigurationError, match="was destroyed; take its export"):
        desk.run("export", "--origin", "2026", tmp_path / "again")
    destroyed = [each for each in desk.world.entries("system") if each["codes"] == ["ledger-destroyed"]]
    assert [each["extra"]["approvers"] for each in destroyed] == [f"{FIRST}, {SECOND}"]
