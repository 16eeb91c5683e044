"""The mutants tool makes the mutants it says, and fails on unexplained survivors and stale entries."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SPEC = importlib.util.spec_from_file_location("mutants", ROOT / "tools" / "mutants.py")
assert SPEC is not None
assert SPEC.loader is not None
mutants = importlib.util.module_from_spec(SPEC)
sys.modules["mutants"] = mutants
SPEC.loader.exec_module(mutants)

MODULE = """# METADATA
# title: a == b
package p

import data.params

allowed if {
\tinput.age >= 18 # a comment with 5 > 3
\tnot input.name == "x > 3"
}

kinds := {
\t"a",
}
"""


def names(found):
    return [mutant.name for mutant in found]


def test_rego_mutants_are_complete():
    assert names(mutants.of_rego("p.rego", MODULE)) == [
        "p.rego: rule removed: allowed if {",
        "p.rego: conjunct removed: input.age >= 18 # a comment with 5 > 3",
        'p.rego: conjunct removed: not input.name == "x > 3"',
        "p.rego: >= to <: input.age >= 18 # a comment with 5 > 3",
        "p.rego: >= to >: input.age >= 18 # a comment with 5 > 3",
        "p.rego: 18+1: input.age >= 18 # a comment with 5 > 3",
        "p.rego: 18-1: input.age >= 18 # a comment with 5 > 3",
        'p.rego: == to !=: not input.name == "x > 3"',
        'p.rego: not dropped: not input.name == "x > 3"',
        "p.rego: rule removed: kinds := {",
    ]


def test_a_mutant_changes_one_thing():
    changed = {m.name.split(": ")[1]: m.text for m in mutants.of_rego("p.rego", MODULE)}
    assert changed[">= to >"] == MODULE.replace("input.age >= 18", "input.age > 18")
    assert changed["not dropped"] == MODULE.replace("not input", "input")
    assert "kinds" not in changed["rule removed"]


def test_parameter_mutants_are_complete():
    document = {"seal": {"value": 60}, "kinds": {"value": ["a", "b"]}, "level": {"qualifies": True}}
    found = list(mutants.of_parameters("d.json", json.dumps(document)))
    assert names(found) == [
        "d.json: seal.value: +1",
        "d.json: seal.value: -1",
        "d.json: kinds.value: 'a' removed",
        "d.json: kinds.value: 'b' removed",
        "d.json: level.qualifies: flipped",
    ]
    assert json.loads(found[2].text)["kinds"]["value"] == ["b"]
    assert json.loads(found[4].text)["level"]["qualifies"] is False


def test_names_of_all_mutants_are_unique():
    found = names(mutants.all_mutants(ROOT / "policies"))
    assert len(found) > 1000
    assert len(set(found)) == len(found)


def test_unexplained_survivor_fails(capsys):
    assert mutants.report(["a"], {}, complete=True, known={"a"}) == 1
    assert "survives: a" in capsys.readouterr().out


def test_stale_entry_fails(capsys):
    assert mutants.report([], {"a": "equivalent"}, complete=True, known={"a"}) == 1
    assert "stale entry of mutants-accepted.yaml: a" in capsys.readouterr().out


def test_entry_outside_a_partial_run_is_not_stale():
    assert mutants.report([], {"a": "equivalent"}, complete=False, known={"b"}) == 0


def test_explained_survivor_passes():
    assert mutants.report(["a"], {"a": "equivalent"}, complete=True, known={"a"}) == 0


def test_entry_without_reason_is_refused(tmp_path):
    file = tmp_path / "accepted.yaml"
    file.write_text('- {mutant: "a", reason: " "}\n', "utf-8")
    with pytest.raises(ValueError, match="expected one entry with a reason for 'a'"):
        mutants.accepted(file)


def test_accepted_entries_name_existing_mutants():
    found = set(names(mutants.all_mutants(ROOT / "policies")))
    assert mutants.accepted(mutants.ACCEPTED).keys() <= found
