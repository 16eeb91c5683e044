"""One call to a legacy HTTP service over requests: bounded in size and time, nothing followed, nothing kept (P7, P8).

No redirects, no cookies, no proxies or credentials of the environment. An answer is read in portions and given up when it
is too large or late, packed or not. Errors carry no address: it may hold a person's number.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Any, Final

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase, HTTPBasicAuth, HTTPDigestAuth

from sidecar.clock import Clock
from sidecar.errors import ConfigurationError, DatabaseTimeout, DatabaseUnavailable
from sidecar.records.calls import Outgoing
from sidecar.records.routes import HttpSource

PORTION: Final = 65_536
"""Bytes read at once; between two portions the clock is looked at."""

ACCEPTED: Final = "gzip"
"""Codings that are unpacked."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of the service: status, headers, unpacked body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Upstream:
    """Makes calls. Thread-safe.

    Args:
        source: the catalog's connector.
        folder: what the paths of its files start from.
        clock: deadlines.

    Raises:
        ConfigurationError: a file with a secret or a certificate cannot be read.
    """

    def __init__(self, source: HttpSource, folder: Path, clock: Clock) -> None:
        # Its warnings and debug lines hold addresses, and these a person's number.
        logging.getLogger("urllib3").setLevel(logging.ERROR)
        self._base = source.base_url.rstrip("/")
        self._clock = clock
        self._timeout = source.timeout_ms / 1000
        self._max_bytes = source.max_bytes
        self._inquiry_header = source.inquiry_header
        self._auth = _login(source, folder)
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        tls = source.tls
        self._session.verify = str(_readable(folder / tls.ca_file)) if tls.ca_file else True
        if tls.certificate_file and tls.key_file:
            self._session.cert = (str(_readable(folder / tls.certificate_file)), str(_readable(folder / tls.key_file)))
        adapter = HTTPAdapter(pool_connections=1, pool_maxsize=source.pool_size, pool_block=True)
        self._session.mount(self._base, adapter)

    def call(self, outgoing: Outgoing, inquiry_id: str, deadline: float) -> Reply:
        """Make one call.

        Args:
            outgoing: the call.
            inquiry_id: goes along in the declared header.
            deadline: of the monotonic clock.

        Raises:
            DatabaseUnavailable: no connection, a redirect, or more bytes than allowed.
            DatabaseTimeout: not in time.
        """
        left = deadline - self._clock.monotonic()
        if left <= 0:
            raise DatabaseTimeout("the service was not read to the end in time")
        headers = {"Accept-Encoding": ACCEPTED, "User-Agent": "sidecar", **outgoing.headers}
        headers[self._inquiry_header] = inquiry_id
        address = f"{self._base}/{outgoing.path}" + (f"?{outgoing.query}" if outgoing.query else "")
        wait = min(self._timeout, left)
        try:
            with self._session.request(
                outgoing.method, address, data=outgoing.body, headers=headers, auth=self._auth,
                allow_redirects=False, stream=True, timeout=wait,
            ) as response:  # fmt: skip
                return Reply(response.status_code, response.headers, self._body(response, deadline))
        except (requests.Timeout, urllib3.exceptions.TimeoutError):
            raise DatabaseTimeout("the service did not answer in time") from None  # its text has the address
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as exc:
            raise DatabaseUnavailable(f"the service cannot be asked ({type(exc).__name__})") from None

    def _body(self, response: requests.Response, deadline: float) -> bytes:
        if response.headers.get("Content-Encoding", "identity").strip().lower() not in {
            "identity",
            "gzip",
            "x-gzip",
            "",
        }:
            raise DatabaseUnavailable("the service answered in a coding that was not asked for")
        data = bytearray()
        raw: Any = response.raw
        while part := raw.read(PORTION, decode_content=True):
            data += part
            if len(data) > self._max_bytes:
                raise DatabaseUnavailable(f"expected an answer of at most {self._max_bytes} bytes")
            if self._clock.monotonic() > deadline:
                raise DatabaseTimeout("the service was not read to the end in time")
        return bytes(data)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()


class BoundedDigest(HTTPDigestAuth):
    """Digest log-in (RFC 7616) that does not read what a refusal says, which would have no bound in size or time.

    It costs a connection a challenge; the challenge's nonce is then used again until the service wants another.
    """

    def handle_401(self, r: requests.Response, **kwargs: Any) -> requests.Response:
        """Log in where the service asks for it."""
        if 400 <= r.status_code < 500:  # those that the library answers
            r.raw.close()
            r._content, r._content_consumed = b"", True  # type: ignore[attr-defined]  # noqa: SLF001  # else it reads
        answer: requests.Response = super().handle_401(r, **kwargs)  # type: ignore[no-untyped-call]
        return answer


def _readable(path: Path) -> Path:
    try:
        path.read_bytes()
    except OSError as exc:
        raise ConfigurationError(f"{path}: cannot be read: {exc.strerror}") from exc
    return path


def _login(source: HttpSource, folder: Path) -> AuthBase | None:
    if source.login is None:
        return None
    path = folder / source.login.password_file
    try:
        password = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigurationError(f"{path}: cannot be read as UTF-8") from exc
    if not password:
        raise ConfigurationError(f"{path}: is empty: write the password into it")
    kind = HTTPBasicAuth if source.login.kind == "basic" else BoundedDigest
    return kind(source.login.username, password)
