"""Two plain services over the same rows, as such services are written: ``python -m tests.probes.service PORT FILE MODE``.

``postfilter`` asks the database for a page and its total and drops what is sealed from the answer; ``unfiltered`` drops
nothing. Neither is a caricature: the first is what a filtering proxy does that does not page and count by itself.
"""

from __future__ import annotations

import sqlite3
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import orjson

_PAGE = 'SELECT "AJBH", "ZM", "FCBJ" FROM "T_AJXX" WHERE "SFZH" = ? ORDER BY "AJBH" LIMIT ? OFFSET ?'
_TOTAL = 'SELECT count(*) FROM "T_AJXX" WHERE "SFZH" = ?'


class Handler(BaseHTTPRequestHandler):
    """``GET /persons/NUMBER?size=&page=``."""

    protocol_version = "HTTP/1.1"
    file = ""
    drops = False

    def do_GET(self) -> None:
        """One page."""
        parts = urlsplit(self.path)
        wanted = {name: int(values[0]) for name, values in parse_qs(parts.query).items()}
        number, size, page = parts.path.rpartition("/")[2], wanted.get("size", 100), wanted.get("page", 0)
        connection = sqlite3.connect(self.file)
        rows = connection.execute(_PAGE, (number, size, page * size)).fetchall()
        total = connection.execute(_TOTAL, (number,)).fetchone()[0]
        connection.close()
        kept = [row for row in rows if not (self.drops and row[2] == "1")]
        records = [{"case": case, "crime": crime, "mark": mark} for case, crime, mark in kept]
        body = orjson.dumps({"records": records, "count": total, "next": total > (page + 1) * size})
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing is logged."""


def main() -> None:
    port, Handler.file, mode = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    Handler.drops = mode == "postfilter"
    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    main()
