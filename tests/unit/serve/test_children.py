"""A child is kept running, with pauses, and never outlives its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from sidecar.clock import FixedClock
from sidecar.serve.children import BACKOFF_SECONDS, STABLE_SECONDS, Child

START = datetime(2026, 11, 24, tzinfo=UTC)
SLEEPER = (sys.executable, "-c", "import signal; signal.pause()")


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(START)


@pytest.fixture
def child(clock: FixedClock):
    made = Child("sleeper", SLEEPER, clock)
    made.tend()
    yield made
    made.stop(5)


def _kill(child: Child) -> None:
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)


def test_a_killed_child_is_started_again_after_a_pause(child: Child, clock: FixedClock) -> None:
    first = child.pid
    _kill(child)
    assert child.tend() is False
    assert child.pid is None
    clock.set(START + timedelta(seconds=BACKOFF_SECONDS[0]))
    assert child.tend() is True
    assert child.pid not in {None, first}


def test_the_pause_grows_while_it_keeps_ending(child: Child, clock: FixedClock) -> None:
    now = START
    for pause in BACKOFF_SECONDS[:3]:
        _kill(child)
        child.tend()
        now += timedelta(seconds=pause * 0.9)
        clock.set(now)
        assert child.tend() is False
        now += timedelta(seconds=pause * 0.2)
        clock.set(now)
        assert child.tend() is True


def test_a_child_that_ran_long_starts_the_pauses_anew(child: Child, clock: FixedClock) -> None:
    _kill(child)
    child.tend()
    clock.set(START + timedelta(seconds=1))
    child.tend()
    later = START + timedelta(seconds=2 + STABLE_SECONDS)
    clock.set(later)
    _kill(child)
    child.tend()
    clock.set(later + timedelta(seconds=BACKOFF_SECONDS[0]))
    assert child.tend() is True


def test_stop_says_whether_the_child_ended_by_itself(clock: FixedClock) -> None:
    polite = Child("polite", SLEEPER, clock)
    polite.start()
    assert polite.stop(5) is True
    deaf = Child("deaf", (sys.executable, "-c", _DEAF), clock)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    try:
        deaf.start()
        assert signal.sigtimedwait({signal.SIGUSR1}, 10) is not None
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})
    assert deaf.stop(0.05) is False
    assert deaf.pid is None


_DEAF = """
import os, signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.kill(os.getppid(), signal.SIGUSR1)
while True:
    signal.pause()
"""

_FAMILY = """
import os, subprocess, sys
from sidecar.serve.process import spawn
grand = spawn([sys.executable, "-c", "from sidecar.serve.process import die_with_parent; die_with_parent(); "
               "import os, signal; os.write(1, b'%d\\\\n' % os.getpid()); signal.pause()"])
grand.wait()
"""


def test_a_child_ends_when_its_parent_is_killed() -> None:
    parent = subprocess.Popen([sys.executable, "-c", _FAMILY], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    os.kill(pid, 0)
    parent.kill()
    parent.wait()
    assert parent.stdout.read() == b""  # returns only when the grandchild has closed its end: it is gone
    parent.stdout.close()
