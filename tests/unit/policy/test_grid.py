from __future__ import annotations

from dataclasses import fields, replace

import pytest

from sidecar.codes import Outcome
from sidecar.errors import EngineUnavailable, RevisionUnapproved
from sidecar.policy import artefacts, grid
from sidecar.policy.types import ATTRIBUTE_DOMAINS, Attributes, Comparison, Conjunction, Facts
from tests.support.policy import ScriptedEngine

FILTER = Conjunction((Comparison("sentence_months", "gt", 60), Comparison("seal_mark", "eq", value=False)))
PARAMS = artefacts.baseline().params()
TODAY = 20261123


class Deciding(ScriptedEngine):
    """Allows a court only, so that the corpus has both."""

    def decide(self, facts: Facts):
        found = super().decide(facts)
        return (
            found if facts.organ == "court" else replace(found, outcome=Outcome.REFUSE, codes=("organ-not-entitled",))
        )


def engine(name="wasm", is_open=lambda r: r.sentence_months > 60 and not r.seal_mark):
    return Deciding(name, is_open=is_open)


def test_the_corpus_has_the_filters_boundary_and_every_value():
    corpus = list(grid.records(FILTER))
    assert {r.sentence_months for r in corpus} == {-1, 0, 1, 59, 60, 61, 9999}
    assert len({(r.sentence_months, r.seal_mark) for r in corpus}) == len(corpus) == 14
    full = list(grid.records(artefacts.baseline().filter()))
    for name in (field.name for field in fields(Attributes)):
        domain = ATTRIBUTE_DOMAINS[name]
        assert domain is None or {getattr(r, name) for r in full} == set(domain)


def test_the_corpus_of_requests_varies_every_fact_and_is_the_same_each_time():
    corpus = list(grid.requests(PARAMS, TODAY))
    assert corpus == list(grid.requests(PARAMS, TODAY))
    for field in fields(Facts):
        assert field.name == "today" or len({getattr(facts, field.name) for facts in corpus}) > 1


def test_equal_engines_and_filter_pass():
    records, requests = grid.check([engine(), engine("opa")], FILTER, PARAMS, TODAY)
    assert records == 14
    assert requests > 500


def test_a_filter_that_opens_60_months_is_refused():
    wrong = Conjunction((Comparison("sentence_months", "ge", 60), FILTER.parts[1]))
    with pytest.raises(RevisionUnapproved, match="filter opens other"):
        grid.check([engine()], wrong, PARAMS, TODAY)


def test_an_engine_that_classifies_otherwise_is_refused():
    other = engine("opa", is_open=lambda r: r.sentence_months > 61 and not r.seal_mark)
    with pytest.raises(RevisionUnapproved, match="opa classifies otherwise"):
        grid.check([engine(), other], FILTER, PARAMS, TODAY)


def test_an_engine_that_decides_otherwise_is_refused():
    other = ScriptedEngine("opa", is_open=lambda r: r.sentence_months > 60 and not r.seal_mark)
    with pytest.raises(RevisionUnapproved, match="decide differently"):
        grid.check([engine(), other], FILTER, PARAMS, TODAY)


def test_an_engine_that_fails_is_refused():
    broken = engine("opa")
    broken.failure = EngineUnavailable("down")
    with pytest.raises(RevisionUnapproved, match="down"):
        grid.check([engine(), broken], FILTER, PARAMS, TODAY)


def test_a_policy_that_opens_nothing_agrees_with_itself_and_is_refused():
    nothing = Conjunction((Comparison("sentence_months", "gt", 9999),))
    with pytest.raises(RevisionUnapproved, match="every record, or none"):
        grid.check([engine(is_open=lambda _: False)], nothing, PARAMS, TODAY)


@pytest.mark.parametrize("outcome", [Outcome.ALLOW, Outcome.REFUSE])
def test_a_policy_that_always_answers_the_same_is_refused(outcome):
    same = ScriptedEngine("wasm", outcome=outcome, is_open=lambda r: r.sentence_months > 60 and not r.seal_mark)
    with pytest.raises(RevisionUnapproved, match="everything, or nothing"):
        grid.check([same], FILTER, PARAMS, TODAY)
