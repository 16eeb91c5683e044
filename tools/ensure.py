"""Make sure that what a Makefile target needs is on this machine; run it twice and the second run does nothing.

Standard library only: it runs before there is an environment. Tools are kept outside the checkout, in
``$SIDECAR_TOOLS`` (default ``~/.cache/sidecar-tools``), so that a fresh clone finds them again.

    python3 tools/ensure.py venv demo|dev     the environment in .venv, from the hash-locked requirements
    python3 tools/ensure.py fuzz              the fuzzers' environment in .fuzz/venv; prints its Python
    python3 tools/ensure.py opa               prints the path of an OPA 1.20, or nothing where there can be none
    python3 tools/ensure.py helm              prints the path of the pinned Helm
    python3 tools/ensure.py fsck              prints the path of Tessera's fsck, which verifies tiled logs
    python3 tools/ensure.py omniwitness       prints the path of a witness of tiled logs that is not ours
    python3 tools/ensure.py postgres          installs PostgreSQL's server programs by apt where there are none
    python3 tools/ensure.py strace            installs strace by apt where there is none
    python3 tools/ensure.py mariadb           installs MariaDB's server programs by apt where there are none
    python3 tools/ensure.py pgaudit           installs pgaudit for each PostgreSQL by apt where there is none
    python3 tools/ensure.py server-audit      says where MariaDB's audit plugin is missing; it comes with the server
    python3 tools/ensure.py nginx             installs nginx, whose access log is watched, by apt where there is none
    python3 tools/ensure.py wrk               installs wrk, which loads the benchmarks, by apt where there is none
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
FUZZ_VENV = ROOT / ".fuzz" / "venv"
FUZZ_LOCKS = (ROOT / "requirements.lock", ROOT / "requirements-fuzz.lock")
LOCKS = {"demo": ROOT / "requirements.lock", "dev": ROOT / "requirements-dev.lock"}
LEAST_PYTHON = (3, 11)

OPA_VERSION = "1.20.1"
OPA_SERIES = "1.20."  # any patch release of the series decides alike; the conformance suite runs on the pinned one
OPA_RELEASES = "https://github.com/open-policy-agent/opa/releases/download"
HELM_VERSION = "4.3.1"
TESSERA_VERSION = "1.0.4"
OMNIWITNESS_VERSION = "0.0.0-20260720115447-2e1c6971d19e"

DOWNLOAD_SECONDS = 5.0
"""The demo must not hang on a closed network: past this, checksum and binary together, it goes on without OPA."""
GO_INSTALL_SECONDS = 1200
"""Building OPA takes two to four minutes on two cores."""
ANSWER_SECONDS = 20
"""Longest that a tool may take to say its version."""

CONSOLE_SCRIPT = """#!{python}
import sys

from sidecar.cli import main

sys.exit(main())
"""


class Failed(Exception):
    """What is needed cannot be had; the text says what to do."""


def say(text: str) -> None:
    """A line for people, beside the result on standard output."""
    print(text, file=sys.stderr, flush=True)


# --- the environment -------------------------------------------------------------------------------------------------


def ensure_venv(kind: str) -> None:
    """Install the locked requirements of ``kind`` into .venv unless they are there already."""
    if sys.version_info < LEAST_PYTHON:
        raise Failed(f"Python 3.11 or newer is needed, this is {platform.python_version()}: make PYTHON=python3.11 …")
    if not _current(kind):
        say(f"Setting up .venv from {LOCKS[kind].name} …")
        _create_venv()
        _pip("install", "--require-hashes", "--no-deps", "-r", str(LOCKS[kind]))
        _stamp(kind).write_text(_digest(kind), encoding="ascii")
    _link_checkout()


def _current(kind: str) -> bool:
    """Whether the environment was made from this lock, by this Python; the one for tests holds all of the demo's."""
    return (
        any(_stamp(k).is_file() and _stamp(k).read_text(encoding="ascii") == _digest(k) for k in {kind, "dev"})
        and (VENV / "bin" / "python").exists()
    )


