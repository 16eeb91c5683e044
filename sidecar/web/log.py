"""Views for prosecutors: the ledger as a tiled log with its checkpoint, and inclusion proofs (C2SP tlog-tiles, tlog-proof).

Nothing beyond the newest signed checkpoint is served: what is not under a signature yet can still be lost.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
from collections.abc import Iterator

from flask import Blueprint
from flask import Response as FlaskResponse
from flask import request as flask_request
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import NotFound

from sidecar.codes import Code, Role
from sidecar.errors import LedgerUnavailable, RequestInvalid
from sidecar.gateway.problem import response
from sidecar.ledger.merkle import HASH_BYTES
from sidecar.ledger.proof import find, prove_entry
from sidecar.ledger.stored import StoredCheckpoint, StoredLog
from sidecar.ledger.tiles import WIDTH, held, pack, read_number
from sidecar.storage.engine import reading
from sidecar.web.problem import flask_response
from sidecar.web.views import no_query, officer, services, typed_request

blueprint = Blueprint("log", __name__, url_prefix="/log")

TEXT = "text/plain; charset=utf-8"
BINARY = "application/octet-stream"
LEVELS = frozenset("01234567")
"""As they are written: 256⁸ leaves have no more."""

IMMUTABLE = "private, max-age=31536000, immutable"
"""A tile never changes; entries name officers, so that no cache between may share them."""


@blueprint.get("/checkpoint")
def checkpoint() -> FlaskResponse:
    """The newest signed checkpoint, with the cosignatures it has by now."""
    _prosecutor()
    no_query(typed_request())
    with _log() as (_, newest):
        return flask_response(response(200, TEXT, newest.cosigned))


@blueprint.get("/tile/<level>/<path:number>")
def tile(level: str, number: str) -> FlaskResponse:
    """A hash tile, full or partial."""
    _prosecutor()
    with _within(number) as (log, newest, index, width):
        if level not in LEVELS or not held(newest.size, int(level), index, width):
            raise NotFound
        return _immutable(b"".join(log.hashes(int(level), index * WIDTH, width)))


@blueprint.get("/tile/entries/<path:number>")
def entries(number: str) -> FlaskResponse:
    """An entry bundle, full or partial."""
    _prosecutor()
    with _within(number) as (log, newest, index, width):
        if not held(newest.size, 0, index, width):
            raise NotFound
        return _immutable(pack(log.entries(index * WIDTH, width)))


@blueprint.get("/proof/<inquiry>")
def proof(inquiry: str) -> FlaskResponse:
    """The inclusion proof of an inquiry's entry; of several pages the first, or the one with the receipt's leaf."""
    _prosecutor()
    leaf = _leaf()
    with _log() as (log, _):
        index = find(log, inquiry, leaf)
        proven = None if index is None else prove_entry(log, index, services().settings.ledger.quorum)
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
def _log() -> Iterator[tuple[StoredLog, StoredCheckpoint]]:
    """The stored log and its newest checkpoint; 404 where nothing is signed."""
    try:
        with reading(services().state).connect() as connection:
            log = StoredLog(connection)
            newest = log.checkpoint()
            if newest is None:
                raise NotFound
            yield log, newest
    except SQLAlchemyError as exc:
        raise LedgerUnavailable("the state database does not answer") from exc


@contextlib.contextmanager
def _within(number: str) -> Iterator[tuple[StoredLog, StoredCheckpoint, int, int]]:
    """The log, and index and width of a tile; 404 where the path is no tile's."""
    no_query(typed_request())
    found = read_number(number)
    if found is None:
        raise NotFound
    with _log() as (log, newest):
        yield log, newest, *found


def _immutable(content: bytes) -> FlaskResponse:
    answer = flask_response(response(200, BINARY, content))
    answer.headers["Cache-Control"] = IMMUTABLE
    return answer
