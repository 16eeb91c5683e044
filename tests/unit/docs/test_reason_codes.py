"""Every reason code is explained, in both languages, and nothing is explained that does not exist."""

from __future__ import annotations

import re
from pathlib import Path

from sidecar.codes import Code

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "reason-codes.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| <a id=\"([a-z-]+)\"></a>`([a-z-]+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \|", PAGE, re.MULTILINE)


def test_every_code_is_documented_once():
    assert [row[1] for row in ROWS] == sorted(code.value for code in Code)


def test_every_code_can_be_linked_to():
    assert all(anchor == code for anchor, code, *_ in ROWS)


def test_every_code_has_a_status_and_both_languages():
    for _, code, status, english, chinese in ROWS:
        assert re.fullmatch(r"\d{3}( or \d{3})?|–", status.strip()), code
        assert english.strip().endswith("."), code
        assert re.search(r"[\u4e00-\u9fff]", chinese), code
