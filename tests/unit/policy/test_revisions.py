from __future__ import annotations

import shutil
from datetime import timedelta

import pytest
from sqlalchemy import delete, func, select, update

from sidecar.clock import FixedClock
from sidecar.errors import ConfigurationError, RevisionUnapproved
from sidecar.ledger.entry import decode
from sidecar.ledger.open import open_ledger
from sidecar.ledger.tables import ENTRIES
from sidecar.policy import artefacts, revisions
from sidecar.policy.open import open_engine
from sidecar.policy.tables import REVISIONS
from tests.support.policy import FACTS, deployment, new_approver
from tests.support.state import NOW, new_state


class World:
    """A deployment with two approvers, an empty ledger, and the steps of a revision."""

    def __init__(self, folder):
        self.folder = folder
        self.clock = FixedClock(NOW)
        self.keys = {name: new_approver(folder, name) for name in ("lin", "wang")}
        self.settings = deployment(folder, *self.keys).model_copy()
        self.database = new_state(self.settings)
        self.ledger = open_ledger(self.settings, self.clock, engine=self.database)
        self.checked = []

    def build(self, number=1):
        return revisions.build(self.settings, number=number, clock=self.clock)

    def approve(self, number=1, names=("lin", "wang")):
        for name in names:
            revisions.approve(self.settings, number, name, self.keys[name])

    def activate(self, number=1):
        return revisions.activate(
            self.settings,
            number,
            ledger=self.ledger,
            database=self.database,
            clock=self.clock,
            conformance=self.checked.append,
            officer="idp|ops",
        )

    def run(self, number=1):
        self.build(number)
        self.approve(number)
        return self.activate(number)

    def load(self):
        return revisions.load_active(self.database, self.settings)

    def entries(self):
        with self.database.connect() as connection:
            return [decode(body) for body in connection.scalars(select(ENTRIES.c.body))]

    def count(self):
        with self.database.connect() as connection:
            return connection.scalar(select(func.count()).select_from(REVISIONS))

    def close(self):
        self.ledger.close()
        self.database.dispose()


@pytest.fixture
def world(tmp_path):
    (tmp_path / "home").mkdir()
    made = World(tmp_path / "home")
    # the origin of the shared helper's ledger
    yield made
    made.close()


def test_built_approved_twice_and_activated_it_is_active(world):
    activated = world.run()
    loaded = world.load()
    assert loaded == activated
    assert loaded.label == f"1@{loaded.digest[:19]}"
    assert loaded.catalogs == {"county": b"catalog: 1\ndatabase: county\n"}
    assert world.checked == [activated]


def test_activation_is_an_entry_in_the_ledger(world):
    activated = world.run()
    (entry,) = world.entries()
    assert (entry["kind"], entry["revision"], entry["officer"]) == ("policy", activated.label, "idp|ops")
    assert entry["extra"] == {"action": "activate", "digest": activated.digest, "number": "1"}


def test_without_any_revision_nothing_is_loaded(world):
    assert revisions.last_number(world.database) == 0
    with pytest.raises(RevisionUnapproved, match="no revision is active"):
        world.load()


def test_activating_the_active_one_again_does_nothing(world):
    first = world.run()
    assert world.activate() == first
    assert len(world.entries()) == 1


@pytest.mark.parametrize("names", [(), ("lin",), ("lin", "lin")])
def test_too_few_approvals_activate_nothing(world, names):
    world.build()
    world.approve(names=names)
    with pytest.raises(RevisionUnapproved, match="2 different keys"):
        world.activate()
    assert (world.count(), world.entries()) == (0, [])


def test_the_number_never_goes_back(world):
    world.build(1)
    world.approve(1)
    world.run(2)
    with pytest.raises(RevisionUnapproved, match="above 2"):
        world.activate(1)
    assert world.load().number == 2


def test_a_number_taken_meanwhile_commits_nothing(world, monkeypatch):
    world.run(2)
    world.build(1)
    world.approve(1)
    monkeypatch.setattr(revisions, "last_number", lambda _: 0)
    with pytest.raises(RevisionUnapproved, match="meanwhile"):
        world.activate(1)
    assert len(world.entries()) == 1


def test_going_back_is_the_old_content_under_a_new_number(world):
    first = world.run(1)
    (world.folder / "county.yaml").write_text("catalog: 1\ndatabase: changed\n", encoding="utf-8")
    world.run(2)
    (world.folder / "county.yaml").write_bytes(first.catalogs["county"])
    third = world.run(3)
    assert (third.number, third.catalogs) == (3, first.catalogs)


def test_a_refused_conformance_check_activates_nothing(world):
    world.build()
    world.approve()

    def refuse(_):
        raise RevisionUnapproved("conformance: engines differ")

    with pytest.raises(RevisionUnapproved, match="engines differ"):
        revisions.activate(
            world.settings, 1, ledger=world.ledger, database=world.database, clock=world.clock, conformance=refuse
        )
    assert world.count() == 0


FILES = [*artefacts.NAMES, "catalog-county.yaml", "manifest.json"]


