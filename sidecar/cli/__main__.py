"""``python -m sidecar.cli``: the ``sidecar`` program without an installed script."""

from __future__ import annotations

import sys

from sidecar.cli import main

sys.exit(main())
