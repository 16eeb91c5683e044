"""The demo's world under one folder: databases, keys, settings, and the processes of a deployment.

Everything is made by the same commands that an operator uses (``sidecar …`` as child processes). Two people each stand
behind the approval of the policy and behind the registry.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy import Engine, create_engine

from sidecar.demo import archive, legacy
from sidecar.demo.archive_catalog import ARCHIVE, archive_catalog
from sidecar.demo.catalog import CATALOG
from sidecar.demo.exchange import Answer, exchange
from sidecar.demo.people import DATABASE, DEPLOYMENT, ISSUER_ROLES, ISSUERS, POLICE, UNITS, Person
from sidecar.demo.postgres import PostgresCluster, available
from sidecar.errors import SidecarError
from sidecar.serve.process import end, spawn

APPROVERS = ("gu", "shen")
"""Two people who approve the policy."""

DOSSIER_READERS = ("record-organ", "procuratorate")

START_SECONDS = 120.0
"""Longest that a process may take to be ready on a slow machine."""

POLL_SECONDS = 0.02

READY_ANSWERS = 20
"""The system spreads connections over the workers by chance: one of two is missed once in a million."""

MAX_SOCKET_PATH = 107
"""Bytes of a Unix socket's path (unix(7))."""

STOP_SECONDS = 60.0
"""Longer than ``sidecar serve`` gives its own children."""

IDP_ADDRESS = "idp.url"
"""Where the identity provider writes its address."""

REMEMBERED = "world.json"
"""What a world was made for, written when it is whole."""

ARCHIVED = 300
"""Records of the archive: those told of, and some others of the county's."""

_ARCHIVE_CODE = (
    "from sidecar.serve.process import die_with_parent; die_with_parent(); "
    "import runpy; runpy.run_module('sidecar.demo.archive', run_name='__main__')"
)
"""It ends with the demo, and knows nothing of that either."""

VALIDITY = {"valid_from": "2020-01-01", "valid_to": "2099-12-31"}
"""Of the units' keys."""


class DemoFailed(SidecarError):
    """The world could not be made, or a step did not go as told."""

    code = "demo-failed"


@dataclass(frozen=True, slots=True)
class Choice:
    """What the demo runs on: ``postgresql`` or ``sqlite``; ``opa`` or ``wasm`` and OPA's path."""

    database: str
    engine: str
    opa: str = ""


def choose(environment: Mapping[str, str]) -> Choice:
    """PostgreSQL and OPA where there are any, unless ``DEMO_DB`` and ``DEMO_ENGINE`` say otherwise.

    Raises:
        DemoFailed: what is asked for is not there, or is unknown.
    """
    database = environment.get("DEMO_DB") or ("postgresql" if available() else "sqlite")
    opa = environment.get("SIDECAR_OPA") or shutil.which("opa") or ""
    engine = environment.get("DEMO_ENGINE") or ("opa" if opa else "wasm")
    if database not in {"postgresql", "sqlite"}:
        raise DemoFailed(f"DEMO_DB: expected postgresql or sqlite, got {database}")
    if engine not in {"opa", "wasm"}:
        raise DemoFailed(f"DEMO_ENGINE: expected opa or wasm, got {engine}")
    if database == "postgresql" and not available():
        raise DemoFailed("DEMO_DB: there is no PostgreSQL here (apt-get install postgresql); DEMO_DB=sqlite needs none")
    if engine == "opa" and not opa:
        raise DemoFailed("DEMO_ENGINE: there is no OPA here; set SIDECAR_OPA, or DEMO_ENGINE=wasm, which needs none")
    return Choice(database, engine, opa if engine == "opa" else "")


