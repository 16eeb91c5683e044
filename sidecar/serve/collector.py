"""When Python's cyclic garbage collector runs in a worker: seldom, and never over what lives as long as the process."""

from __future__ import annotations

import gc

YOUNG = 20_000
"""Objects made before the young ones are looked through. An inquiry makes some hundreds that outlive a call, hardly
one of them in a cycle: by the default of 700 each inquiry would pay for a collection that finds nothing."""


def settle() -> None:
    """Leave everything that exists by now out of all later collections, and let them come less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG)
