"""The pages of commands and settings are those of the code."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

FILE = Path(__file__).resolve().parents[3] / "tools" / "gen_docs.py"


def _generator():
    spec = importlib.util.spec_from_file_location("gen_docs", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATOR = _generator()


@pytest.mark.parametrize("file", GENERATOR.PAGES, ids=lambda file: file.name)
def test_a_generated_page_is_current(file) -> None:
    assert file.read_text(encoding="utf-8") == GENERATOR.PAGES[file]().rstrip("\n") + "\n", "run `make docs`"


def test_every_setting_is_described() -> None:
    for line in GENERATOR.settings_page().splitlines():
        if line.startswith("| `"):
            assert not line.endswith("|  |"), line
