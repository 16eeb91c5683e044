"""What a WSGI server imports: the application of the settings file named by ``SIDECAR_CONFIG``, one a worker."""

from __future__ import annotations

import os
from multiprocessing.util import Finalize
from pathlib import Path

from flask import Flask

from sidecar.settings import load
from sidecar.web.app import create_app
from sidecar.web.logging import configure
from sidecar.web.wire import build_services


def _application() -> Flask:
    settings = load(Path(os.environ["SIDECAR_CONFIG"]))
    configure(settings.logging)
    services = build_services(settings)
    # A server's forked worker runs no atexit handlers; what it counted must be recorded all the same.
    Finalize(None, services.close, exitpriority=1)
    return create_app(settings, services)


application = _application()
