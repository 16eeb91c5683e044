from __future__ import annotations

from dataclasses import replace

import pytest

from sidecar.codes import Outcome
from sidecar.errors import EngineUnavailable
from sidecar.policy.crosscheck import CrossCheckEngine, EnginesDiffer
from sidecar.policy.memo import MemoEngine
from tests.support.policy import FACTS, RECORD, ScriptedEngine, months

SEALED = replace(FACTS, scope="sealed")


def crosscheck(primary, secondary, *, sealed=1.0, open_=0.01, random=lambda: 0.5):
    return CrossCheckEngine(primary, secondary, sealed=sealed, open_=open_, random=random)


def test_sealed_scope_is_always_compared():
    one, two = ScriptedEngine("opa"), ScriptedEngine("wasm")
    assert crosscheck(one, two).decide(SEALED).engine == "opa"
    assert len(two.asked) == 1


@pytest.mark.parametrize(("drawn", "compared"), [(0.009, 1), (0.01, 0), (0.5, 0)])
def test_open_scope_is_compared_by_the_drawn_sample(drawn, compared):
    one, two = ScriptedEngine("opa"), ScriptedEngine("wasm")
    crosscheck(one, two, random=lambda: drawn).decide(FACTS)
    assert len(two.asked) == compared


def test_an_unknown_scope_counts_as_sealed():
    one, two = ScriptedEngine("opa"), ScriptedEngine("wasm")
    crosscheck(one, two).decide(replace(FACTS, scope=""))
    assert len(two.asked) == 1


def test_a_share_of_nothing_compares_nothing():
    one, two = ScriptedEngine("opa"), ScriptedEngine("wasm")
    checked = crosscheck(one, two, sealed=0, open_=0, random=lambda: 0.0)
    checked.decide(SEALED)
    checked.classify([RECORD])
    assert two.asked == []


def test_different_decisions_deny():
    checked = crosscheck(ScriptedEngine("opa"), ScriptedEngine("wasm", outcome=Outcome.REFUSE))
    with pytest.raises(EnginesDiffer, match="engines differ") as caught:
        checked.decide(SEALED)
    assert caught.value.code == "engine-unavailable"
    assert caught.value.operator_code == "engines-differ"


def test_one_record_classified_otherwise_denies():
    checked = crosscheck(ScriptedEngine("opa"), ScriptedEngine("wasm", is_open=lambda r: r.sentence_months >= 60))
    checked.classify([months(59), months(61)])
    with pytest.raises(EnginesDiffer):
        checked.classify([months(59), months(60)])


def test_a_secondary_that_fails_denies():
    two = ScriptedEngine("wasm")
    two.failure = EngineUnavailable("down")
    with pytest.raises(EngineUnavailable, match="down"):
        crosscheck(ScriptedEngine("opa"), two).decide(SEALED)


def test_engines_at_different_revisions_are_not_compared_at_all():
    with pytest.raises(EngineUnavailable, match="revisions 1@a and 2@b"):
        crosscheck(ScriptedEngine(revision="1@a"), ScriptedEngine(revision="2@b"))


def test_what_is_remembered_costs_no_comparison():
    one, two = ScriptedEngine("opa"), ScriptedEngine("wasm")
    remembered = MemoEngine(crosscheck(one, two), decisions=8, classifications=8)
    for _ in range(5):
        remembered.decide(SEALED)
        remembered.classify([RECORD])
    assert (len(one.asked), len(two.asked)) == (2, 2)


def test_it_is_there_as_long_as_its_primary_and_closes_both():
    one, two = ScriptedEngine("opa"), ScriptedEngine("wasm")
    checked = crosscheck(one, two)
    assert checked.available
    checked.close()
    assert not checked.available
    assert not two.available
