from __future__ import annotations

from dataclasses import fields, is_dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.errors import EngineUnavailable
from sidecar.policy.memo import Generations, MemoEngine
from tests.support.policy import FACTS, RECORD, ScriptedEngine, months


def memo(engine, size=64):
    return MemoEngine(engine, decisions=size, classifications=size)


def test_equal_facts_are_decided_once():
    engine = ScriptedEngine()
    remembered = memo(engine)
    first = remembered.decide(FACTS)
    assert remembered.decide(replace(FACTS, letter=replace(FACTS.letter))) == first
    assert len(engine.asked) == 1


def _variants():
    for field in fields(FACTS):
        value = getattr(FACTS, field.name)
        if is_dataclass(value):
            for inner in fields(value):
                yield replace(FACTS, **{field.name: replace(value, **{inner.name: "other"})})
        else:
            yield replace(FACTS, **{field.name: ("other",)})


def test_every_single_fact_is_part_of_the_key():
    engine = ScriptedEngine()
    remembered = memo(engine, 4096)
    variants = [FACTS, *_variants()]
    for facts in variants:
        remembered.decide(facts)
    assert len(engine.asked) == len(variants)


def test_failures_are_not_remembered():
    engine = ScriptedEngine()
    engine.failure = EngineUnavailable("down")
    remembered = memo(engine)
    with pytest.raises(EngineUnavailable):
        remembered.decide(FACTS)
    engine.failure = None
    assert remembered.decide(FACTS).revision == engine.revision


def test_nothing_remembered_is_given_while_the_engine_is_gone():
    engine = ScriptedEngine()
    remembered = memo(engine)
    remembered.decide(FACTS)
    remembered.classify([RECORD])
    engine.available = False
    with pytest.raises(EngineUnavailable, match="gone"):
        remembered.decide(FACTS)
    with pytest.raises(EngineUnavailable, match="gone"):
        remembered.classify([RECORD])


def test_only_new_combinations_are_classified_and_order_is_kept():
    engine = ScriptedEngine()
    remembered = memo(engine)
    remembered.classify([months(60), months(61)])
    found = remembered.classify([months(61), months(60), months(62), months(62), months(61)])
    assert [c.is_open for c in found] == [True, False, True, True, True]
    assert engine.asked[1:] == [(months(62),)]


def test_size_zero_remembers_nothing():
    engine = ScriptedEngine()
    remembered = memo(engine, 0)
    for _ in range(2):
        remembered.decide(FACTS)
        remembered.classify([RECORD])
    assert len(engine.asked) == 4


def test_a_closed_memo_forgets():
    engine = ScriptedEngine()
    remembered = memo(engine)
    remembered.decide(FACTS)
    remembered.close()
    engine.failure = EngineUnavailable("closed")
    with pytest.raises(EngineUnavailable, match="closed"):
        remembered.decide(FACTS)


def test_entries_that_are_alike_are_judged_once():
    engine = ScriptedEngine()
    remembered = memo(engine)
    first = remembered.alerts({"kind": "inquiry", "codes": ["letter-used"]})
    assert remembered.alerts({"codes": ["letter-used"], "kind": "inquiry"}) == first
    remembered.alerts({"kind": "inquiry", "codes": ["letter-expired"]})
    assert len(engine.asked) == 2


def test_no_entry_is_judged_from_memory_while_the_engine_is_gone():
    engine = ScriptedEngine()
    remembered = memo(engine)
    remembered.alerts({"kind": "inquiry"})
    engine.available = False
    with pytest.raises(EngineUnavailable, match="gone"):
        remembered.alerts({"kind": "inquiry"})


@given(st.integers(2, 9), st.lists(st.integers(0, 20)))
def test_generations_stay_bounded_and_never_lie(size, keys):
    kept: Generations[str] = Generations(size)
    for key in keys:
        found = kept.get(key)
        assert found in (None, f"v{key}")
        kept.put(key, f"v{key}")
        assert kept.get(key) == f"v{key}"
        assert len(kept) <= size


def test_what_is_used_survives_what_is_not():
    kept: Generations[str] = Generations(8)
    kept.put("used", "v")
    for n in range(40):
        assert kept.get("used") == "v"
        kept.put(n, "x")
    assert kept.get(0) is None
