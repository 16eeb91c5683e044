"""What a flush costs here, and a library that makes each one slower: the disks of others are not this one's."""

from __future__ import annotations

import mmap
import os
import subprocess
import tempfile
import time
from pathlib import Path

FLUSHED_BYTES = 8192
"""What PostgreSQL's log writes at least."""

_SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static volatile int *added;

__attribute__((constructor)) static void begin(void) {
    const char *name = getenv("FLUSH_DELAY_FILE");
    int file = name ? open(name, O_RDONLY) : -1;
    void *found = file < 0 ? MAP_FAILED : mmap(0, sizeof(int), PROT_READ, MAP_SHARED, file, 0);
    if (found != MAP_FAILED) added = found;
    if (file >= 0) close(file);
}

static int late(const char *name, int file) {
    int (*real)(int) = (int (*)(int)) dlsym(RTLD_NEXT, name);
    int result = real(file);
    if (added && *added > 0) usleep((useconds_t) *added);
    return result;
}

int fdatasync(int file) { return late("fdatasync", file); }
int fsync(int file) { return late("fsync", file); }
"""


class SlowFlush:
    """``fdatasync`` and ``fsync`` of every process that is started with ``environment`` take longer."""

    def __init__(self, folder: Path) -> None:
        """Compile the library into ``folder``, which the server's user must be able to read."""
        library, self._delay = folder / "flush.so", folder / "flush.delay"
        self._delay.write_bytes(bytes(4))
        self._delay.chmod(0o644)
        command = ["cc", "-O2", "-shared", "-fPIC", "-x", "c", "-", "-o", str(library), "-ldl"]
        subprocess.run(command, input=_SOURCE.encode(), check=True)
        library.chmod(0o755)
        self.environment = {"LD_PRELOAD": str(library), "FLUSH_DELAY_FILE": str(self._delay)}

    def add(self, milliseconds: float) -> None:
        """From now on each flush takes so much longer, also in processes that run already."""
        with self._delay.open("r+b") as file, mmap.mmap(file.fileno(), 4) as shared:
            shared[:4] = int(milliseconds * 1000).to_bytes(4, "little")


def raw_rate(folder: Path, seconds: float) -> float:
    """How often a second a block of a file that has its length already is written over and flushed."""
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        block, places, count = os.urandom(FLUSHED_BYTES), 256, 0
        file.write(block * places)
        file.flush()
        os.fsync(file.fileno())
        start = time.monotonic()
        while (now := time.monotonic()) < start + seconds:
            os.pwrite(file.fileno(), block, count % places * FLUSHED_BYTES)
            os.fdatasync(file.fileno())
            count += 1
        return count / (now - start)
