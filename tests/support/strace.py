"""System calls of running processes in the order of time, as strace tells them."""

from __future__ import annotations

import contextlib
import re
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from sidecar.demo.world import wait_for

SHOWN_BYTES = 16384
"""Of each buffer: an entry stands in one."""

_LINE = re.compile(r"(\d+) +(\d+\.\d+) (?:<\.\.\. )?(\w+)(.*)")
_TOOK = re.compile(r"<(\d+\.\d+)>$")


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a thread; times are POSIX seconds. ``text`` is what strace shows of arguments and result."""

    thread: int
    name: str
    start: float
    end: float
    text: str

    @property
    def file(self) -> str:
        """Number and name of the file or connection that it is on."""
        return self.text.split(",", 1)[0]

    def flushed(self, file: str) -> bool:
        """Whether it has brought a file of this name onto the disk."""
        return (
            self.name in {"fsync", "fdatasync"} and file in self.text and re.search(r"\) += 0", self.text) is not None
        )


@contextlib.contextmanager
def traced(processes: Iterable[int]) -> Iterator[list[Call]]:
    """Trace the processes and what they start, flushes, reads and writes, for the length of the ``with``.

    What it gives is filled at its end, in the order of the calls' beginnings.
    """
    found: list[Call] = []
    pids = [*processes]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "calls"
        calls = "trace=fsync,fdatasync,read,recvfrom,recvmsg,write,writev,pwrite64,sendto,sendmsg"
        command = ["strace", "-f", "-y", "-ttt", "-T", "-s", str(SHOWN_BYTES), "-e", calls, "-o", str(file)]
        command += [argument for pid in pids for argument in ("-p", str(pid))]
        with subprocess.Popen(command, stderr=subprocess.PIPE) as strace:
            try:
                wait_for("strace", lambda: all(_followed(pid) for pid in pids))
                yield found
            finally:
                strace.terminate()
                strace.communicate()
        found += sorted(_calls(file.read_text(encoding="utf-8")), key=lambda call: call.start)


def _followed(pid: int) -> bool:
    """Whether each of its threads has a tracer."""
    threads = psutil.Process(pid).threads()
    return all("TracerPid:\t0" not in Path(f"/proc/{pid}/task/{each.id}/status").read_text() for each in threads)


def _calls(text: str) -> Iterator[Call]:
    """A call that another thread's interrupts stands on two lines: how it began, and how it was resumed."""
    begun: dict[int, tuple[float, str]] = {}
    for line in text.splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        thread, time, name, rest = int(match[1]), float(match[2]), match[3], match[4]
        if rest.endswith("<unfinished ...>"):
            begun[thread] = time, rest
            continue
        took = _TOOK.search(rest)
        if " resumed>" in rest:
            start, before = begun.pop(thread, (time, ""))
            yield Call(thread, name, start, time, before + rest)
        else:
            yield Call(thread, name, time, time + float(took[1] if took else 0), rest)
