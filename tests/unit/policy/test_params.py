from __future__ import annotations

import copy

import orjson
import pytest

from sidecar.errors import ConfigurationError
from sidecar.policy import artefacts
from sidecar.policy.params import legal_parameters

GOOD = {
    "majority_years": {"value": 18},
    "leap_birthday": {"value": "0301"},
    "sealing_law_from": {"value": 20130101},
    "violation_sealing_from": {"value": 20260101},
    "organs": {"court": {}},
    "purposes": {"case_handling": {}},
    "instruments": {"CPL": {"title": "中华人民共和国刑事诉讼法", "aliases": ["刑事诉讼法"]}},
    "bases": {"CPL/286": {"instrument": "CPL", "article": "286"}},
}


def test_the_baselines_parameters_are_read():
    found = artefacts.baseline().params()
    raw = orjson.loads(artefacts.baseline().files[artefacts.PARAMS])
    assert found.majority_years == raw["majority_years"]["value"]
    assert found.organs == set(raw["organs"])
    assert set(found.instruments.values()) == set(raw["instruments"])


def test_titles_and_aliases_are_found_normalised_with_and_without_title_marks():
    found = legal_parameters(GOOD)
    for name in ("CPL", "刑事诉讼法", "《中华人民共和国刑事诉讼法》"):
        assert found.instruments[name] == "CPL"
    assert found.bases == {"CPL/286"}


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("majority_years", {"value": "18"}, "majority_years"),
        ("majority_years", {"value": True}, "majority_years"),
        ("majority_years", 18, "majority_years"),
        ("leap_birthday", {"value": "0302"}, "leap_birthday"),
        ("sealing_law_from", {"value": 20131301}, "sealing_law_from"),
        ("sealing_law_from", {"value": "20130101"}, "sealing_law_from"),
        ("organs", {}, "organs"),
        ("purposes", ["x"], "purposes"),
        ("instruments", {"CPL": {"title": " ", "aliases": []}}, "not blank"),
        ("instruments", {"CPL": {"aliases": []}}, "not blank"),
        ("instruments", {"CPL": {"title": "A", "aliases": []}, "B": {"title": "a", "aliases": ["A"]}}, "two instr"),
        ("bases", {"CPL/287": {"instrument": "CPL", "article": "286"}}, "CPL/287"),
        ("bases", {"XX/1": {"instrument": "XX", "article": "1"}}, "XX/1"),
    ],
)
def test_another_form_stops_the_revision(name, value, text):
    with pytest.raises(ConfigurationError, match=text):
        legal_parameters({**GOOD, name: value})


@pytest.mark.parametrize("name", sorted(GOOD))
def test_a_missing_parameter_stops_the_revision(name):
    document = copy.deepcopy(GOOD)
    del document[name]
    with pytest.raises(ConfigurationError, match="params"):
        legal_parameters(document)


def test_no_object_is_no_parameters():
    with pytest.raises(ConfigurationError, match="list"):
        legal_parameters([])
