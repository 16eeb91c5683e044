"""Building with a real OPA: byte-identical, as committed, and refusing what compiles into something else."""

from __future__ import annotations

import shutil
from pathlib import Path

import orjson
import pytest

from sidecar.errors import ConfigurationError, EngineUnavailable
from sidecar.policy import artefacts, tarball
from tests.support.opa import opa_binary

pytestmark = pytest.mark.functional

ROOT = Path(__file__).resolve().parents[2]
POLICIES = ROOT / "policies"
BASELINE = ROOT / "sidecar" / "policy" / "baseline"


@pytest.fixture
def copy(tmp_path):
    return shutil.copytree(POLICIES, tmp_path / "policies")


def edit(folder, old, new, name="sidecar/sealing/sealing.rego"):
    path = folder / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_the_committed_baseline_is_what_its_sources_build():
    built = artefacts.build(POLICIES, opa_binary())
    assert artefacts.stale(POLICIES, artefacts.baseline()) == [], "run `make bundle`"
    assert artefacts.differences(BASELINE, built) == [], "run `make bundle`"


def test_two_builds_in_different_folders_are_byte_identical(copy):
    one, two = (artefacts.build(folder, opa_binary()) for folder in (POLICIES, copy))
    assert one.files == two.files
    assert one.manifest() == two.manifest()


def test_the_bundle_carries_the_same_data_as_the_module():
    built = artefacts.baseline()
    files = tarball.unpack(built.files[artefacts.BUNDLE])
    assert orjson.loads(files["params/data.json"]) == built.data()["params"]
    assert orjson.loads(files["filters/data.json"]) == built.data()["filters"]
    assert orjson.loads(files[".manifest"])["revision"] == built.bundle_revision
    assert not any(name.endswith("_test.rego") for name in files)


def test_written_artefacts_are_read_back_and_a_changed_one_is_refused(tmp_path):
    artefacts.write(artefacts.baseline(), tmp_path)
    assert artefacts.read(tmp_path).files == artefacts.baseline().files
    (tmp_path / artefacts.FILTER).write_bytes(b"{}")
    with pytest.raises(ConfigurationError, match=r"filter\.json"):
        artefacts.read(tmp_path)
    assert artefacts.differences(tmp_path, artefacts.baseline()) == [artefacts.FILTER]
    (tmp_path / artefacts.FILTER).unlink()
    with pytest.raises(ConfigurationError, match="expected built artefacts"):
        artefacts.read(tmp_path)


def test_a_changed_source_makes_artefacts_stale_(copy):
    built = artefacts.build(copy, opa_binary())
    assert artefacts.stale(copy, built) == []
    edit(copy, "# METADATA", "# METADATA ")
    (copy / "sidecar" / "more.rego").write_text("package sidecar.more\n", encoding="ascii")
    assert artefacts.stale(copy, built) == ["sidecar/more.rego", "sidecar/sealing/sealing.rego"]


def test_the_threshold_on_the_left_is_refused_before_it_opens_60_months(copy):
    edit(copy, "r.sentence_months > params.seal_max_months.value", "params.seal_max_months.value < r.sentence_months")
    with pytest.raises(ConfigurationError, match="an attribute on the right of lt"):
        artefacts.build(copy, opa_binary())


def test_membership_in_an_object_is_refused(copy):
    edit(copy, "r.kind in params.criminal_kinds.value", "r.kind in params.criminal_kinds")
    with pytest.raises(ConfigurationError, match=r"sealing\.rego:\d+: `in` over params\.criminal_kinds"):
        artefacts.build(copy, opa_binary())


def test_a_built_in_outside_the_capabilities_is_refused(copy):
    edit(copy, "open if open_record(input.record)", "open if {\n\topen_record(input.record)\n\ttime.now_ns() > 0\n}")
    with pytest.raises(ConfigurationError, match=r"time\.now_ns"):
        artefacts.build(copy, opa_binary())


def test_a_rule_outside_the_compilable_fragment_is_refused(copy):
    edit(copy, "open if open_record(input.record)", "open if not is_open(input.record)")
    with pytest.raises((ConfigurationError, EngineUnavailable)):
        artefacts.build(copy, opa_binary())


def test_an_undefined_filter_is_refused(copy):
    edit(copy, "open if open_record(input.record)", "open if {\n\topen_record(input.record)\n\tfalse\n}")
    with pytest.raises(ConfigurationError, match=r"undefined|no condition"):
        artefacts.build(copy, opa_binary())


def test_sources_without_parameters_or_rego_are_refused(copy):
    (copy / "params" / "data.json").unlink()
    with pytest.raises(ConfigurationError, match="params/data"):
        artefacts.sources(copy)
    with pytest.raises(ConfigurationError, match="Rego"):
        artefacts.sources(copy / "params")
