"""What is counted about inquiries: outcomes only. No subject, paper, officer or count of records is in any label (P3).

There is no histogram of times: how long an answer took may depend on what was found.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from prometheus_client import Counter

_INQUIRIES = Counter(
    "sidecar_inquiries",
    "Inquiries answered, by outcome, channel, database (only known names) and HTTP status.",
    ["outcome", "channel", "database", "status"],
)
_UNAUTHENTICATED = Counter("sidecar_unauthenticated", "Requests without a valid token, by reason code.", ["code"])


@lru_cache(maxsize=4096)
def _child(outcome: str, channel: str, database: str, status: int) -> Any:
    return _INQUIRIES.labels(outcome, channel, database, str(status))


def count_inquiry(outcome: str, channel: str, database: str, status: int) -> None:
    """Count one answer. ``database`` MUST be the name of a catalog or empty, so that labels are bounded."""
    _child(outcome, channel, database, status).inc()


def count_unauthenticated(code: str) -> None:
    """Count a request that had no valid token."""
    _UNAUTHENTICATED.labels(code).inc()
