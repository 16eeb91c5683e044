"""A development identity provider: two issuers with key sets by URL (RFC 7517) and ten-minute tokens (RFC 7519).

Run as a child process, ``python -m sidecar.demo.idp STATE_FOLDER``: it listens on a loopback port of the system's
choice, writes its address to ``STATE_FOLDER/idp.url`` and serves

* ``GET /<issuer>/jwks.json``: the public keys of ``organs`` and of ``procuratorate``;
* ``POST /token`` ``{"person": NAME}``: a fresh token for one of the demo's people.

It asks for no password: it is never to be reached by anybody but the demo.
"""

from __future__ import annotations

import json
import sys
import threading
import uuid
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from jwt.algorithms import ECAlgorithm

from sidecar.clock import Clock, SystemClock
from sidecar.demo.people import AUDIENCE, ISSUERS, Person, person
from sidecar.errors import ConfigurationError
from sidecar.serve.process import die_with_parent

TOKEN_LIFETIME = timedelta(minutes=10)
"""The longest life that the sidecar accepts."""


class Provider:
    """The keys of both issuers and the tokens they sign."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._clock = clock
        self._keys = {name: _load_or_make(folder / f"{name}.pem") for name in ISSUERS}

    def jwks(self, name: str) -> dict[str, Any]:
        """The public key set of one issuer (RFC 7517).

        Raises:
            KeyError: there is no such issuer.
        """
        public = ECAlgorithm.to_jwk(self._keys[name].public_key(), as_dict=True)
        return {"keys": [{**public, "kid": f"{name}-1", "use": "sig", "alg": "ES256"}]}

    def token(self, who: Person) -> str:
        """A token as the demo's issuers make it, valid for ten minutes from now."""
        now = self._clock.now()
        claims = {
            "iss": ISSUERS[who.issuer],
            "sub": who.number,
            "aud": AUDIENCE,
            "iat": int(now.timestamp()),
            "nbf": int(now.timestamp()),
            "exp": int((now + TOKEN_LIFETIME).timestamp()),
            "jti": str(uuid.uuid4()),
            "unit": who.unit.code,
            "work_certificate": {"number": f"GZ-{who.number}", "status": "valid", "expires": "2099-12-31"},
            "roles": list(who.roles),
        }
        return jwt.encode(claims, self._keys[who.issuer], "ES256", headers={"kid": f"{who.issuer}-1"})


def _load_or_make(file: Path) -> ec.EllipticCurvePrivateKey:
    if not file.exists():
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        file.touch(mode=0o600)
        file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    loaded = load_pem_private_key(file.read_bytes(), password=None)
    if not isinstance(loaded, ec.EllipticCurvePrivateKey):
        raise ConfigurationError(f"{file}: expected an EC private key, got {type(loaded).__name__}")
    return loaded


def serve(folder: Path, clock: Clock) -> ThreadingHTTPServer:
    """A server that is bound but does not run yet; its address is in ``folder/idp.url`` when this returns."""
    provider = Provider(folder / "idp", clock)
    address_file = folder / "idp.url"
    port = _previous_port(address_file)
    server = _bind(port, _handler(provider))
    _publish(address_file, f"http://127.0.0.1:{server.server_port}")
    return server


def _previous_port(address_file: Path) -> int:
    """The port of the last run, so that settings that name the key sets' URLs stay right."""
    try:
        return int(address_file.read_text(encoding="ascii").rsplit(":", 1)[1])
    except (OSError, ValueError, IndexError):
        return 0


def _bind(port: int, handler: type[BaseHTTPRequestHandler]) -> ThreadingHTTPServer:
    try:
        return ThreadingHTTPServer(("127.0.0.1", port), handler)
    except OSError:  # another program has taken the port meanwhile
        return ThreadingHTTPServer(("127.0.0.1", 0), handler)


def _publish(file: Path, text: str) -> None:
    partial = file.with_suffix(".partial")
    partial.write_text(text, encoding="ascii")
    partial.replace(file)


def _handler(provider: Provider) -> type[BaseHTTPRequestHandler]:
    """The request handler over one provider."""

    class Handler(BaseHTTPRequestHandler):
        """Key sets and tokens as JSON."""

        def do_GET(self) -> None:
            """A key set."""
            name, _, rest = self.path.removeprefix("/").partition("/")
            if rest == "jwks.json" and name in ISSUERS:
                self._answer(200, provider.jwks(name))
            else:
                self._answer(404, {"error": "not found"})

        def do_POST(self) -> None:
            """A token."""
            who = self._person() if self.path == "/token" else None
            if who is None:
                self._answer(404, {"error": "no such person"})
            else:
                self._answer(200, {"access_token": provider.token(who), "token_type": "Bearer"})

        def _person(self) -> Person | None:
            length = min(int(self.headers.get("Content-Length") or 0), 4096)
            try:
                return person(json.loads(self.rfile.read(length))["person"])
            except (ValueError, KeyError, TypeError):
                return None

        def _answer(self, status: int, value: dict[str, Any]) -> None:
            body = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
            """Nothing: the demo's terminal tells the story."""

    return Handler


def main() -> int:
    """Serve until the parent ends or asks us to."""
    die_with_parent()
    server = serve(Path(sys.argv[1]), SystemClock())
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        server.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
