"""A settled worker does not look through what it was made of."""

from __future__ import annotations

import subprocess
import sys

SETTLED = """
import gc
from sidecar.serve.collector import YOUNG, settle
made = [[] for _ in range(1_000)]
settle()
cycle = []; cycle.append(cycle); del cycle
print(gc.get_freeze_count() > len(made), gc.get_threshold()[0] == YOUNG, gc.isenabled(), gc.collect())
"""


def test_a_settled_worker_leaves_what_exists_alone_and_still_collects_what_comes() -> None:
    found = subprocess.run([sys.executable, "-c", SETTLED], check=True, capture_output=True, text=True)
    assert found.stdout.split() == ["True", "True", "True", "1"]
