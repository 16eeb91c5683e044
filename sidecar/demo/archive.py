"""An archive's old HTTP service, a process of its own that knows nothing of the sidecar: JSON, SOAP 1.1 and a GB18030 form.

It reads a file of records at every request and gives everything to whoever logs in (RFC 7617). Standard library only, as old
services have their own: ``python -m sidecar.demo.archive FOLDER`` serves ``FOLDER/archive.json`` and writes ``archive.url``.
"""

from __future__ import annotations

import base64
import gzip
import hmac
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

RECORDS: Final = "archive.json"
ADDRESS: Final = "archive.url"
PASSWORD: Final = "archive.pw"  # noqa: S105  # the name of a file
USER: Final = "reader"

SOAP: Final = "http://schemas.xmlsoap.org/soap/envelope/"
SPACE: Final = "urn:archive"

QUERY: Final = (
    '<?xml version="1.0" encoding="UTF-8"?><e:Envelope xmlns:e="{soap}"><e:Body>'
    '<getRecords xmlns="{space}"><sfzh>{number}</sfzh></getRecords></e:Body></e:Envelope>'
)
"""What a client of it sends to ``/soap``."""

Record = Mapping[str, Any]


class Service(ThreadingHTTPServer):
    """The service over one folder."""

    daemon_threads = True

    def __init__(self, folder: Path, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.folder = folder
        self.log: list[str] = []

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}/da"

    def records(self) -> list[Record]:
        """All records."""
        found: list[Record] = json.loads((self.folder / RECORDS).read_text(encoding="utf-8"))
        return found

    def password(self) -> str:
        """What clients log in with."""
        return (self.folder / PASSWORD).read_text(encoding="utf-8").strip()


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet
    server: Service

    def do_GET(self) -> None:
        """Queries by address."""
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        match parts.path.split("/"):
            case ["", "da", "persons", number, "records"]:
                self._persons(number, query)
            case ["", "da", "crimes"]:
                query = {n: v[0] for n, v in parse_qs(parts.query, encoding="gb18030").items()}
                self._crimes(query)
            case ["", "da", "feed"]:
                self._feed(query)
            case _:
                self._answer(404, "text/plain", b"no such page\n")

    def do_POST(self) -> None:
        """Queries by form and SOAP."""
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if self.path == "/da/query":
            form = {name: values[0] for name, values in parse_qs(body.decode("ascii"), encoding="gb18030").items()}
            self._query(form)
        elif self.path == "/da/soap":
            self._soap(body)
        else:
            self._answer(404, "text/plain", b"no such page\n")

    def do_DELETE(self) -> None:
        """A call that writes."""
        self._guarded(lambda: self._answer(200, "text/plain", b"deleted\n"))

    # --- what it answers -----------------------------------------------------------------------------------------

    def _persons(self, number: str, query: Mapping[str, str]) -> None:
        """JSON, by page number."""

        def answer() -> None:
            found = [r for r in self.server.records() if r["SFZH"] == number]
            page, size = int(query.get("page", "1")), min(int(query.get("size", "20")), 100)
            data = {"total": len(found), "pages": -(-len(found) // size), "page": page, "size": size}
            data["list"] = found[(page - 1) * size : page * size]  # type: ignore[assignment]
            text = json.dumps({"code": 0, "msg": "ok", "data": data}, ensure_ascii=False, separators=(",", ":"))
            self._answer(200, "application/json;charset=UTF-8", text.encode(), packable=True)

        self._guarded(answer)

    def _crimes(self, query: Mapping[str, str]) -> None:
        """JSON in GBK, by cursor, with a blank after each comma."""

        def answer() -> None:
            found = [r for r in self.server.records() if r["ZM"] == query.get("zm")]
            start, size = int(query.get("from", "0")), int(query.get("limit", "20"))
            following = str(start + size) if start + size < len(found) else None
            body = {"rows": found[start : start + size], "next": following}
            self._answer(200, "application/json; charset=GBK", json.dumps(body, ensure_ascii=False).encode("gbk"))

        self._guarded(answer)

    def _feed(self, query: Mapping[str, str]) -> None:
        """A bare JSON list, by Link header (RFC 8288)."""

        def answer() -> None:
            found = [r for r in self.server.records() if r["SFZH"] == query.get("id")]
            start, size = int(query.get("after", "0")), 2
            body = json.dumps(found[start : start + size], separators=(",", ":")).encode()
            further = {"X-Total-Count": str(len(found))}
            if start + size < len(found):
                link = f"{self.server.url}/feed?{urlencode({'id': query.get('id', ''), 'after': start + size})}"
                further["Link"] = f'<{link}>; rel="next"'
            self._answer(200, "application/json", body, further=further)

        self._guarded(answer)

    def _query(self, form: Mapping[str, str]) -> None:
        """XML in GB18030, by offset; 404 where there is nothing."""

        def answer() -> None:
            wanted = (form.get("xm"), form.get("csrq"))
            found = [r for r in self.server.records() if (r["XM"], r["CSRQ"]) == wanted]
            start, size = int(form.get("start", "0")), int(form.get("limit", "20"))
            if not found:
                self._answer(404, "text/xml; charset=GB18030", '<?xml version="1.0"?><none/>'.encode("gb18030"))
                return
            rows = "".join(_xml(record) for record in found[start : start + size])
            listed = f'<list total="{len(found)}">{rows}</list>' if rows else f'<list total="{len(found)}"/>'
            text = f'<?xml version="1.0" encoding="GB18030"?>\n<result>{listed}</result>'
            self._answer(200, "text/xml; charset=GB18030", text.encode("gb18030"))

        self._guarded(answer)

    def _soap(self, body: bytes) -> None:
        """SOAP 1.1, everything at once."""

        def answer() -> None:
            number = ET.fromstring(body).findtext(f".//{{{SPACE}}}sfzh", "")  # noqa: S314  # an old service
            found = [r for r in self.server.records() if r["SFZH"] == number]
            rows = "".join(_xml(record, "a:") for record in found)
            listed = f"<a:records>{rows}</a:records>" if rows else "<a:records/>"
            text = (
                '<?xml version="1.0" encoding="UTF-8"?>'
                f'<s:Envelope xmlns:s="{SOAP}"><s:Body><a:getRecordsResponse xmlns:a="{SPACE}">'
                f"<a:total>{len(found)}</a:total>{listed}</a:getRecordsResponse></s:Body></s:Envelope>"
            )
            self._answer(200, "text/xml; charset=utf-8", text.encode())

        self._guarded(answer)

    # --- HTTP ----------------------------------------------------------------------------------------------------

    def _guarded(self, answer: Callable[[], None]) -> None:
        """Only for who logs in; what goes wrong is told in full, as old services do."""
        wanted = base64.b64encode(f"{USER}:{self.server.password()}".encode()).decode()
        if not hmac.compare_digest(self.headers.get("Authorization", ""), f"Basic {wanted}"):
            self._answer(401, "text/plain", b"log in\n", further={"WWW-Authenticate": 'Basic realm="archive"'})
            return
        try:
            answer()
        except (ValueError, KeyError, ET.ParseError) as exc:
            self._answer(500, "text/plain", repr(exc).encode())

    def _answer(
        self, status: int, kind: str, body: bytes, *, further: Mapping[str, str] | None = None, packable: bool = False
    ) -> None:
        headers = {"Content-Type": kind, **(further or {})}
        if packable and "gzip" in self.headers.get("Accept-Encoding", ""):
            body, headers["Content-Encoding"] = gzip.compress(body, mtime=0), "gzip"
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # its name in the standard library
        """Remember who asked what: method, address, and the id that came along."""
        self.server.log.append(f"{format % args} {self.headers.get('Inquiry-Id', '') if self.headers else ''}")


def _xml(record: Record, prefix: str = "") -> str:
    """A record as an element; null is an empty one."""
    fields = "".join(
        f"<{prefix}{name}/>" if value in {None, ""} else f"<{prefix}{name}>{escape(str(value))}</{prefix}{name}>"
        for name, value in record.items()
    )
    return f"<{prefix}record>{fields}</{prefix}record>"


def main(arguments: Sequence[str]) -> None:
    """Serve a folder until the end."""
    folder = Path(arguments[0])
    address = folder / ADDRESS
    port = int(address.read_text(encoding="ascii").rsplit(":", 1)[1].split("/")[0]) if address.exists() else 0
    with Service(folder, port) as service:
        address.write_text(service.url, encoding="ascii")
        service.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1:])