@dataclass(slots=True)
class World:
    """A running deployment with everything around it."""

    folder: Path
    choice: Choice
    cluster: PostgresCluster | None = None
    port: int = 0
    idp_url: str = ""
    recipients: list[str] = field(default_factory=list)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def config(self) -> Path:
        """The settings file."""
        return self.folder / "sidecar.yaml"

    @property
    def log(self) -> Path:
        """What ``sidecar serve`` and its children write."""
        return self.folder / "sidecar.log"

    @property
    def url(self) -> str:
        """Where the sidecar listens."""
        return f"http://127.0.0.1:{self.port}"

    def approver_key(self, name: str) -> Path:
        """An approver's private key."""
        return self.folder / "keys" / "approvers" / f"{name}.pem"

    def unit_key(self, name: str) -> Path:
        """A unit's private key, with which it signs letters."""
        return self.folder / "keys" / "units" / f"{name}.pem"

    def command(self, *arguments: str) -> list[str]:
        """A ``sidecar`` command line on this world."""
        return [sys.executable, "-m", "sidecar.cli", "--config", str(self.config), *arguments]

    def cli(self, *arguments: str) -> str:
        """Run a ``sidecar`` command as a child process; its standard output.

        Raises:
            DemoFailed: it did not succeed.
        """
        done = self.try_cli(*arguments)
        if done.returncode:
            raise DemoFailed(f"sidecar {' '.join(arguments[:2])}: {(done.stderr or done.stdout).strip()}")
        return done.stdout

    def try_cli(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a ``sidecar`` command as a child process, whatever comes of it."""
        return subprocess.run(
            self.command(*arguments), check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL
        )

    def token(self, person: Person) -> str:
        """A fresh token from the identity provider."""
        return fetch_token(self.idp_url, person.name)

    def ask(self, method: str, path: str, token: str | None = None, body: Any = None) -> Answer:
        """A request to the sidecar."""
        return exchange(self.url, method, path, token, body)

    def legacy_engine(self) -> Engine:
        """The county's database with its owner's rights (the sidecar may only read)."""
        return create_engine(self.cluster.url("county") if self.cluster else f"sqlite:///{self.folder / 'county.db'}")

    def state_engine(self) -> Engine:
        """The state database with an administrator's rights, to do what an attacker or a fault does."""
        if self.cluster:
            return create_engine(self.cluster.url("sidecar"), isolation_level="AUTOCOMMIT", pool_pre_ping=True)
        return create_engine(f"sqlite:///{self.folder / 'state.db'}", connect_args={"timeout": START_SECONDS})

    @property
    def archive_url(self) -> str:
        """Where the archive's old HTTP service listens."""
        return (self.folder / ARCHIVE / archive.ADDRESS).read_text(encoding="ascii")

    @property
    def serve_pid(self) -> int:
        """Process id of ``sidecar serve``, whoever started it."""
        child = self.processes.get("serve")
        found = child.pid if child else self.running().get("serve")
        if found is None:
            raise DemoFailed(f"{self.folder}: nothing serves here")
        return found

    def reload(self) -> None:
        """Have ``sidecar serve`` start its children anew."""
        os.kill(self.serve_pid, signal.SIGHUP)

    def running(self) -> dict[str, int | None]:
        """Process ids that ``sidecar serve`` publishes."""
        try:
            found: dict[str, int | None] = json.loads((self.folder / "run" / "processes.json").read_text("ascii"))
        except (OSError, ValueError):
            return {}
        return found


def fetch_token(idp_url: str, name: str) -> str:
    """A fresh token for one of the demo's people.

    Raises:
        DemoFailed: there is no such person, or the identity provider does not run.
    """
    try:
        answer = exchange(idp_url, "POST", "/token", body={"person": name})
    except OSError as exc:
        raise DemoFailed("the identity provider does not answer: `make demo` must be running") from exc
    if answer.status != 200:
        raise DemoFailed(f"{name}: there is no such person in the demo")
    return str(answer.json()["access_token"])


def wait_for(what: str, ready: Callable[[], bool], seconds: float = START_SECONDS) -> None:
    """Wait until it is so.

    Raises:
        DemoFailed: it was not within ``seconds``.
    """
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise DemoFailed(f"{what}: not within {seconds:.0f} s")
        time.sleep(POLL_SECONDS)


def free_port() -> int:
    """A TCP port that nobody listens on just now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextlib.contextmanager
def build(folder: Path, choice: Choice, tell: Callable[[str], None]) -> Iterator[World]:
    """Make a world anew and run it for the length of the ``with``; its files stay.

    Raises:
        DemoFailed: it cannot be made; the text says at what.
    """
    world = World(folder.resolve(), choice)
    _empty(world.folder)
    with _ended(world):
        tell(f"county database: {choice.database}, {legacy.PERSONS:,} invented persons")
        _databases(world)
        tell("the archive's old HTTP service")
        _fill_archive(world)
        _archive(world)
        tell("identity provider, keys and settings")
        _identity_provider(world)
        _keys(world)
        _settings(world)
        tell("policy revision 1, built, approved by two people and activated; units registered")
        _deployment(world)
        _remember(world)
        tell("sidecar serve")
        start_serving(world)
        yield world


@contextlib.contextmanager
def again(folder: Path, choice: Choice, tell: Callable[[str], None]) -> Iterator[World]:
    """Run the world that an earlier demo made, for the length of the ``with``; one that runs is left running.

    Raises:
        DemoFailed: there is none, or it was made for another choice.
    """
    world = _remembered(folder.resolve(), choice)
    if world.choice.database == "postgresql":
        world.cluster = PostgresCluster(world.folder / "postgres")
    if _is_served(world):
        world.idp_url = (world.folder / IDP_ADDRESS).read_text(encoding="ascii")
        tell("on the world that is being served")
        yield world
        return
    with _ended(world):
        if world.cluster:
            world.cluster.start()
        _archive(world)
        _identity_provider(world)
        tell("sidecar serve, on the world that is there")
        start_serving(world)
        yield world


def _is_served(world: World) -> bool:
    """Whether another demo serves this world: sidecar and identity provider answer where they said they would."""
    if world.running().get("serve") is None or not _answers(world.folder / IDP_ADDRESS):
        return False
    with contextlib.suppress(OSError):
        return world.ask("GET", "/healthz").status == 200
    return False


@contextlib.contextmanager
def _ended(world: World) -> Iterator[None]:
    """Whatever happens, no process is left."""
    try:
        yield
    finally:
        _stop(world)


def _remember(world: World) -> None:
    facts = {"database": world.choice.database, "engine": world.choice.engine, "port": world.port}
    (world.folder / REMEMBERED).write_text(json.dumps(facts), encoding="ascii")


def _remembered(folder: Path, choice: Choice) -> World:
    try:
        facts = json.loads((folder / REMEMBERED).read_text(encoding="ascii"))
    except (OSError, ValueError) as exc:
        raise DemoFailed(f"{folder}: holds no demo that was made to its end; leave --again out") from exc
    made = facts["database"], facts["engine"]
    if made != (choice.database, choice.engine):
        raise DemoFailed(f"{folder}: was made for {' and '.join(made)}; leave --again out")
    return World(folder, choice, port=facts["port"])


def _empty(folder: Path) -> None:
    """A fresh folder; only one that a demo made is emptied."""
    marker = folder / ".made-by-demo"
    if folder.exists() and any(folder.iterdir()):
        if not marker.exists():
            raise DemoFailed(f"{folder}: is not empty and was not made by the demo; name another with --folder")
        _remove_cluster(folder)
        shutil.rmtree(folder)
    folder.mkdir(mode=0o711, parents=True, exist_ok=True)  # PostgreSQL's user passes through it
    marker.touch()


def _remove_cluster(folder: Path) -> None:
    """Stop and remove the PostgreSQL that an earlier demo left, also where it stands outside of the folder."""
    if available():
        cluster = PostgresCluster(folder / "postgres")
        cluster.stop("immediate")
        shutil.rmtree(cluster.directory, ignore_errors=True)


def _databases(world: World) -> None:
    """The county's legacy database and, on PostgreSQL, an empty state database with roles of their own."""
    if world.choice.database == "postgresql":
        world.cluster = cluster = PostgresCluster(world.folder / "postgres")
        cluster.start()
        for role in ("sidecar", "county_reader"):
            cluster.execute(f"CREATE ROLE {role} LOGIN")
        for name in ("county", "sidecar"):
            cluster.createdb(name)
        cluster.execute("ALTER DATABASE sidecar OWNER TO sidecar")
    else:
        (world.folder / "county.db").touch(mode=0o600)
    engine = world.legacy_engine()
    with engine.begin() as connection:
        legacy.fill(connection)
    engine.dispose()
    if world.cluster:
        world.cluster.execute('GRANT SELECT ON "T_AJXX" TO county_reader', "county")
        world.cluster.execute("ANALYZE", "county")


def _fill_archive(world: World) -> None:
    """The archive's file of records and its clients' password."""
    folder = world.folder / ARCHIVE
    folder.mkdir(mode=0o700)
    write_archive(world, itertools.islice(legacy.cases(), ARCHIVED))
    password = folder / archive.PASSWORD
    password.touch(mode=0o600)
    password.write_text(secrets.token_urlsafe(18), encoding="ascii")


def write_archive(world: World, cases: Iterable[legacy.Case]) -> None:
    """Put records into the archive's file; the service reads it at every request."""
    records = [
        {name: value.decode("gb18030") if isinstance(value, bytes) else value for name, value in case.row().items()}
        for case in cases
    ]
    file = world.folder / ARCHIVE / archive.RECORDS
    file.write_text(json.dumps(records, ensure_ascii=False), encoding="utf-8")


def _archive(world: World) -> None:
    """Start the archive's service: a process that knows nothing of the sidecar."""
    world.processes[ARCHIVE] = spawn([sys.executable, "-c", _ARCHIVE_CODE, str(world.folder / ARCHIVE)])
    wait_for("the archive's start", lambda: _archive_answers(world))


def _archive_answers(world: World) -> bool:
    try:
        return exchange(world.archive_url, "GET", "/").status == 404  # it has no such page
    except OSError:
        return False


def _identity_provider(world: World) -> None:
    address = world.folder / IDP_ADDRESS
    before = address.read_text(encoding="ascii") if address.exists() else ""
    world.processes["idp"] = spawn([sys.executable, "-m", "sidecar.demo.idp", str(world.folder)])
    wait_for("the identity provider's start", lambda: _answers(address))
    world.idp_url = address.read_text(encoding="ascii")
    if before not in {"", world.idp_url}:
        raise DemoFailed(f"{before}: is taken by another program, and the approved settings name it; leave --again out")


def _answers(address: Path) -> bool:
    """Whether the identity provider answers where it says it is."""
    try:
        url = address.read_text(encoding="ascii")
        return exchange(url, "GET", f"/{next(iter(ISSUERS))}/jwks.json").status == 200
    except OSError:
        return False


def _keys(world: World) -> None:
    """Keys by ``sidecar keys``, before there are settings: each call names its folder."""
    folder = world.folder / "keys"
    _generate(world, "signing", APPROVERS, folder / "approvers")
    _generate(world, "signing", [unit.name for unit in UNITS], folder / "units")
    made = _generate(world, "dossier", DOSSIER_READERS, folder / "dossier")
    world.recipients = [made[name]["recipient"] for name in DOSSIER_READERS]


def _generate(world: World, kind: str, names: Sequence[str], folder: Path) -> dict[str, Any]:
    arguments = ["keys", "generate", kind, *names, "--directory", str(folder), "--json"]
    command = [sys.executable, "-m", "sidecar.cli", *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=world.folder)
    if done.returncode:
        raise DemoFailed(f"sidecar keys generate {kind}: {done.stderr.strip()}")
    made: dict[str, Any] = json.loads(done.stdout)
    return made


def _settings(world: World) -> None:
    """``sidecar.yaml``, the catalog with its connection, and ``units.yaml``."""
    world.port = free_port()
    world.config.write_text(_yaml(_tree(world)), encoding="utf-8")
    catalogs = world.folder / "catalogs"
    catalogs.mkdir()
    (catalogs / f"{DATABASE}.yaml").write_text(CATALOG, encoding="utf-8")
    (catalogs / f"{ARCHIVE}.yaml").write_text(archive_catalog(world.archive_url), encoding="utf-8")
    shutil.copy(world.folder / ARCHIVE / archive.PASSWORD, catalogs)
    dsn = catalogs / f"{DATABASE}.dsn"
    dsn.touch(mode=0o600)
    dsn.write_text(_legacy_dsn(world), encoding="utf-8")
    (world.folder / "units.yaml").write_text(_yaml(_units()), encoding="utf-8")


def _yaml(value: Any) -> str:
    return yaml.safe_dump(value, allow_unicode=True, sort_keys=False)


def _legacy_dsn(world: World) -> str:
    if world.cluster is None:
        return f"sqlite:///{world.folder / 'county.db'}"
    return world.cluster.url("county").replace("//postgres@", "//county_reader@")


def _tree(world: World) -> dict[str, Any]:
    """The settings."""
    state = world.cluster.url("sidecar").replace("//postgres@", "//sidecar@") if world.cluster else "sqlite:///state.db"
    policy: dict[str, Any] = {
        "engine": world.choice.engine,
        "approvers": {name: f"keys/approvers/{name}.pub.pem" for name in APPROVERS},
        "catalogs": [f"catalogs/{DATABASE}.yaml", f"catalogs/{ARCHIVE}.yaml"],
        "opa_socket": str(_socket(world)),
    }
    if world.choice.opa:
        policy["opa_binary"] = world.choice.opa
    return {
        "deployment": {"id": DEPLOYMENT, "unit": POLICE.code},
        "server": {"port": world.port},
        "storage": {"url": state, "statement_timeout_ms": 2000},
        "keys": {"directory": "keys/ring", "dossier_recipients": world.recipients},
        "identity": {
            "issuers": [
                {"issuer": iss, "jwks_url": f"{world.idp_url}/{name}/jwks.json", "roles": list(ISSUER_ROLES[name])}
                for name, iss in ISSUERS.items()
            ]
        },
        "policy": policy,
        "logging": {"level": "warning"},
    }


def _socket(world: World) -> Path:
    """Below the folder, unless that makes too long a path for a Unix socket."""
    path = world.folder / "run" / "opa.sock"
    if len(os.fsencode(path)) <= MAX_SOCKET_PATH:
        return path
    return Path(tempfile.mkdtemp(prefix="sidecar-demo-")) / "opa.sock"


def _units() -> dict[str, Any]:
    keys = {unit.name: {"file": f"keys/units/{unit.name}.pub.pem", **VALIDITY} for unit in UNITS}
    return {
        "registry": 1,
        "units": [
            {"code": u.code, "name": u.title, "organ": u.organ, "region": legacy.REGION, "keys": [keys[u.name]]}
            for u in UNITS
        ],
    }


def _deployment(world: World) -> None:
    """What an operator and two approvers do, in their order."""
    world.cli("keys", "generate", "ring")
    world.cli("keys", "generate", "log")
    world.cli("db", "upgrade")
    world.cli("policy", "build")
    for name in APPROVERS:
        world.cli("policy", "approve", "1", "--name", name, "--key", str(world.approver_key(name)))
    world.cli("policy", "activate", "1", "--officer", "operator")
    world.cli("units", "import", str(world.folder / "units.yaml"), "--registrar", "feng", "--confirmed-by", "he")


def start_serving(world: World) -> None:
    """Start ``sidecar serve`` and wait until it is ready."""
    world.log.unlink(missing_ok=True)
    world.processes["serve"] = spawn(world.command("serve"), world.log)
    wait_for("the sidecar's start", lambda: ready(world))


def ready(world: World) -> bool:
    """Whether the sidecar says that it can answer, so many times in a row that each worker has been asked.

    Raises:
        DemoFailed: it has ended.
    """
    child = world.processes.get("serve")
    if child and child.poll() is not None:
        said = world.log.read_text(encoding="utf-8").strip().splitlines() or ["nothing"]
        raise DemoFailed(f"sidecar serve ended with status {child.returncode}: {said[-1]}")
    try:
        return all(_whole(world.ask("GET", "/readyz")) for _ in range(READY_ANSWERS))
    except OSError:
        return False


def _whole(answer: Answer) -> bool:
    """Whether a worker is ready, with every database open (a closed one does not make it unready)."""
    return answer.status == 200 and all(answer.json()["checks"].values())


def wait_while_serving(world: World) -> None:
    """Return only when the sidecar has ended.

    Raises:
        DemoFailed: it has ended by itself.
    """
    status = world.processes["serve"].wait()
    raise DemoFailed(f"sidecar serve ended with status {status}; see {world.log}")


def _stop(world: World) -> None:
    """End the processes in reverse order; files stay."""
    for name in ("serve", "idp", ARCHIVE):
        if name in world.processes:
            end(world.processes[name], STOP_SECONDS)
    if world.cluster:
        world.cluster.stop()
