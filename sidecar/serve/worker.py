"""What granian imports in each worker: the application, in a process that ends with its parent and in order.

A worker is a ``multiprocessing`` child, which runs no ``atexit`` handlers: when granian's loop returns after SIGTERM,
requests under way are answered, and the finalizer below records what is counted but not yet recorded.
"""

from __future__ import annotations

import atexit
import os
from multiprocessing.util import Finalize

from sidecar.serve.collector import settle
from sidecar.serve.process import die_with_parent

die_with_parent()

from sidecar.web.wsgi import application  # noqa: E402  # a worker that is orphaned while importing ends as well

__all__ = ["application"]

_PRIORITY = 10
"""Finalizers without a priority do not run at the end of a process; nothing else of ours has one."""


class _Closing:
    """Closes what the application stands on, once, and only in the process that opened it."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._done = False

    def __call__(self) -> None:
        """Record what is counted; disconnect."""
        if not self._done and os.getpid() == self._pid:
            self._done = True
            application.extensions["sidecar"].close()


_close = _Closing()
Finalize(None, _close, exitpriority=_PRIORITY)
atexit.register(_close)
settle()
