"""What is counted about inquiries: outcomes only. No subject, paper, officer or count of records is in any label (P3).

There is no histogram of times: how long an answer took may depend on what was found.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from prometheus_client import CollectorRegistry, Counter, disable_created_metrics

disable_created_metrics()  # type: ignore[no-untyped-call]  # when an outcome was first counted is nobody's affair, and several workers do not say it either

REGISTRY = CollectorRegistry()
"""What ``/metrics`` shows, with one worker as with several: our counters, and nothing of the process or its memory."""

_INQUIRIES = Counter(
    "sidecar_inquiries",
    "Inquiries answered, by outcome, channel, database (only known names) and HTTP status.",
    ["outcome", "channel", "database", "status"],
    registry=REGISTRY,
)
_UNAUTHENTICATED = Counter(
    "sidecar_unauthenticated", "Requests without a valid token, by reason code.", ["code"], registry=REGISTRY
)


@lru_cache(maxsize=4096)
def _child(outcome: str, channel: str, database: str, status: int) -> Any:
    return _INQUIRIES.labels(outcome, channel, database, str(status))


def count_inquiry(outcome: str, channel: str, database: str, status: int) -> None:
    """Count one answer. ``database`` MUST be the name of a catalog or empty, so that labels are bounded."""
    _child(outcome, channel, database, status).inc()


def count_unauthenticated(code: str) -> None:
    """Count a request that had no valid token."""
    _UNAUTHENTICATED.labels(code).inc()
