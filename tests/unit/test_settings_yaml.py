"""YAML is read with one meaning: no duplicate keys, and only true and false are booleans (YAML 1.2)."""

from __future__ import annotations

import pytest
import yaml

from sidecar.settings import SettingsInvalid, load_yaml


def test_only_true_and_false_are_booleans() -> None:
    assert load_yaml("[true, False, TRUE, yes, no, on, off, y, Yes, NO]") == [
        True, False, True, "yes", "no", "on", "off", "y", "Yes", "NO",
    ]  # fmt: skip


def test_yes_and_no_are_keys_of_a_catalog() -> None:
    assert load_yaml('{yes: ["1"], no: ["2"]}') == {"yes": ["1"], "no": ["2"]}


def test_the_ordinary_loader_is_left_as_it_is() -> None:
    assert yaml.safe_load("yes") is True


def test_a_duplicate_key_is_refused_with_its_line() -> None:
    with pytest.raises(SettingsInvalid, match="duplicate key 'a' at line 2"):
        load_yaml("a: 1\na: 2\n")
