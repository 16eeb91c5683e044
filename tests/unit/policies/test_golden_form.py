"""The golden cases have their form and agree with the parameters, so that a runner cannot skip one by a slip."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from sidecar.codes import Code
from sidecar.law.identifiers import CITIZEN_CHECKS, CITIZEN_WEIGHTS
from sidecar.policy.bases import basis_key
from sidecar.policy.params import legal_parameters
from sidecar.settings import load_yaml

POLICIES = Path(__file__).resolve().parents[3] / "policies"
GOLDEN = load_yaml((POLICIES / "golden" / "cases.yaml").read_text("utf-8"))
CATALOG = load_yaml((POLICIES / "golden" / "catalog.yaml").read_text("utf-8"))
PARAMETERS = json.loads((POLICIES / "params" / "data.json").read_text("utf-8"))
CASES = {case["id"]: case for case in GOLDEN["cases"]}


def columns(node: Any) -> set[str]:
    if isinstance(node, dict):
        return {v for k, v in node.items() if k in {"column", "kind_from"}} | set().union(*map(columns, node.values()))
    return set().union(*map(columns, node)) if isinstance(node, list) else set()


def test_file_has_the_form_of_its_schema():
    schema = json.loads((POLICIES / "golden" / "schema.json").read_text("utf-8"))
    jsonschema.Draft7Validator.check_schema(schema)
    jsonschema.validate(GOLDEN, schema)


def test_ids_are_unique():
    assert len(CASES) == len(GOLDEN["cases"])


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_case_is_of_one_person_with_declared_columns(case):
    assert all(row.keys() <= GOLDEN["row"].keys() | {"AJBH", "SFZH"} for row in case["rows"])
    assert len({row["SFZH"] for row in case["rows"]}) == min(1, len(case["rows"]))
    for row in case["rows"]:
        body, check = row["SFZH"][:17], row["SFZH"][17]
        assert CITIZEN_CHECKS[sum(int(d) * w for d, w in zip(body, CITIZEN_WEIGHTS, strict=True)) % 11] == check


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_case_says_something_of_every_row_and_asker(case):
    assert len(case["classified"]) == len(case["rows"])
    for ask in case["asks"]:
        assert ask["who"] in GOLDEN["askers"]
        assert set(ask["expect"]["codes"]) <= {code.value for code in Code}
        allowed = ask["expect"]["outcome"] == "allow"
        assert allowed == ("views" in ask["expect"]) == (not ask["expect"]["codes"])
        if allowed:
            assert len(ask["expect"]["views"]) == len(case["rows"])


def test_catalog_reads_columns_of_the_rows_only_and_never_the_sum():
    used = columns(CATALOG["attributes"]) | columns(CATALOG["released"])
    assert used <= GOLDEN["row"].keys() | {"AJBH", "SFZH"}
    assert "XQ_HJ" not in used


@pytest.mark.parametrize("asker", GOLDEN["askers"].values(), ids=GOLDEN["askers"])
def test_askers_cite_listed_bases(asker):
    params = legal_parameters(PARAMETERS)
    assert basis_key(asker["body"]["basis"]["instrument"], asker["body"]["basis"]["article"], params)
    assert asker["organ"] in params.organs
    assert asker["body"]["purpose"] in params.purposes
