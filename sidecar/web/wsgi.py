"""What a WSGI server imports: the application of the settings file named by ``SIDECAR_CONFIG``, one a worker."""

from __future__ import annotations

import os
from pathlib import Path

from sidecar.settings import load
from sidecar.web.app import create_app
from sidecar.web.logging import configure


def _application() -> object:
    settings = load(Path(os.environ["SIDECAR_CONFIG"]))
    configure(settings.logging)
    return create_app(settings)


application = _application()
