"""Effects that change applications: each is the condition and the change in one statement, beside its entry (P2, Q5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sidecar.ledger.types import Effect
from sidecar.papers.tables import APPLICATIONS

CHANGE: Final = "change_application"
"""Effect that is refused where somebody else was first."""

_BIGINT: Final = frozenset({"version", "received", "valid_to"})
_BLOB: Final = frozenset({"content"})

_EVENT = (
    "INSERT INTO application_events (application, version, action, state, actor, time, entry_id) "
    "SELECT CAST(%(id)s AS TEXT), CAST(%(version)s AS BIGINT), CAST(%(action)s AS TEXT), CAST(%(state)s AS TEXT), "
    "CAST(%(actor)s AS TEXT), CAST(%(time)s AS BIGINT), CAST(%(entry_id)s AS TEXT) WHERE {guard}"
)
_HELD = "WHERE id = %(id)s AND state = %(before)s AND version = %(version)s AND {guard}"
_OTHER = " AND NOT (officer_issuer = %(issuer)s AND officer = %(subject)s)"
_OWN = " AND officer_issuer = %(issuer)s AND officer = %(subject)s"
_SUBMIT = (
    "UPDATE applications SET state = %(state)s, version = version + 1, valid_to = NULL "  # noqa: S608  # constants
    f"{_HELD}{_OWN} AND valid_to >= CAST(%(now)s AS BIGINT)"
)
_WITHDRAW = (
    "UPDATE applications SET state = %(state)s, version = version + 1, "  # noqa: S608  # constants
    f"content = %(content)s, content_key_id = %(content_key_id)s {_HELD}{_OWN}"
)
_APPROVE = (
    "UPDATE applications SET state = %(state)s, version = version + 1, valid_to = CAST(%(valid_to)s AS BIGINT), "  # noqa: S608
    f"approver = %(approver)s, copies_approved = CAST(%(copies)s AS BIGINT) = 1 {_HELD}{_OTHER}"
)
_REFUSE = (
    "UPDATE applications SET state = %(state)s, version = version + 1, approver = %(approver)s, "  # noqa: S608  # constants
    f"content = %(content)s, content_key_id = %(content_key_id)s {_HELD}{_OTHER}"
)
_UNDERTAKE = (
    "UPDATE applications SET undertaking_by = %(actor)s, version = version + 1 "  # noqa: S608  # constants
    f"{_HELD}{_OWN} AND undertaking_by IS NULL AND valid_to >= CAST(%(now)s AS BIGINT)"
)
_SIGNED = (
    "INSERT INTO undertakings (application, officer, signed, wording, entry_id) "
    "SELECT CAST(%(id)s AS TEXT), CAST(%(actor)s AS TEXT), CAST(%(signed)s AS BIGINT), %(wording)s, "
    "CAST(%(entry_id)s AS TEXT) WHERE {guard}"
)
UPDATES: Final[Mapping[str, str]] = {
    "submit": _SUBMIT,
    "withdraw": _WITHDRAW,
    "approve": _APPROVE,
    "refuse": _REFUSE,
    "undertaking": _UNDERTAKE,
}


def change(action: str, values: Mapping[str, Any]) -> Effect:
    """The required change of one action; refused unless id, state, version and person are as they were read."""
    return Effect(CHANGE, UPDATES[action], dict(values), required=True)


def event(values: Mapping[str, Any], name: str = "application_event") -> Effect:
    """A line of the application's history."""
    return Effect(name, _EVENT, dict(values))


def signed(values: Mapping[str, Any]) -> Effect:
    """The undertaking's row."""
    return Effect("undertaking", _SIGNED, dict(values))


def insert(row: Mapping[str, Any], name: str = "new_application") -> Effect:
    """A new application, all columns, so that no default is forgotten; refused where its id is taken."""
    return Effect(name, _INSERT, dict(row), required=True)


def _value(name: str) -> str:
    if name == "copies_approved":
        return f"CAST(%({name})s AS BIGINT) = 1"
    if name in _BLOB:
        return f"%({name})s"
    return f"CAST(%({name})s AS {'BIGINT' if name in _BIGINT else 'TEXT'})"


_INSERT: Final = (
    "INSERT INTO applications ("
    + ", ".join(f'"{column.name}"' for column in APPLICATIONS.c)
    + ") SELECT "
    + ", ".join(_value(column.name) for column in APPLICATIONS.c)
    + " WHERE {guard} ON CONFLICT DO NOTHING"
)
