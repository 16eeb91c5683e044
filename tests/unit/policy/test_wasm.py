from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from sidecar.codes import Outcome
from sidecar.errors import EngineUnavailable
from sidecar.policy import artefacts
from sidecar.policy.wasm import WasmEngine
from tests.support.policy import FACTS, RECORD, months

LABEL = "1@sha256:000000000000"


@pytest.fixture(scope="module")
def engine():
    built = artefacts.baseline()
    with_pool = WasmEngine(built.files[artefacts.WASM], built.data(), revision=LABEL, pool=2, timeout_ms=10_000)
    yield with_pool
    with_pool.close()


def test_complete_papers_of_a_court_are_allowed(engine):
    found = engine.decide(FACTS)
    assert found.outcome is Outcome.ALLOW
    assert (found.engine, found.revision) == ("wasm", LABEL)
    assert found.views.open


def test_a_missing_paper_is_not_allowed_and_shows_nothing(engine):
    found = engine.decide(replace(FACTS, basis="", basis_state="missing"))
    assert found.outcome is not Outcome.ALLOW
    assert "basis-missing" in found.codes
    assert not found.views.open


def test_exactly_60_months_is_sealed_and_61_is_open(engine):
    assert [found.is_open for found in engine.classify([months(n) for n in (59, 60, 61, 62)])] == [
        False,
        False,
        True,
        True,
    ]


def test_no_records_give_no_rows(engine):
    assert engine.classify([]) == []


def test_an_entry_without_kind_is_no_entry_without_alerts(engine):
    with pytest.raises(EngineUnavailable, match="alerts"):
        engine.alerts({})


def test_a_forged_letter_raises_an_alert(engine):
    entry = {"kind": "inquiry", "channel": "api", "scope": "sealed", "codes": ["letter-forged"]}
    assert [found.type for found in engine.alerts(entry)] == ["sealed-records.attempt.letter-forged.v1"]


def test_threads_share_the_pool(engine):
    found = []
    threads = [threading.Thread(target=lambda: found.append(engine.classify([RECORD]))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [engine.classify([RECORD])] * 6


def test_without_parameters_nothing_is_allowed_and_no_record_is_open():
    module = artefacts.baseline().files[artefacts.WASM]
    engine = WasmEngine(module, {}, revision=LABEL, pool=1, timeout_ms=10_000)
    assert engine.decide(FACTS).outcome is not Outcome.ALLOW
    assert not any(found.is_open for found in engine.classify([months(61)]))
    engine.close()


def test_what_is_no_module_is_refused():
    with pytest.raises(EngineUnavailable, match="cannot be loaded"):
        WasmEngine(b"\0asm", {}, revision=LABEL)


def test_a_closed_engine_denies():
    built = artefacts.baseline()
    engine = WasmEngine(built.files[artefacts.WASM], built.data(), revision=LABEL, pool=1)
    engine.close()
    with pytest.raises(EngineUnavailable):
        engine.decide(FACTS)
