"""Turns entries into alerts: CloudEvents 1.0 with a gapless sequence, a function of entries and revision only."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from sqlalchemy import Connection, func, select

from sidecar.ledger.projector import Positioned
from sidecar.oversight.tables import EVENTS
from sidecar.policy.types import AlertFinding, Engine

DATA_FIELDS = (
    "application",
    "channel",
    "codes",
    "database",
    "extra",
    "id",
    "kind",
    "letter",
    "officer",
    "outcome",
    "page",
    "pseudonym_key",
    "revision",
    "scope",
    "subject",
    "unit",
)
"""Clear fields of the entry that an alert repeats; the subject is a pseudonym there as here (P6)."""


JUDGED_FIELDS = ("channel", "codes", "database", "kind", "outcome", "purpose", "scope")
"""What the alerts policy looks at: kinds, states and codes, nobody's number; many entries are alike in them."""


MAX_COUNT_DIGITS = 15
"""More requests than that were never counted."""


def judged(fields: Mapping[str, Any]) -> dict[str, Any]:
    """An entry's clear fields as the alerts policy gets them, with the ``count`` of an entry that counts attempts."""
    found = {name: fields[name] for name in JUDGED_FIELDS if name in fields}
    extra = fields.get("extra")
    count = extra.get("count") if isinstance(extra, dict) else None
    if isinstance(count, str) and count.isascii() and count.isdigit() and len(count) <= MAX_COUNT_DIGITS:
        found["count"] = int(count)
    return found


class AlertProjector:
    """Implements ``ledger.projector.Projector``; the alerts policy decides which entries alert, and how gravely.

    An unavailable engine stops the sequencer until it is back: no entry passes unjudged.
    """

    def __init__(self, engine: Engine, deployment: str) -> None:
        self._engine = engine
        self._source = f"urn:sidecar:{deployment}"

    def project(self, connection: Connection, entries: Sequence[Positioned]) -> None:
        """Write the events of these entries; the sequence goes on from the last event."""
        found = [(entry, finding) for entry in entries for finding in self._engine.alerts(judged(entry.fields))]
        if not found:
            return
        last = connection.execute(select(func.max(EVENTS.c.seq))).scalar_one() or 0
        rows = [self._row(seq, entry, finding) for seq, (entry, finding) in enumerate(found, last + 1)]
        connection.execute(EVENTS.insert(), rows)

    def _row(self, seq: int, entry: Positioned, finding: AlertFinding) -> dict[str, Any]:
        event = cloud_event(self._source, seq, entry, finding)
        return {
            "seq": seq,
            "id": event.get_id(),
            "type": finding.type,
            "severity": finding.severity,
            "position": entry.position,
            "leaf_hash": entry.leaf_hash,
            "time": str(entry.fields["time"]),
            "body": canonical(event),
        }


def cloud_event(source: str, seq: int, entry: Positioned, finding: AlertFinding) -> CloudEvent:
    """The event of one finding. Its id follows from leaf and type, so that a receiver knows a repetition.

    Extension attributes: ``sequence`` (decimal, gapless from 1), ``severity``, ``leafhash`` (hex), ``position``
    in the log, and which ``log``: the origin of its checkpoints.
    """
    return CloudEvent(
        {
            "specversion": "1.0",
            "id": hashlib.sha256(entry.leaf_hash + finding.type.encode()).hexdigest()[:32],
            "source": source,
            "type": finding.type,
            "time": datetime.fromisoformat(str(entry.fields["time"])),
            "datacontenttype": "application/json",
            "sequence": str(seq),
            "severity": finding.severity,
            "leafhash": entry.leaf_hash.hex(),
            "position": str(entry.index),
            **({"log": entry.log} if entry.log else {}),
        },
        data(entry, finding),
    )


def data(entry: Positioned, finding: AlertFinding) -> dict[str, Any]:
    """The event's data: the entry's clear fields without the empty ones, the position, and the rules that alerted."""
    fields: Mapping[str, Any] = {name: entry.fields[name] for name in DATA_FIELDS if entry.fields.get(name)}
    return {**fields, "position": entry.index, "rules": list(finding.rules)}


def canonical(event: CloudEvent) -> bytes:
    """The event in CloudEvents' JSON format, keys sorted."""
    return orjson.dumps(orjson.loads(JSONFormat().write(event)), option=orjson.OPT_SORT_KEYS)
