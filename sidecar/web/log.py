"""Views for prosecutors: the ledger as a tiled log with its checkpoint, and inclusion proofs (C2SP tlog-tiles, tlog-proof).

Nothing beyond the newest signed checkpoint is served: what is not under a signature yet can still be lost.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
from collections.abc import Iterator

import orjson
from flask import Blueprint
from flask import Response as FlaskResponse
from flask import request as flask_request
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import NotFound

from sidecar.codes import Code, Role
from sidecar.errors import LedgerUnavailable, RequestInvalid
from sidecar.gateway.problem import response
from sidecar.ledger import origins
from sidecar.ledger.merkle import HASH_BYTES
from sidecar.ledger.origins import Origin
from sidecar.ledger.proof import find, prove_entry
from sidecar.ledger.stored import StoredCheckpoint, StoredLog
from sidecar.ledger.tiles import WIDTH, held, pack, read_number
from sidecar.storage.engine import reading
from sidecar.web.problem import flask_response
from sidecar.web.views import no_query, officer, services, typed_request

blueprint = Blueprint("log", __name__, url_prefix="/log")

TEXT = "text/plain; charset=utf-8"
JSON = "application/json"
BINARY = "application/octet-stream"
LEVELS = frozenset("01234567")
"""As they are written: 256⁸ leaves have no more."""

IMMUTABLE = "private, max-age=31536000, immutable"
"""A tile never changes; entries name officers, so that no cache between may share them."""


@blueprint.get("/origins")
def listed() -> FlaskResponse:
    """The ledger's origins: one log a year, the present one last."""
    _prosecutor()
    no_query(typed_request())
    with _connection() as connection:
        found = [_document(origin) for origin in origins.all_of(connection)]
    return flask_response(response(200, JSON, orjson.dumps({"origins": found})))


def _document(origin: Origin) -> dict[str, object]:
    shown: dict[str, object] = {"origin": origin.name, "label": origin.label, "closed": bool(origin.closed)}
    if origin.closed:
        root = base64.b64encode(origin.root).decode("ascii")
        shown |= {"reason": origin.reason, "size": origin.size, "root": root, "destroyed": bool(origin.destroyed)}
    return shown


@blueprint.get("/checkpoint")
@blueprint.get("/<label>/checkpoint")
def checkpoint(label: str = "") -> FlaskResponse:
    """The newest signed checkpoint of a log, with the cosignatures it has by now."""
    _prosecutor()
    no_query(typed_request())
    with _log(label) as (_, newest):
        return flask_response(response(200, TEXT, newest.cosigned))


@blueprint.get("/tile/<level>/<path:number>")
@blueprint.get("/<label>/tile/<level>/<path:number>")
def tile(level: str, number: str, label: str = "") -> FlaskResponse:
    """A hash tile, full or partial."""
    _prosecutor()
    with _within(label, number) as (log, newest, index, width):
        if level not in LEVELS or not held(newest.size, int(level), index, width):
            raise NotFound
        return _immutable(b"".join(log.hashes(int(level), index * WIDTH, width)))


@blueprint.get("/tile/entries/<path:number>")
@blueprint.get("/<label>/tile/entries/<path:number>")
def entries(number: str, label: str = "") -> FlaskResponse:
    """An entry bundle, full or partial."""
    _prosecutor()
    with _within(label, number) as (log, newest, index, width):
        if not held(newest.size, 0, index, width):
            raise NotFound
        return _immutable(pack(log.entries(index * WIDTH, width)))


@blueprint.get("/proof/<inquiry>")
def proof(inquiry: str) -> FlaskResponse:
    """The inclusion proof of an inquiry's entry, whatever its year; of several pages the first, or the receipt's."""
    _prosecutor()
    leaf = _leaf()
    with _connection() as connection:
        found = find(connection, inquiry, leaf)
        proven = None if found is None else prove_entry(*found, services().settings.ledger.quorum)
    if proven is None:
        raise NotFound
    return flask_response(response(200, TEXT, proven))


def _prosecutor() -> None:
    officer(typed_request(), Role.PROSECUTOR)


def _leaf() -> bytes | None:
    """The query's ``leaf``, as receipts have it: base64url without padding.

    Raises:
        RequestInvalid: ``field-unknown`` or ``identifier-invalid``.
    """
    given = flask_request.args.to_dict(flat=False)
    if not given.keys() <= {"leaf"} or any(len(values) > 1 for values in given.values()):
        raise RequestInvalid(Code.FIELD_UNKNOWN, "expected leaf once at most")
    if not given:
        return None
    try:
        text = given["leaf"][0]
        leaf = base64.b64decode(text.encode("ascii") + b"=", altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error):
        leaf = b""
    if len(leaf) != HASH_BYTES:
        raise RequestInvalid(Code.IDENTIFIER_INVALID, "leaf: expected a hash of 32 bytes in base64url")
    return leaf


@contextlib.contextmanager
def _connection() -> Iterator[Connection]:
    try:
        with reading(services().state).connect() as connection:
            yield connection
    except SQLAlchemyError as exc:
        raise LedgerUnavailable("the state database does not answer") from exc


@contextlib.contextmanager
def _log(label: str) -> Iterator[tuple[StoredLog, StoredCheckpoint]]:
    """A stored log and its newest checkpoint; 404 where there is none, nothing is signed or its entries are destroyed."""
    with _connection() as connection:
        origin = origins.by_label(connection, label) if label else None
        if label and (origin is None or origin.destroyed):
            raise NotFound
        log = StoredLog(connection, origin)
        newest = log.checkpoint()
        if newest is None:
            raise NotFound
        yield log, newest


@contextlib.contextmanager
def _within(label: str, number: str) -> Iterator[tuple[StoredLog, StoredCheckpoint, int, int]]:
    """The log, and index and width of a tile; 404 where the path is no tile's."""
    no_query(typed_request())
    found = read_number(number)
    if found is None:
        raise NotFound
    with _log(label) as (log, newest):
        yield log, newest, *found


def _immutable(content: bytes) -> FlaskResponse:
    answer = flask_response(response(200, BINARY, content))
    answer.headers["Cache-Control"] = IMMUTABLE
    return answer
