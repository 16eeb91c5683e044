"""The archive's old HTTP service as a process of its own, and a deployment in front of it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sidecar.demo import legacy
from sidecar.demo.archive import ADDRESS, PASSWORD, RECORDS, USER
from sidecar.demo.archive_catalog import ARCHIVE, archive_catalog
from sidecar.gateway.types import Request, Response
from tests.support.world import World

SECRET = "archive-password"
START_SECONDS = 20.0


def record(case: legacy.Case) -> dict[str, Any]:
    """A county's row as the archive has it."""
    return {name: value.decode("gb18030") if isinstance(value, bytes) else value for name, value in case.row().items()}


def write(folder: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Put records into the service's file; it reads it at every request."""
    (folder / RECORDS).write_text(json.dumps(list(records), ensure_ascii=False), encoding="utf-8")


@contextlib.contextmanager
def service(folder: Path, records: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """The running service; its address."""
    folder.mkdir(parents=True, exist_ok=True)
    write(folder, records)
    (folder / PASSWORD).write_text(SECRET, encoding="utf-8")
    process = subprocess.Popen([sys.executable, "-m", "sidecar.demo.archive", str(folder)])
    try:
        yield _started(folder / ADDRESS)
    finally:
        process.terminate()
        process.wait()


def _started(address: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, ValueError):
            url = address.read_text(encoding="ascii")
            with urllib.request.urlopen(f"{url}/", timeout=5):
                raise AssertionError("the service has no such page")
        time.sleep(0.02)
        if address.exists() and _answers(address.read_text(encoding="ascii")):
            return address.read_text(encoding="ascii")
    raise AssertionError("the archive did not start")


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(f"{url}/", timeout=5).close()
    except urllib.error.HTTPError as exc:
        exc.close()
        return True
    except (OSError, ValueError):  # its address is not written to the end yet
        return False
    return True


class ArchiveWorld(World):
    """A deployment with the county and the archive."""

    def __init__(self, folder: Path, url: str, *, catalog: str = "", password: str = SECRET, **more: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "archive.yaml").write_text(catalog or archive_catalog(url), encoding="utf-8")
        (folder / PASSWORD).write_text(password, encoding="utf-8")
        policy = {
            "engine": "wasm",
            "approvers": {name: f"keys/{name}.pub.pem" for name in ("gu", "shen")},
            "catalogs": ["county.yaml", "archive.yaml"],
        }
        super().__init__(folder, policy=policy, **more)

    def call(
        self,
        method: str,
        path: str,
        *,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        facts: Mapping[str, str] | None = None,
        token: str | None = "",
    ) -> Response:
        """A legacy client's call below ``/proxy/archive``, with facts as headers; a police officer's unless told otherwise."""
        sent = {f"inquiry-{name}": quote(value) for name, value in (FACTS if facts is None else facts).items()}
        sent |= {name.lower(): value for name, value in (headers or {}).items()}
        if token is not None and "authorization" not in sent:
            sent["authorization"] = f"Bearer {token or self.token()}"
        path, _, query = path.partition("?")
        request = Request("proxy", method, f"/proxy/{ARCHIVE}{path}", sent, body, "192.0.2.7", query)
        return self.services.proxy.handle(request)


FACTS = {
    "reason": "侦办盗窃案",
    "basis-instrument": "刑事诉讼法",
    "basis-article": "286",
    "purpose": "case_handling",
    "case-number": "示公刑立字〔2026〕15号",
}
"""Facts of a police officer's open inquiry."""


def bare(
    url: str, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """The same call to the service itself, logged in as an old client would be."""
    login = b64encode(f"{USER}:{SECRET}".encode()).decode()
    request = urllib.request.Request(
        url + path, data=body, method=method, headers={"Authorization": f"Basic {login}", **(headers or {})}
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return Response(answer.status, tuple(answer.headers.items()), answer.read())
    except urllib.error.HTTPError as exc:
        with exc:
            return Response(exc.code, tuple(exc.headers.items()), exc.read())
