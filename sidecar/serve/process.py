"""Child processes that never outlive their parent (prctl(2), PR_SET_PDEATHSIG) and end when they are told to.

A child asks the kernel for the signal itself, first thing, rather than in a ``preexec_fn``: that is not safe in a
process with threads.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

PR_SET_PDEATHSIG = 1

PARENT_ENV = "SIDECAR_PARENT_PID"
"""Environment variable by which a parent tells a child its process id, so that a parent's early death is seen too."""


def die_with_parent(sig: signal.Signals = signal.SIGKILL) -> None:
    """Ask the kernel for ``sig`` when our parent ends, and end at once if it has ended already.

    The kernel watches the *thread* that made us: parents start children from their main thread. Elsewhere than on
    Linux nothing is asked for.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(sig), 0, 0, 0)
    expected = os.environ.get(PARENT_ENV)
    if expected and os.getppid() != int(expected):  # it died between our start and the call above
        os.kill(os.getpid(), sig)


def spawn(
    command: Sequence[str], output: Path | None = None, *, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a child in a session of its own (a terminal's Ctrl-C reaches the parent only, which ends it in order).

    What it writes goes where ours goes, or is added to the file ``output``. It inherits our environment with the
    variables of ``environment`` put in.
    """
    variables = {**os.environ, **(environment or {}), PARENT_ENV: str(os.getpid())}
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(output.open("ab")) if output else None
        return subprocess.Popen(
            command, env=variables, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True
        )


def end(child: subprocess.Popen[bytes], seconds: float) -> bool:
    """SIGTERM, and SIGKILL to the child after ``seconds``; whether it ended by itself."""
    if child.poll() is not None:
        return True
    with contextlib.suppress(ProcessLookupError):
        child.terminate()
    try:
        child.wait(seconds)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
        return False
    return True
