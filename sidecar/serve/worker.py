"""What granian imports in each worker: the application, in a process that ends with its parent."""

from __future__ import annotations

from sidecar.serve.process import die_with_parent

die_with_parent()

from sidecar.web.wsgi import application  # noqa: E402  # a worker that is orphaned while importing ends as well

__all__ = ["application"]
