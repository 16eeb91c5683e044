"""Writes a log to a folder of JSON lines that ``verify`` reads without the database."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from sidecar.errors import ConfigurationError, LedgerUnavailable
from sidecar.ledger.verify import Database, Event, Row, StoredNote

FORMAT = 2
"""``format`` of the manifest."""


def export(engine: Engine, folder: Path, progress: Callable[[int], None] | None = None, *, origin: str = "") -> int:
    """Export one snapshot of an origin's log, else of the present one's; returns the number of positions.

    Files: ``manifest.json`` (format, origin, size, roots, cursors, and where writers and events begin), ``entries.jsonl`` (in order of positions),
    ``pending.jsonl`` (entries without position yet), ``events.jsonl``, ``checkpoints.jsonl`` (signed notes). Hashes are
    base64, bodies are text. The manifest is written last: a folder without it is an export that was broken off.

    Raises:
        ConfigurationError: the folder exists and is not empty.
        LedgerUnavailable: the database does not answer.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise ConfigurationError(f"{folder}: expected an empty folder")
    snapshot = (
        {"sqlite_begin": "DEFERRED"} if engine.dialect.name == "sqlite" else {"isolation_level": "REPEATABLE READ"}
    )
    try:
        with engine.execution_options(**snapshot).connect() as connection:
            return _write(Database(connection, origin), folder, progress)
    except SQLAlchemyError as exc:
        raise LedgerUnavailable("the state database does not answer") from exc


def _write(source: Database, folder: Path, progress: Callable[[int], None] | None) -> int:
    head = source.head()
    count = _lines(folder / "entries.jsonl", map(_row, source.rows()), progress)
    _lines(folder / "pending.jsonl", map(_row, source.pending()))
    _lines(folder / "events.jsonl", map(_event, source.events()))
    _lines(folder / "checkpoints.jsonl", map(_note, source.checkpoints()))
    manifest = {
        "format": FORMAT,
        "origin": head.origin,
        "size": head.size,
        "roots": _text(head.roots),
        "cursors": head.cursors,
        "starts": {writer: [seq, _text(chain)] for writer, (seq, chain) in head.starts.items()},
        "first_event": head.first_event,
        "previous": _tree(head.previous),
        "root": _text(head.root),
        "reason": head.reason,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, sort_keys=True) + "\n", encoding="utf-8")
    return count


def _lines(file: Path, values: Iterable[dict[str, Any]], progress: Callable[[int], None] | None = None) -> int:
    count = 0
    with file.open("x", encoding="utf-8") as output:
        for count, value in enumerate(values, 1):
            output.write(json.dumps(value, sort_keys=True) + "\n")
            if progress:
                progress(count)
    return count


def _row(row: Row) -> dict[str, Any]:
    return {
        "position": row.position,
        "writer": row.writer,
        "writer_seq": row.writer_seq,
        "chain": _text(row.chain),
        "leaf_hash": _text(row.leaf_hash),
        "body": (row.body or b"").decode(errors="replace"),
    }


def _event(event: Event) -> dict[str, Any]:
    return {
        "seq": event.seq,
        "position": event.position,
        "leaf_hash": _text(event.leaf_hash),
        "type": event.type,
        "severity": event.severity,
        "body": event.body.decode(errors="replace"),
    }


def _note(stored: StoredNote) -> dict[str, Any]:
    return {"size": stored.size, "root": _text(stored.root), "note": stored.note.decode(errors="replace")}


def _tree(tree: tuple[str, int, bytes] | None) -> list[str | int] | None:
    return None if tree is None else [tree[0], tree[1], _text(tree[2])]


def _text(value: bytes | None) -> str:
    return b64encode(value or b"").decode("ascii")
