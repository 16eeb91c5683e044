"""The straightforward stack: every check, none of them prepared.

PyJWT verifies token and letter at each request; opa-python-client asks a server over TCP for the decision and for each
record; the entry is one INSERT with a commit of its own before the answer leaves.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

import jwt
import orjson
from flask import Flask, Response, request
from jwt.algorithms import ECAlgorithm
from opa_client.opa import OpaClient

from sidecar.clock import SystemClock
from sidecar.demo.people import AUDIENCE, DATABASE
from sidecar.law.days import beijing_day
from tests.benchmarks.floor import COLUMNS, connection, released

ATTRIBUTES = ("FARQ", "CSRQ", "FCBJ", "XQ_YUE", "JARQ")
QUERY = (
    f"""SELECT {", ".join(f'"{column}"' for column in (*COLUMNS.values(), *ATTRIBUTES))} """
    'FROM "T_AJXX" WHERE "SFZH" = %s ORDER BY "AJBH", "XH" LIMIT 50'
)
BASIS = "CPL/286"
ISSUER_KEY = ECAlgorithm.from_jwk(orjson.loads(Path(os.environ["BENCH_JWKS"]).read_bytes())["keys"][0])
UNIT_KEY = Path(os.environ["BENCH_UNIT"]).read_bytes()
MATCHES = ("unit", "officer", "subject", "database", "scope", "basis", "purpose")
NO_APPLICATION = {
    "state": "absent", "approver_distinct": False, "copies_approved": False,
    **{f"{name}_match": False for name in MATCHES if name != "unit"},
}  # fmt: skip

application = Flask(__name__)
_local = threading.local()
_clock = SystemClock()


def opa(path: str, document: dict[str, object]) -> object:
    """An answer of the policy's entry point."""
    if not hasattr(_local, "opa"):
        _local.opa = OpaClient(host="127.0.0.1", port=int(os.environ["BENCH_OPA_PORT"]))
    package, _, rule = path.rpartition("/")
    return _local.opa.query_rule(document, package, rule)["result"]


def papers() -> tuple[dict[str, object], dict[str, object], dict[str, object]]:
    """The stated body, the token's claims, the letter's claims; verified."""
    body = orjson.loads(request.get_data())
    token = request.headers["Authorization"].removeprefix("Bearer ")
    claims = jwt.decode(token, ISSUER_KEY, ["ES256"], audience=AUDIENCE)
    letter = jwt.decode(body["letter"], UNIT_KEY, ["EdDSA"], audience=AUDIENCE)
    return body, claims, letter


def facts(body: dict, claims: dict, letter: dict) -> dict[str, object]:
    """The policy's input."""
    matches = {
        "unit": letter["iss"] == claims["unit"], "officer": letter["officer"] == claims["sub"],
        "subject": body["subject"]["person_id"] in letter["subjects"], "database": body["database"] in letter["databases"],
        "scope": letter["scope"] == body["scope"], "basis": letter["basis"] == body["basis"],
        "purpose": letter["purpose"] == body["purpose"],
    }  # fmt: skip
    return {
        "channel": "api", "today": beijing_day(_clock.now()), "roles": claims["roles"],
        "certificate": claims["work_certificate"]["status"], "officer": "active", "organ": "public_security",
        "unit": "active", "database": "known" if body["database"] == DATABASE else "unknown", "target": "subject",
        "scope": body["scope"], "reason": "stated" if body["reason"] else "missing", "basis": BASIS,
        "basis_state": "listed", "purpose": body["purpose"], "purpose_state": "known",
        "case_number": "free_form" if body.get("case_number") else "missing", "documents": False,
        "letter": {"state": "valid", "code": "", "kind": "jws", **{f"{k}_match": v for k, v in matches.items()}},
        "application": NO_APPLICATION, "undertaking": {"state": "absent", "officer_match": False},
    }  # fmt: skip


def attributes(offence: str, birth: str, mark: str, months: int, concluded: str) -> dict[str, object]:
    """A record as the policy sees it."""
    era = "before_sealing_law" if concluded <= "20121231" else "before_violation_sealing"
    return {
        "minor": "yes" if int(offence) - int(birth) <= 180000 else "no", "sentence_months": months, "kind": "judgment",
        "main_acts": "unknown", "joint": "none", "seal_mark": mark == "1", "exempted": False, "unsealed": False,
        "disclosure_agreed": False, "era": era if concluded < "20260101" else "current",
    }  # fmt: skip


def is_open(row: tuple[object, ...]) -> bool:
    """One call a record."""
    record = attributes(*row[len(COLUMNS) :])
    return opa("sidecar/sealing/classification", {"records": [record]})[0]["open"]


def log(entry: dict[str, object]) -> None:
    """One INSERT, committed."""
    connection("BENCH_LOG").execute("INSERT INTO bench_log (entry) VALUES (%s)", (orjson.dumps(entry).decode(),))


@application.post("/v1/inquiries")
def inquire() -> Response:
    """What the policy lets be seen."""
    body, claims, letter = papers()
    decision = opa("sidecar/request/decision", facts(body, claims, letter))
    allowed = decision["outcome"] == "allow"
    records = []
    if allowed:
        rows = connection("BENCH_COUNTY").execute(QUERY, (body["subject"]["person_id"],)).fetchall()
        records = [released(row) for row in rows if is_open(row)]
    log({"officer": claims["sub"], "letter": letter["number"], "outcome": decision["outcome"], "count": len(records)})
    answer = {"records": records, "count": len(records)} if allowed else {"codes": decision["codes"]}
    return Response(orjson.dumps(answer), 200 if allowed else 403, content_type="application/json")