@pytest.mark.parametrize("name", FILES)
def test_a_tampered_file_is_found_before_activation_and_at_every_load(world, name):
    folder = world.build()
    world.approve()
    good = (folder / name).read_bytes()
    (folder / name).write_bytes(good.replace(good[-20:-10], b"tamperedxx"))
    with pytest.raises(RevisionUnapproved):
        world.activate()
    (folder / name).write_bytes(good)
    world.activate()
    (folder / name).write_bytes(good + b" ")
    with pytest.raises(RevisionUnapproved):
        world.load()


def test_another_approved_revision_swapped_into_the_folder_is_refused(world):
    first = world.run(1)
    second = world.build(2)
    world.approve(2)
    shutil.rmtree(first.folder)
    shutil.copytree(second, first.folder)
    with pytest.raises(RevisionUnapproved, match="another manifest"):
        world.load()


def test_an_artefact_that_is_the_baselines_need_not_be_in_the_folder(world):
    folder = world.run().folder
    for name in artefacts.NAMES:
        (folder / name).unlink()
    assert world.load().wasm == artefacts.baseline().files[artefacts.WASM]
    (folder / "catalog-county.yaml").unlink()
    with pytest.raises(RevisionUnapproved, match="catalog-county"):
        world.load()


def test_a_flat_folder_of_one_revision_is_read(world):
    folder = world.run().folder
    for path in list(folder.iterdir()):
        path.rename(folder.parent / path.name)
    folder.rmdir()
    assert world.load().number == 1


def _settings(world, section, **changes):
    old = getattr(world.settings, section)
    world.settings = world.settings.model_copy(update={section: old.model_copy(update=changes)})


def test_a_changed_issuer_list_needs_a_new_revision(world):
    world.run()
    issuer = world.settings.identity.issuers[0].model_copy(update={"roles": ["officer", "prosecutor"]})
    _settings(world, "identity", issuers=[issuer])
    with pytest.raises(RevisionUnapproved, match=r"identity\.issuers"):
        world.load()
    world.run(2)
    assert world.load().number == 2


def test_changed_security_settings_need_a_new_revision(world):
    world.run()
    _settings(world, "policy", cross_check_sealed=0.0)
    with pytest.raises(RevisionUnapproved, match="security settings"):
        world.load()


def test_a_row_changed_in_the_database_is_refused(world):
    world.run()
    for change in ({"digest": "sha256:" + "0" * 64}, {"number": 7}, {"manifest": "{}"}, {"approvals": "{}"}):
        with world.database.begin() as connection:
            before = connection.execute(select(REVISIONS)).one()._asdict()
            connection.execute(update(REVISIONS).values(**change))
        with pytest.raises(RevisionUnapproved):
            world.load()
        with world.database.begin() as connection:
            connection.execute(delete(REVISIONS))
            connection.execute(REVISIONS.insert().values(**before))
    assert world.load().number == 1


def test_only_an_approver_with_the_own_key_approves(world):
    world.build()
    with pytest.raises(ConfigurationError, match="expected wang"):
        revisions.approve(world.settings, 1, "wang", world.keys["lin"])
    with pytest.raises(ConfigurationError, match="expected eve"):
        revisions.approve(world.settings, 1, "eve", world.keys["lin"])


def test_an_approver_does_not_sign_swapped_files(world):
    folder = world.build()
    (folder / "catalog-county.yaml").write_text("catalog: 1\n", encoding="utf-8")
    with pytest.raises(RevisionUnapproved, match="catalog-county"):
        world.approve()
    assert not list(folder.glob("approval-*"))


def test_a_folder_with_approvals_is_not_built_over(world):
    world.build()
    world.approve(names=("lin",))
    world.clock.set(NOW + timedelta(minutes=1))
    with pytest.raises(ConfigurationError, match="next number"):
        world.build()


def test_a_state_database_that_cannot_be_read_denies(world):
    with world.database.begin() as connection:
        REVISIONS.drop(connection)
    with pytest.raises(RevisionUnapproved, match="state database"):
        world.load()
    with pytest.raises(RevisionUnapproved, match="state database"):
        revisions.last_number(world.database)


def test_a_file_swapped_under_a_running_engine_denies_until_it_is_as_approved(world):
    revision = world.run()
    engine = open_engine(world.settings, revision, clock=world.clock)
    assert engine.decide(FACTS).revision == revision.label
    path = revision.folder / artefacts.WASM
    path.write_bytes(b"another module")
    world.clock.set(NOW + timedelta(seconds=2))
    for _ in range(2):
        with pytest.raises(RevisionUnapproved, match=r"policy\.wasm"):
            engine.decide(FACTS)
        with pytest.raises(RevisionUnapproved):
            engine.classify([])
    assert engine.alerts({"kind": "system", "codes": ["revision-unapproved"], "channel": "api"}) is not None
    path.write_bytes(revision.wasm)
    world.clock.set(NOW + timedelta(seconds=4))
    assert engine.decide(FACTS).revision == revision.label
    path.unlink()
    world.clock.set(NOW + timedelta(seconds=6))
    with pytest.raises(RevisionUnapproved):
        engine.decide(FACTS)
    engine.close()
