"""A deployment as a process whose clock stands still and whose randomness is a seed: the gateway's own server around it.

Run as ``python -m tests.worlds.served``. What differs from ``sidecar.serve.gateway`` is only what the application is
made from; no setting of the product can do that.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import orjson

from sidecar.clock import FixedClock
from sidecar.serve import gateway
from sidecar.serve.process import die_with_parent
from sidecar.settings import Logging, Settings
from sidecar.web.app import create_app
from sidecar.web.logging import configure
from sidecar.web.wire import build_services
from tests.support.world import NOW, Drip

FILE = "SIDECAR_WORLDS_SETTINGS"


def write_settings(settings: Settings, port: int, file: Path, *, workers: int = 1, threads: int = 1) -> None:
    """For the process: so many workers and threads, on this port."""
    content = settings.model_dump(mode="json")
    content["server"] |= {"port": port, "workers": workers, "threads": threads}
    file.write_bytes(orjson.dumps(content))


def _settings() -> Settings:
    return Settings.model_validate_json(Path(os.environ[FILE]).read_bytes())


def __getattr__(name: str) -> Any:
    """``application``, made where it is asked for: in the worker."""
    if name != "application":
        raise AttributeError(name)
    settings, clock = _settings(), FixedClock(NOW)
    configure(Logging(level="debug", format="json"), clock)
    return create_app(settings, build_services(settings, clock=clock, random=Drip(b"served"), watch=False))


def main() -> int:
    die_with_parent()
    gateway.workers_end_when_told()
    gateway.WORKER = "tests.worlds.served:application"
    gateway.server(_settings()).serve()
    return 0


if __name__ == "__main__":
    sys.exit(main())