def _stamp(kind: str) -> Path:
    return VENV / f".stamp-{kind}"


def _digest(kind: str) -> str:
    state = hashlib.sha256(platform.python_version().encode())
    for lock in sorted({LOCKS["demo"], LOCKS[kind]}):
        state.update(hashlib.sha256(lock.read_bytes()).digest())
    return state.hexdigest()


def _create_venv() -> None:
    if (VENV / "bin" / "python").exists():
        return
    made = subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=False, capture_output=True, text=True)
    if made.returncode:  # Debian splits ensurepip off into a package of its own
        shutil.rmtree(VENV, ignore_errors=True)
        _apt("python3-venv")
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)


def _pip(*arguments: str) -> None:
    command = [str(VENV / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "-q", *arguments]
    if subprocess.run(command, check=False).returncode:
        raise Failed("the locked packages cannot be installed: is a package index reachable (pip config list)?")


def ensure_fuzz() -> str:
    """Python of an environment with atheris, which is in no other: its wheels are for few Pythons on Linux only."""
    python, stamp = FUZZ_VENV / "bin" / "python", FUZZ_VENV / ".stamp"
    state = hashlib.sha256(platform.python_version().encode() + b"".join(lock.read_bytes() for lock in FUZZ_LOCKS))
    if not stamp.is_file() or stamp.read_text(encoding="ascii") != state.hexdigest():
        say("Setting up .fuzz/venv …")
        shutil.rmtree(FUZZ_VENV, ignore_errors=True)
        FUZZ_VENV.parent.mkdir(exist_ok=True)
        subprocess.run([sys.executable, "-m", "venv", str(FUZZ_VENV)], check=True)
        command = [
            str(python),
            "-m",
            "pip",
            "--disable-pip-version-check",
            "-q",
            "install",
            "--require-hashes",
            "--no-deps",
        ]
        locks = [part for lock in FUZZ_LOCKS for part in ("-r", str(lock))]
        if subprocess.run([*command, *locks], check=False, stdout=sys.stderr).returncode:
            raise Failed(
                "the fuzzers' packages cannot be installed: is a package index reachable, and this Linux on x86-64?"
            )
        stamp.write_text(state.hexdigest(), encoding="ascii")
    return str(python)


def _link_checkout() -> None:
    """Put the checkout on the environment's path and its command beside it: an editable install without a build."""
    site = next((VENV / "lib").glob("python3.*/site-packages"))
    _write(site / "sealed_records_sidecar_checkout.pth", f"{ROOT}\n")
    script = VENV / "bin" / "sidecar"
    _write(script, CONSOLE_SCRIPT.format(python=VENV / "bin" / "python"))
    script.chmod(0o755)


def _write(file: Path, text: str) -> None:
    if not file.is_file() or file.read_text(encoding="utf-8") != text:
        file.write_text(text, encoding="utf-8")


# --- tools -----------------------------------------------------------------------------------------------------------


def tools() -> Path:
    """Where tools are kept between checkouts."""
    return Path(os.environ.get("SIDECAR_TOOLS") or Path.home() / ".cache" / "sidecar-tools") / "bin"


def ensure_opa() -> str:
    """Path of an OPA of the 1.20 series: named, on PATH, kept, built by Go, or downloaded; "" where there is none."""
    for candidate in (os.environ.get("SIDECAR_OPA", ""), shutil.which("opa") or "", str(tools() / "opa")):
        if candidate and _opa_series(candidate):
            return candidate
    kept = tools() / "opa"
    if _go_install("github.com/open-policy-agent/opa", f"v{OPA_VERSION}") and _opa_series(str(kept)):
        return str(kept)
    try:
        return str(_download_opa(kept))
    except (Failed, OSError) as exc:
        say(f"No OPA {OPA_SERIES}x here ({exc}): the policies run as WebAssembly in process, decisions are the same.")
        return ""


def _opa_series(binary: str) -> bool:
    return f"Version: {OPA_SERIES}" in _output(binary, "version")


def _output(*command: str) -> str:
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=ANSWER_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout


def _go_install(module: str, version: str) -> bool:
    if not shutil.which("go"):
        return False
    tools().mkdir(parents=True, exist_ok=True)
    say(f"Building {module}@{version} with Go (some minutes, once a machine) …")
    environment = {**os.environ, "GOBIN": str(tools()), "CGO_ENABLED": "0", "GOFLAGS": ""}
    try:
        done = subprocess.run(
            ["go", "install", f"{module}@{version}"],
            check=False, env=environment, timeout=GO_INSTALL_SECONDS, stdout=sys.stderr, cwd=tempfile.gettempdir(),
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _download_opa(target: Path) -> Path:
    """Fetch the official release and its checksum; the two must agree.

    The checksum comes over the same authenticated channel: it holds against a damaged or mixed-up file, not against
    a release that was replaced. Where that matters, put an ``opa`` of your own choosing on PATH.
    """
    machine = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}.get(platform.machine(), "")
    if platform.system() != "Linux" or not machine:
        raise Failed(f"no release for {platform.system()} {platform.machine()}")
    content = _within(DOWNLOAD_SECONDS, f"{OPA_RELEASES}/v{OPA_VERSION}/opa_linux_{machine}_static")
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(".partial")
    partial.write_bytes(content)
    partial.chmod(0o755)
    partial.replace(target)  # never half a binary under the final name
    if not _opa_series(str(target)):
        raise Failed(f"the downloaded OPA does not say Version: {OPA_SERIES}x")
    return target


def _within(seconds: float, url: str) -> bytes:
    """A file and its checksum, or ``Failed`` after so many seconds: looking up a name knows no time-out of its own."""
    done: list[bytes | Exception] = []
    thread = threading.Thread(target=lambda: done.append(_checked(url, seconds)), daemon=True)
    thread.start()
    thread.join(seconds)
    if not done:
        raise Failed(f"not downloaded within {seconds:.0f} s")
    if isinstance(done[0], Exception):
        raise Failed(str(done[0]))
    return done[0]


def _checked(url: str, seconds: float) -> bytes | Exception:
    try:
        expected = _fetch(f"{url}.sha256", seconds).split()[0].decode("ascii")
        content = _fetch(url, seconds)
    except (OSError, ValueError, IndexError) as exc:
        return exc
    got = hashlib.sha256(content).hexdigest()
    return content if got == expected else Failed(f"checksum of the downloaded OPA: expected {expected}, got {got}")


def _fetch(url: str, seconds: float) -> bytes:
    with urllib.request.urlopen(url, timeout=seconds) as answer:  # noqa: S310  # https addresses from this file only
        content: bytes = answer.read()
        return content


def ensure_helm() -> str:
    """Path of the pinned Helm 4, built by Go where it is not kept already."""
    for candidate in (os.environ.get("SIDECAR_HELM", ""), shutil.which("helm") or "", str(tools() / "helm")):
        if candidate and "v4." in _output(candidate, "version", "--short"):
            return candidate
    if not _go_install("helm.sh/helm/v4/cmd/helm", f"v{HELM_VERSION}"):
        raise Failed(f"Helm 4 is needed for the chart's tests: install Go, or put helm {HELM_VERSION} on PATH")
    return str(tools() / "helm")


def ensure_fsck() -> str:
    """Path of Tessera's fsck, built by Go where it is not kept already; never PATH: there it is the file systems'."""
    kept = tools() / "fsck"
    built = kept.is_file() or _go_install("github.com/transparency-dev/tessera/cmd/fsck", f"v{TESSERA_VERSION}")
    if not built:
        raise Failed(
            f"Tessera's fsck {TESSERA_VERSION} is needed for the tests of the log: install Go, or put it at {kept}"
        )
    return str(kept)


def ensure_omniwitness() -> str:
    """Path of transparency.dev's omniwitness, built by Go where it is not kept already."""
    kept = tools() / "omniwitness"
    module = "github.com/transparency-dev/witness/cmd/omniwitness"
    if not kept.is_file() and not _go_install(module, f"v{OMNIWITNESS_VERSION}"):
        raise Failed(f"omniwitness is needed for the tests of witnesses: install Go, or put it at {kept}")
    return str(kept)


# --- Debian packages -------------------------------------------------------------------------------------------------


def ensure_postgres() -> None:
    """Install PostgreSQL's server programs where there are none (the tests run it as their own child)."""
    if shutil.which("initdb") or any(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
        return
    _apt("postgresql")


def ensure_strace() -> None:
    """Install strace where there is none: a test sees the flush before an answer's first byte."""
    if not shutil.which("strace"):
        _apt("strace")


def ensure_mariadb() -> None:
    """Install MariaDB's server programs where there are none (the tests run it as their own child)."""
    if not shutil.which("mariadbd", path=f"{os.environ.get('PATH', '')}:/usr/sbin"):
        _apt("mariadb-server")


def ensure_pgaudit() -> None:
    """Install pgaudit for the PostgreSQL that the tests run, where it is not there."""
    ensure_postgres()
    servers = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = max((path.parents[1] for path in servers), key=lambda path: float(path.name), default=None)
    if newest is not None and not (newest / "lib" / "pgaudit.so").is_file():
        _apt(f"postgresql-{newest.name}-pgaudit")


def ensure_server_audit() -> None:
    """MariaDB's audit plugin comes with Debian's server; other packages may leave it out."""
    ensure_mariadb()
    folders = [
        Path("/usr/lib/mysql/plugin"),
        *Path("/usr").glob("lib*/mysql/plugin"),
        *Path("/usr").glob("lib*/mariadb/plugin"),
    ]
    if not any((folder / "server_audit.so").is_file() for folder in folders):
        raise Failed("MariaDB's plugin server_audit.so is needed: install Debian's mariadb-server")


def ensure_nginx() -> None:
    """Install nginx where there is none; Debian's package may start it as a service, which the tests do not use."""
    if not shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin"):
        _apt("nginx-light")


def ensure_wrk() -> None:
    """Install wrk where there is none."""
    if not shutil.which("wrk"):
        _apt("wrk")


def _apt(package: str) -> None:
    if os.geteuid() or not shutil.which("apt-get"):
        raise Failed(f"{package} is needed: install it (as root: apt-get install {package})")
    say(f"Installing {package} …")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        ["apt-get", "update", "-qq"],
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", package],
    ):
        if subprocess.run(command, check=False, env=environment, stdout=sys.stderr).returncode:
            raise Failed(f"{' '.join(command)} did not succeed: install {package} by hand")


PRINTED = {
    "fsck": ensure_fsck,
    "fuzz": ensure_fuzz,
    "helm": ensure_helm,
    "omniwitness": ensure_omniwitness,
    "opa": ensure_opa,
}
"""What has a path."""

INSTALLED = {
    "mariadb": ensure_mariadb,
    "nginx": ensure_nginx,
    "pgaudit": ensure_pgaudit,
    "postgres": ensure_postgres,
    "server-audit": ensure_server_audit,
    "strace": ensure_strace,
    "wrk": ensure_wrk,
}
"""What comes as a Debian package."""


def main(arguments: list[str]) -> int:
    """Run one of the commands of the module's docstring."""
    match arguments:
        case ["venv", ("demo" | "dev") as kind]:
            ensure_venv(kind)
        case [name] if name in PRINTED:
            print(PRINTED[name]())
        case [name] if name in INSTALLED:
            INSTALLED[name]()
        case _:
            say(__doc__ or "")
            return 2
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Failed as failure:
        say(f"error: {failure}")
        sys.exit(1)
