"""The floor: the same query over the same columns by Flask and psycopg, and no check at all."""

from __future__ import annotations

import os
import threading

import orjson
import psycopg
from flask import Flask, Response, request

COLUMNS = {
    "case": "AJBH", "name": "XM", "sex": "XB", "crime": "ZM", "term": "XQ_YUE", "concluded": "JARQ", "address": "JTZZ",
    "story": "BZ",
}  # fmt: skip
"""What the county's catalog releases to the police."""

PAGE = 50
QUERY = (
    f"""SELECT {", ".join(f'"{column}"' for column in COLUMNS.values())}, count(*) OVER () """
    'FROM "T_AJXX" WHERE "SFZH" = %s ORDER BY "AJBH", "XH" LIMIT %s'
)

application = Flask(__name__)
_local = threading.local()


def connection(name: str) -> psycopg.Connection:
    """This thread's connection to the database that the environment names."""
    kept = getattr(_local, name, None)
    if kept is None:
        kept = psycopg.connect(os.environ[name], autocommit=True, prepare_threshold=1)
        setattr(_local, name, kept)
    return kept


def released(row: tuple[object, ...]) -> dict[str, object]:
    """A record as the sidecar writes it."""
    record = dict(zip(COLUMNS, row, strict=False))
    record["story"] = record["story"].decode("gb18030")
    record["sex"] = {"1": "男", "2": "女"}.get(record["sex"], "")
    day = record["concluded"]
    record["concluded"] = f"{day[:4]}-{day[4:6]}-{day[6:]}"
    return record


@application.post("/v1/inquiries")
def inquire() -> Response:
    """All records of the person, to anybody."""
    subject = orjson.loads(request.get_data())["subject"]["person_id"]
    rows = connection("BENCH_COUNTY").execute(QUERY, (subject, PAGE)).fetchall()
    answer = {"records": [released(row) for row in rows], "count": rows[0][-1] if rows else 0}
    return Response(orjson.dumps(answer), content_type="application/json")
