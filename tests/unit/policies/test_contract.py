"""Parameters, schemas and capabilities agree with the closed sets of the program."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from sidecar.codes import Channel, Code, EntryKind, FieldClass, Role, Scope, View
from sidecar.policy import decode
from sidecar.policy.types import (
    ATTRIBUTE_DOMAINS,
    ApplicationFacts,
    Attributes,
    Era,
    Facts,
    Joint,
    LetterFacts,
    MainActs,
    Minor,
    RecordKind,
    UndertakingFacts,
)

POLICIES = Path(__file__).resolve().parents[3] / "policies"
PARAMS = json.loads((POLICIES / "params" / "data.json").read_text("utf-8"))
FACTS = Facts(
    channel="api",
    today=20261123,
    roles=("officer",),
    certificate="valid",
    officer="active",
    organ="court",
    unit="active",
    database="known",
    target="subject",
    scope="open",
    reason="stated",
    basis="CPL/286",
    basis_state="listed",
    purpose="case_handling",
    purpose_state="known",
    case_number="court_form",
    letter=LetterFacts(),
    application=ApplicationFacts(),
    undertaking=UndertakingFacts(),
)
RECORD = Attributes(
    Minor.YES, 60, RecordKind.JUDGMENT, MainActs.UNKNOWN, Joint.NONE, False, False, False, False, Era.CURRENT
)


def schema(name: str) -> jsonschema.Draft7Validator:
    found = json.loads((POLICIES / "schemas" / f"{name}.json").read_text("utf-8"))
    jsonschema.Draft7Validator.check_schema(found)
    return jsonschema.Draft7Validator(found)


def as_json(value):
    return json.loads(json.dumps(value))


def test_schema_of_facts_is_the_dataclass():
    schema("facts").validate(as_json(FACTS.as_input()))
    assert set(schema("facts").schema["properties"]) == set(FACTS.as_input())


@pytest.mark.parametrize("field", sorted(FACTS.as_input()))
def test_facts_without_a_field_are_no_facts(field):
    facts = as_json(FACTS.as_input())
    del facts[field]
    assert not schema("facts").is_valid(facts)


def test_schema_of_records_is_the_domains_of_attributes():
    schema("records").validate({"records": [RECORD.as_input()]})
    properties = schema("records").schema["properties"]["record"]["properties"]
    assert set(properties) == set(ATTRIBUTE_DOMAINS)
    for name, domain in ATTRIBUTE_DOMAINS.items():
        if domain is not None and domain != (False, True):
            assert properties[name]["enum"] == list(domain)


def test_schema_of_entries_knows_every_kind_and_channel():
    properties = schema("entry").schema["properties"]["entry"]["properties"]
    assert set(properties["kind"]["enum"]) == {kind.value for kind in EntryKind}
    assert set(properties["channel"]["enum"]) == {channel.value for channel in Channel}


def test_alerts_are_of_known_codes_and_severities():
    codes = {code.value for code in Code}
    assert PARAMS["alerts"]["value"].keys() <= codes
    assert set(PARAMS["undeclared_routes"]["value"]["codes"]) <= codes
    for alert in PARAMS["alerts"]["value"].values():
        assert {alert["severity"], alert["severity_sealed"]} <= set(decode.SEVERITIES)


def test_views_are_of_known_kinds_views_and_fields():
    kinds = {kind.value for kind in RecordKind}
    views = {view.value for view in View}
    assert PARAMS["views"]["value"].keys() == {scope.value for scope in Scope}
    for scope in PARAMS["views"]["value"].values():
        for table in scope.values():
            assert table.keys() == {"open", "sealed"}
            assert all(shown.keys() <= kinds and set(shown.values()) <= views for shown in table.values())
    shown = {name for names in PARAMS["view_fields"]["value"].values() for name in names}
    assert shown == {field.value for field in FieldClass}


def test_kinds_and_roles_are_the_programs():
    assert PARAMS["kinds"]["value"] == sorted(kind.value for kind in RecordKind)
    assert set(PARAMS["inquirer_roles"]["value"]) <= {role.value for role in Role}


def test_no_capability_reaches_clock_network_or_keys():
    names = {builtin["name"] for builtin in json.loads((POLICIES / "capabilities.json").read_text("utf-8"))["builtins"]}
    assert not {n for n in names if n.split(".")[0] in {"time", "http", "crypto", "io", "net", "opa", "rand", "semver"}}
    assert "sprintf" not in names
