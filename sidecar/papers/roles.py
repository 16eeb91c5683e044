"""Rights of PostgreSQL roles on all tables: each process has those of its work and no more (E2, GB/T 22239).

The ledger's are in ``ledger.roles``. Tables belong to the role that runs ``sidecar db upgrade``, the imports and
``sidecar policy activate``; the serving processes are others. What a paper once said can be changed by none of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sidecar.ledger import roles as ledger
from sidecar.ledger.roles import Part

_REGISTRY: Final = ("registry_revisions", "units", "unit_keys", "officers", "revoked_tokens")
_GATEWAY: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(_REGISTRY, ("SELECT",)),
    "letters": ("SELECT", "INSERT"),
    "revoked_letters": ("SELECT",),
    "letter_uses": ("SELECT", "INSERT", "UPDATE (used)"),
    "inquiries": ("SELECT", "INSERT", "UPDATE (pages)", "DELETE"),
    "inquiry_sessions": ("SELECT", "INSERT", "DELETE"),
    "idempotency_keys": ("SELECT", "INSERT", "UPDATE (inquiry, expires)", "DELETE"),
    "applications": (
        "SELECT",
        "INSERT",
        "UPDATE (state, version, valid_to, approver, copies_approved, undertaking_by, content, content_key_id)",
    ),
    "application_events": ("SELECT", "INSERT"),
    "undertakings": ("SELECT", "INSERT"),
    "seal_register": ("SELECT",),
    "seal_register_version": ("SELECT",),
}
"""Who asked for whom, in which database and to what end cannot be updated, nor uses be taken away by deleting them."""


def grants(part: Part, role: str) -> tuple[str, ...]:
    """GRANT statements for the ``role`` of a part, to be run by the tables' owner after every ``sidecar db upgrade``.

    A worker that serves the prosecutors' feed as well has the rights of ``gateway`` and of ``oversight``.
    """
    name = '"' + role.replace('"', '""') + '"'
    rights: dict[str, tuple[str, ...]] = {} if part == "oversight" else {"revisions": ("SELECT",)}
    if part == "gateway":
        rights |= _GATEWAY
    own = [f"GRANT {right} ON {table} TO {name}" for table, granted in rights.items() for right in granted]
    return (*ledger.grants(part, role), *own)
