"""A gateway worker that is told to end while it starts ends at once."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

FORK = """
import os, signal, sys, time
from sidecar.serve.gateway import workers_end_when_told
number = int(sys.argv[1])
signal.signal(number, lambda *_: print("handled", flush=True))
workers_end_when_told()
child = os.fork()
if child == 0:
    signal.pause()
os.kill(child, number)
_, status = os.waitpid(child, 0)
print("child", os.WTERMSIG(status), flush=True)
os.kill(os.getpid(), number)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_fork_does_not_keep_the_handlers_of_its_parent_and_the_parent_does(number) -> None:
    command = [sys.executable, "-c", FORK, str(int(number))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout.split("\n")[:2] == [f"child {int(number)}", "handled"]
