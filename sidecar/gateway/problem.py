"""Problem documents (RFC 9457): what every answer is that is no release; a function of request and decision alone (P3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sidecar.gateway.types import Response

CONTENT_TYPE = "application/problem+json"
JSON = "application/json"

DOCS = "/docs/reason-codes#"
"""Problem types are relative references into the deployment's own documentation."""


def title(code: str) -> str:
    """Short text of a code for people: the code's own words."""
    return code.replace("-", " ").capitalize()


def problem(
    status: int,
    codes: Sequence[str],
    *,
    missing: Sequence[str] = (),
    rules: Sequence[str] = (),
    inquiry_id: str = "",
    detail: str = "",
) -> dict[str, Any]:
    """The members of a problem document.

    Args:
        status: HTTP status.
        codes: reason codes; the first is the problem's own.
        missing: what should be brought.
        rules: IDs of the rules that carried the decision.
        inquiry_id: id of the inquiry, as in the ledger; "" where nothing was recorded under an id.
        detail: what is wrong with the request's form; never a value that was sent.
    """
    document: dict[str, Any] = {
        "type": DOCS + codes[0],
        "title": title(codes[0]),
        "status": status,
        "code": codes[0],
        "reasons": [{"code": code, "title": title(code)} for code in codes],
        "missing": list(missing),
    }
    if rules:
        document["rules"] = list(rules)
    if detail:
        document["detail"] = detail
    if inquiry_id:
        document["inquiry_id"] = inquiry_id
    return document


def response(status: int, content_type: str, body: bytes, *further: tuple[str, str]) -> Response:
    """A response with the headers that every answer has, in one order, and nothing that varies (P8: ``no-store``)."""
    headers = (
        ("Content-Type", content_type),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
        *further,
    )
    return Response(status, headers, body)
