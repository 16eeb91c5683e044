"""Old HTTP services as sockets: SOAP 1.2, chunked and packed answers, digest log-in (RFC 7616), client certificates."""

from __future__ import annotations

import contextlib
import datetime as dt
import gzip
import hashlib
import json
import re
import ssl
import threading
from collections.abc import Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

SOAP12: Final = "http://www.w3.org/2003/05/soap-envelope"
SPACE: Final = "http://example.org/court/v2"
TYPE: Final = 'application/soap+xml; charset=utf-8; action="http://example.org/court/v2/find"'
XSI: Final = "http://www.w3.org/2001/XMLSchema-instance"
USER, PASSWORD, REALM = "county", "court-password", "court"
NONCE: Final = "dcd98b7102dd2f0e8b11d0f600bfb0c093"


def query(number: str) -> bytes:
    """A SOAP 1.2 call."""
    return (
        f'<env:Envelope xmlns:env="{SOAP12}"><env:Header/><env:Body><find xmlns="{SPACE}"><who>{number}</who></find>'
        "</env:Body></env:Envelope>"
    ).encode()


class Court(ThreadingHTTPServer):
    """The service; ``records`` may be changed while it runs, and ``broken`` makes it answer with a fault."""

    daemon_threads = True

    def __init__(self, records: Sequence[Mapping[str, Any]], *, digest: bool) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.records, self.digest, self.broken = records, digest, ""
        self.certificates: list[str] = []

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that fails is the client's affair."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    server: Court

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if isinstance(self.connection, ssl.SSLSocket):
            subject: Any = (self.connection.getpeercert() or {}).get("subject", ())
            self.server.certificates.append(dict(pair for part in subject for pair in part)["commonName"])
        if self.server.digest and not self._logged_in():
            challenge = f'Digest realm="{REALM}", qop="auth", algorithm=SHA-256, nonce="{NONCE}"'
            self._send(401, "text/plain", b"log in", {"WWW-Authenticate": challenge})
        elif self.command == "POST":
            self._soap(body)
        else:
            self._listed()

    do_GET = do_POST = do_DELETE = do_PUT = _answer  # noqa: N815  # http.server's names

    def _logged_in(self) -> bool:
        said = dict(re.findall(r'(\w+)="?([^",]+)"?', self.headers.get("Authorization", "")))
        if said.get("username") != USER:
            return False
        first = _hash(f"{USER}:{REALM}:{PASSWORD}")
        second = _hash(f"{self.command}:{self.path}")
        wanted = _hash(f"{first}:{NONCE}:{said['nc']}:{said['cnonce']}:auth:{second}")
        return said["response"] == wanted

    def _found(self, number: str) -> list[Mapping[str, Any]]:
        return [record for record in self.server.records if record["SFZH"] == number]

    def _soap(self, body: bytes) -> None:
        if self.server.broken:
            fault = (
                f'<e:Envelope xmlns:e="{SOAP12}"><e:Body><e:Fault><e:Code><e:Value>e:Receiver</e:Value></e:Code><e:Reason>'
                f'<e:Text xml:lang="zh">{self.server.broken}</e:Text></e:Reason></e:Fault></e:Body></e:Envelope>'
            )
            self._send(500, "application/soap+xml; charset=utf-8", fault.encode())
            return
        found = self._found(ET.fromstring(body).findtext(f".//{{{SPACE}}}who", ""))  # the test's own
        rows = "".join(f"<c:case>{''.join(_leaf(n, v) for n, v in record.items())}</c:case>" for record in found)
        listed = f"<c:cases>{rows}</c:cases>" if rows else "<c:cases/>"
        text = (
            f'<e:Envelope xmlns:e="{SOAP12}" xmlns:xsi="{XSI}"><e:Body>'
            f'<c:found xmlns:c="{SPACE}" total="{len(found)}">{listed}</c:found></e:Body></e:Envelope>'
        )
        self._send(200, "application/soap+xml; charset=utf-8", text.encode())

    def _listed(self) -> None:
        """JSON, packed, in chunks of a few bytes."""
        found = self._found(parse_qs(urlsplit(self.path).query).get("who", [""])[0])
        text = json.dumps({"n": len(found), "rows": found}, ensure_ascii=False, separators=(",", ":"))
        packed = "gzip" in self.headers.get("Accept-Encoding", "")
        data = gzip.compress(text.encode("gb18030"), mtime=0) if packed else text.encode("gb18030")
        self.send_response(200)
        self.send_header("Content-Type", "application/json; charset=GB18030")
        self.send_header("Transfer-Encoding", "chunked")
        if packed:
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        for start in range(0, len(data), 7):
            part = data[start : start + 7]
            self.wfile.write(f"{len(part):x};x=y\r\n".encode() + part + b"\r\n")
            self.wfile.flush()
        self.wfile.write(b"0\r\nX-Trailer: 1\r\n\r\n")

    def _send(self, status: int, kind: str, body: bytes, further: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **(further or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def _leaf(name: str, value: Any) -> str:
    return f'<c:{name} xsi:nil="true"/>' if value is None else f"<c:{name}>{escape(str(value))}</c:{name}>"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@contextlib.contextmanager
def court(
    records: Sequence[Mapping[str, Any]], *, digest: bool = True, tls: ssl.SSLContext | None = None
) -> Iterator[Court]:
    """The running service."""
    with Court(records, digest=digest) as service:
        if tls is not None:
            service.socket = tls.wrap_socket(service.socket, server_side=True)
        thread = threading.Thread(target=service.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield service
        service.shutdown()
        thread.join()


def make_certificates(folder: Path, days: dt.datetime) -> ssl.SSLContext:
    """An authority, a server's and a client's certificate in ``folder``; the server's context, which asks for the client's."""
    folder.mkdir(parents=True, exist_ok=True)
    authority, signer = _certificate(folder, "ca", days, None)
    for name in ("server", "client", "stranger"):
        _certificate(folder, name, days, None if name == "stranger" else (authority, signer))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    context.load_verify_locations(folder / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    return context


Issuer = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def _certificate(folder: Path, name: str, days: dt.datetime, issuer: Issuer | None) -> Issuer:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    by, signer = (issuer[0].subject, issuer[1]) if issuer else (subject, key)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(days - dt.timedelta(days=1))
        .not_valid_after(days + dt.timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    )
    if issuer is None:
        usage = x509.KeyUsage(
            digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False, key_encipherment=False,
            data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
        )  # fmt: skip
        builder = builder.add_extension(usage, critical=True)
    made = builder.sign(signer, hashes.SHA256())
    (folder / f"{name}.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    coded = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    (folder / f"{name}.key").write_bytes(coded)
    return made, key
