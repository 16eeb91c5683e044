"""Canonical bytes of an entry: RFC 8785 JSON, padded so that its size tells nothing (P3).

Keys are ASCII and sorted, numbers are integers; under these limits orjson's bytes are those of RFC 8785 (a test
compares them). The database stores the *body*: the same JSON without ``pad``, which follows from the length.
"""

from __future__ import annotations

from typing import Any

import orjson

from sidecar.errors import SidecarError
from sidecar.ledger import merkle
from sidecar.ledger.types import Entry, Leaf

VERSION = 1
"""``v`` of the entries made here."""

SIZES = (2048, 8192)
"""Size classes of leaf data in bytes: the second only where the request itself is long; never by what was found."""

PAD = b"0"
"""What ``pad`` consists of."""

_EMPTY_PAD = b',"pad":""'


class EntryInvalid(SidecarError):
    """The entry cannot be encoded: too long for the largest size, not Unicode, or keys that are not ASCII names."""

    code = "internal-error"


def fields(entry: Entry) -> dict[str, Any]:
    """The entry's JSON object with an empty ``pad``; the keys stand in canonical order."""
    return {
        "answer": entry.answer,
        "application": entry.application,
        "basis": entry.basis,
        "channel": entry.channel,
        "codes": entry.codes,
        "database": entry.database,
        "extra": dict(entry.extra) if entry.extra else {},
        "filter": entry.filter,
        "id": entry.id,
        "kind": entry.kind,
        "letter": entry.letter,
        "officer": entry.officer,
        "outcome": entry.outcome,
        "pad": "",
        "page": entry.page,
        "pseudonym_key": entry.pseudonym_key,
        "purpose": entry.purpose,
        "revision": entry.revision,
        "salt": entry.salt,
        "scope": entry.scope,
        "subject": entry.subject,
        "time": entry.time,
        "unit": entry.unit,
        "v": VERSION,
    }


def encode(entry: Entry) -> tuple[bytes, Leaf]:
    """Body to store, and the padded leaf.

    Raises:
        EntryInvalid: see there. The text names no value.
    """
    if entry.extra and not all(k.isascii() and k.isidentifier() and type(v) is str for k, v in entry.extra.items()):
        raise EntryInvalid("extra: expected ASCII names and strings")
    try:
        whole = orjson.dumps(fields(entry), option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError as exc:
        raise EntryInvalid("the entry holds a value that has no canonical JSON form") from exc
    return _pad(whole)


def leaf(body: bytes) -> Leaf:
    """The padded leaf of a stored body. The caller MUST compare its hash with the one that was stored.

    Raises:
        EntryInvalid: see ``read``.
    """
    return read(body)[1]


def read(body: bytes) -> tuple[dict[str, Any], Leaf]:
    """The clear fields of a stored body, and its padded leaf. The caller MUST compare the leaf's hash.

    Raises:
        EntryInvalid: the body is no JSON object, not in its canonical form, or too long. Two bodies never have one leaf:
            other spacing, or a member named twice, could be read differently under the same hash.
    """
    found = decode(body)
    if "pad" in found:
        raise EntryInvalid("a stored body has no pad")
    try:
        canonical, leaf = _pad(orjson.dumps({**found, "pad": ""}, option=orjson.OPT_SORT_KEYS))
    except orjson.JSONEncodeError as exc:
        raise EntryInvalid("the stored body has no canonical form") from exc
    if canonical != body:
        raise EntryInvalid("the stored body is not in its canonical form")
    return found, leaf


def _pad(whole: bytes) -> tuple[bytes, Leaf]:
    """Body and leaf of an entry with an empty ``pad``."""
    # Quotes inside values are escaped, and only strings and numbers stand behind `pad`: the last hit is the member.
    head, _, tail = whole.rpartition(_EMPTY_PAD)
    data = head + b',"pad":"' + PAD * _pad_length(len(whole)) + b'"' + tail
    return head + tail, Leaf(data, merkle.leaf_hash(data))


def _pad_length(length: int) -> int:
    for size in SIZES:
        if length <= size:
            return size - length
    raise EntryInvalid(f"expected at most {SIZES[-1]} bytes, got {length}")


def decode(body: bytes) -> dict[str, Any]:
    """The clear fields of a stored body, as the projectors see them.

    Raises:
        EntryInvalid: the body is no JSON object.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise EntryInvalid("the stored body is no JSON") from exc
    if not isinstance(value, dict):
        raise EntryInvalid(f"expected a JSON object, got {type(value).__name__}")
    return value
