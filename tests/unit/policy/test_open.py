from __future__ import annotations

import pytest

from sidecar.errors import ConfigurationError
from sidecar.policy.open import choose_engine
from sidecar.policy.supervisor import find_opa, inspect_opa
from sidecar.settings import Settings


def settings(tmp_path, **policy):
    return Settings(base=tmp_path, policy={"opa_binary": str(tmp_path / "opa"), **policy})


def program(tmp_path, output, status=0):
    path = tmp_path / "opa"
    path.write_text(f"#!/bin/sh\nprintf '{output}'\nexit {status}\n", encoding="ascii")
    path.chmod(0o755)
    return path


def test_auto_is_wasm_where_there_is_no_opa(tmp_path):
    assert find_opa(settings(tmp_path)) is None
    assert choose_engine(settings(tmp_path)) == "wasm"


def test_auto_is_opa_where_there_is_one(tmp_path):
    program(tmp_path, "Version: 1.20.1\\n")
    assert choose_engine(settings(tmp_path)) == "opa"
    assert choose_engine(settings(tmp_path, engine="wasm")) == "wasm"


def test_a_neighbour_container_needs_no_binary(tmp_path):
    assert choose_engine(settings(tmp_path, engine="opa", opa_supervised=False)) == "opa"


def test_opa_asked_for_and_absent_stops_with_the_fix(tmp_path):
    with pytest.raises(ConfigurationError, match="install OPA"):
        choose_engine(settings(tmp_path, engine="opa"))


@pytest.mark.parametrize(
    ("output", "status", "text"),
    [("Version: 0.70.0\\n", 0, "got 0.70.0"), ("hello\\n", 0, "no version"), ("", 1, "expected an OPA")],
)
def test_an_old_or_foreign_program_is_refused(tmp_path, output, status, text):
    with pytest.raises(ConfigurationError, match=text):
        inspect_opa(program(tmp_path, output, status))
