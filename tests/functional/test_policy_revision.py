"""A revision on a real OPA, from build to a decision, and the conformance check between both engines."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
import structlog

from sidecar.clock import FixedClock
from sidecar.codes import Outcome
from sidecar.errors import EngineUnavailable, RevisionUnapproved
from sidecar.ledger.open import open_ledger
from sidecar.policy import artefacts, revisions
from sidecar.policy.artefacts import Artefacts
from sidecar.policy.open import conformance, open_engine, supervise
from tests.support.opa import opa_binary, opa_path
from tests.support.policy import FACTS, RECORD, deployment, new_approver
from tests.support.state import NOW, new_state

pytestmark = pytest.mark.functional


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory(prefix="rev-") as made:  # short: a Unix socket goes into it
        yield Path(made)


class Deployment:
    """A deployment with OPA, two approvers and a ledger."""

    def __init__(self, folder, **policy):
        self.clock = FixedClock(NOW)
        self.keys = {name: new_approver(folder, name) for name in ("lin", "wang")}
        chosen = {"engine": "auto", "opa_binary": str(opa_path()), "timeout_ms": 10_000, **policy}
        self.settings = deployment(folder, *self.keys, **chosen)
        self.database = new_state(self.settings)
        self.ledger = open_ledger(self.settings, self.clock, engine=self.database)

    def activate(self, built: Artefacts | None = None, check=None):
        revisions.build(self.settings, number=1, clock=self.clock, built=built)
        for name, key in self.keys.items():
            revisions.approve(self.settings, 1, name, key)
        return revisions.activate(
            self.settings,
            1,
            ledger=self.ledger,
            database=self.database,
            clock=self.clock,
            conformance=check or conformance(self.settings, self.clock),
        )

    def close(self):
        self.ledger.close()
        self.database.dispose()


def test_the_baseline_passes_conformance_and_decides_through_a_supervised_opa(folder):
    world = Deployment(folder)
    world.activate()
    revision = revisions.load_active(world.database, world.settings)
    process = supervise(world.settings, revision)
    with structlog.testing.capture_logs() as logs:
        engine = open_engine(world.settings, revision, clock=world.clock)
    assert [entry["engine"] for entry in logs if entry["event"] == "policy-engine"] == ["opa"]
    found = engine.decide(FACTS)
    assert (found.outcome, found.engine, found.revision) == (Outcome.ALLOW, "opa", revision.label)
    assert [c.is_open for c in engine.classify([RECORD])] == [False]
    process.stop()
    with pytest.raises(EngineUnavailable):
        engine.classify([RECORD, RECORD])
    engine.close()
    world.close()


def _edited(tmp_path, old, new):
    """Artefacts whose bundle and filter come from the sources, and whose module from edited ones."""
    policies = Path(__file__).resolve().parents[2] / "policies"
    files = artefacts.sources(policies)
    name = "sidecar/sealing/sealing.rego"
    assert old.encode() in files[name]
    files[name] = files[name].replace(old.encode(), new.encode())
    return artefacts.compile_wasm(files, opa_binary())


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        (
            "r.sentence_months > params.seal_max_months.value",
            "r.sentence_months >= params.seal_max_months.value",
            "filter",
        ),
        ('explains("S3", r) if', 'explains("S4", r) if', "classifies otherwise"),
    ],
)
def test_a_module_of_other_sources_is_refused_at_activation(folder, tmp_path, old, new, text):
    world = Deployment(folder)
    good = artefacts.baseline()
    files = {**good.files, artefacts.WASM: _edited(tmp_path, old, new)}
    if text != "filter":
        files[artefacts.WASM] = _edited(tmp_path, '\tr.minor == "no"\n\tr.kind', '\tr.minor == "no"\n\tr.kind')
        bundle = artefacts.tarball.unpack(files[artefacts.BUNDLE])
        name = "sidecar/sealing/sealing.rego"
        bundle[name] = bundle[name].replace(old.encode(), new.encode()).replace(b'"S3", "S5"', b'"S3", "S4", "S5"')
        files[artefacts.BUNDLE] = artefacts.tarball.pack(bundle)
    swapped = Artefacts(files, good.source, good.bundle_revision, good.opa, good.sources)
    with pytest.raises(RevisionUnapproved, match=text):
        world.activate(swapped)
    assert revisions.last_number(world.database) == 0
    world.close()


def test_a_neighbour_container_without_token_is_asked_over_its_socket(folder):
    world = Deployment(folder, engine="opa", opa_supervised=False)
    revision = world.activate(check=lambda _: None)
    assert supervise(world.settings, revision) is None
    engine = open_engine(world.settings, revision, clock=world.clock)
    with pytest.raises(EngineUnavailable):
        engine.decide(FACTS)
    engine.close()
    world.close()
