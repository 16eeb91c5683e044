"""The OPA server's control plane, by opa-python-client over the Unix socket: health, policies, bundles.

For operators, `sidecar doctor` and the workbench; nothing here is on the path of a request. The client library brings
aiohttp, so it is imported only when a control is made.
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool

from sidecar.errors import EngineUnavailable


class OpaControl:
    """Health, policies and bundles of one OPA server."""

    def __init__(self, path: Path, *, timeout_ms: int = 1500, token: str = "") -> None:
        """Prepare a client of the server at a socket.

        Args:
            path: the socket's file.
            timeout_ms: longest to wait for an answer.
            token: bearer token, where the server's authorization asks for one.
        """
        from opa_client.errors import PolicyNotFoundError  # noqa: PLC0415
        from opa_client.opa import OpaClient  # noqa: PLC0415

        self._not_found = PolicyNotFoundError
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._client = OpaClient(host="opa", port=80, headers=headers, retries=0, timeout=timeout_ms / 1000)
        session = self._client._session  # noqa: SLF001  # the library has no public way to another transport
        session.trust_env = False
        session.mount("http://opa", _UnixAdapter(path))

    def healthy(self) -> bool:
        """Whether the server runs and its bundles are active."""
        return bool(self._client.check_health(query={"bundles": "true"}))

    def policies(self) -> list[str]:
        """Sorted names of the policy modules that the server holds.

        Raises:
            EngineUnavailable: no answer, or none that is allowed.
        """
        try:
            return sorted(self._client.get_policies_list())
        except requests.RequestException as exc:
            raise EngineUnavailable(f"OPA: {type(exc).__name__}") from exc

    def bundle_revisions(self) -> dict[str, str]:
        """Revision of each active bundle, by name.

        Raises:
            EngineUnavailable: no answer, none that is allowed, or one of unknown form.
        """
        try:
            answer = self._client.get_data("system/bundles")
            return {name: str(bundle["manifest"]["revision"]) for name, bundle in answer["result"].items()}
        except (requests.RequestException, self._not_found, KeyError, TypeError, AttributeError) as exc:
            raise EngineUnavailable(f"OPA: {type(exc).__name__}") from exc

    def close(self) -> None:
        """Close the client's connections."""
        self._client.close_connection()


class _UnixHTTPConnection(HTTPConnection):
    """A urllib3 connection to a Unix socket."""

    def __init__(self, path: Path, **options: Any) -> None:
        super().__init__("opa", **options)
        self._path = str(path)

    def _new_conn(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        timeout = self.timeout
        sock.settimeout(timeout if isinstance(timeout, int | float) else None)
        try:
            sock.connect(self._path)
        except OSError as exc:
            sock.close()
            raise urllib3.exceptions.NewConnectionError(self, "the Unix socket cannot be reached") from exc
        return sock


class _UnixPool(HTTPConnectionPool):
    """A urllib3 pool of connections to one Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("opa")
        self._path = path

    def _new_conn(self) -> _UnixHTTPConnection:
        return _UnixHTTPConnection(self._path, timeout=self.timeout.connect_timeout)


class _UnixAdapter(HTTPAdapter):
    """Requests' way to a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__(max_retries=0)
        self._pool = _UnixPool(path)

    def get_connection_with_tls_context(self, *_: Any, **__: Any) -> _UnixPool:
        """The one pool, whatever the address."""
        return self._pool

    def close(self) -> None:
        """Close the pool as well."""
        super().close()
        self._pool.close()
