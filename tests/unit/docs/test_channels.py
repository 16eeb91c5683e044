"""Every channel that could tell of a sealed record stands in the threat model, closed by a test or named as residue."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.worlds.mutants import MUTANTS

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "threat-model.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("\n## Channels\n")[2].partition("\n## ")[0]
ROWS = {
    cells[0]: cells[1:]
    for line in SECTION.splitlines()
    if (cells := [cell.strip() for cell in line.strip().strip("|").split("|")]) and len(cells) == 3
}
ISSUE = (
    "Status", "Body", "Order", "Page length", "Totals", "Content-Length", "ETag", "Last-Modified", "Cache headers",
    "Compressed size", "Cursor", "Ledger positions", "Entry sizes", "Receipts", "Limits", "Error texts of the database",
    "Upstream headers and cookies", "Redirects", "LIKE search", "Sort position", "Filters on hidden fields",
    "Document numbers", "Sessions of legacy clients", "Tiles, proofs and checkpoints", "Metrics labels", "Traces", "Log lines", "Statement statistics", "Keep-alive", "Time",
)  # fmt: skip


@pytest.mark.parametrize("channel", ISSUE)
def test_a_channel_is_listed(channel):
    assert channel in ROWS


@pytest.mark.parametrize("channel", [name for name in ROWS if name not in {"Channel", "---"}])
def test_a_channel_is_closed_by_a_test_or_named_as_residue(channel):
    shut, by = ROWS[channel]
    assert shut
    assert re.search(r"`test_\w+`|\*[^*]+\*|residue", by), by


@pytest.mark.parametrize("mutant", sorted(set(re.findall(r"\*([^*]+)\*", SECTION))))
def test_a_planted_fault_that_is_named_exists(mutant):
    assert mutant in MUTANTS
