"""What is checked before anything is served; each finding has the exact fix (P1, P2).

1. The state database answers and its commits are durable, 2. no migration is pending, 3. the ledger is this
deployment's, 4. the keys are there, 5. the active revision is as approved, 6. its engine can be opened, 7. each legacy
database passes its canary. Only in step 7 a failure is no reason to stop: that database stays closed and the others go
on, unless there is none left. A database that does not answer is closed until it does: nothing is known against it, and
a county's server that is switched on later than the sidecar must not need a second start.
8. On request, each catalog is graded on live rows of a database that passed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass

import structlog
from sqlalchemy import Engine as Database

from sidecar.clock import Clock
from sidecar.errors import ConfigurationError, DatabaseClosed, DatabaseTimeout, DatabaseUnavailable, SidecarError
from sidecar.keys.ring import FileKeyRing
from sidecar.law.days import beijing_day
from sidecar.ledger.open import check_origin
from sidecar.papers.content import ContentSealer
from sidecar.papers.register import SealRegister
from sidecar.policy.open import choose_engine
from sidecar.policy.revisions import Revision, load_active
from sidecar.policy.wasm import WasmEngine
from sidecar.records.catalog import LoadedCatalog, SqlSource, parse
from sidecar.records.connectors import open_any, open_connector
from sidecar.records.grade import Grade, grade
from sidecar.records.parity import compare
from sidecar.records.qualify import qualify
from sidecar.records.routes import HttpSource
from sidecar.records.types import RegisterMarks
from sidecar.settings import Settings
from sidecar.storage import migrate
from sidecar.storage.durability import check_durable
from sidecar.storage.engine import open_state

DATABASE = "database "
"""How the findings of legacy databases begin."""

DIALECT = "dialect "
"""How the findings of qualified dialects begin."""

GRADE = "catalog "
"""How the findings of graded catalogs begin."""

CANARY_TIMEOUT_MS = 10_000
"""A portion of the canary's rows on a busy machine: nobody waits for an answer meanwhile."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: its name, whether all is well, what was found or must be done.

    Attributes:
        name: what was checked.
        ok: whether all is well.
        text: what was found, or the fix.
        passing: whether time alone may mend it.
        grade: of a catalog that was graded.
    """

    name: str
    ok: bool
    text: str
    passing: bool = False
    grade: Grade | None = None


class Preflight:
    """The checks in order; a later one needs those before it."""

    def __init__(self, settings: Settings, clock: Clock, rows: int = 0, *, qualified: bool = False) -> None:
        """Nothing is read yet.

        Args:
            settings: the deployment's.
            clock: time.
            rows: live rows on which each catalog is graded; none are read for 0.
            qualified: whether each database's dialect is tried on awkward texts and, with ``rows``, on live rows.
        """
        self._settings = settings
        self._clock = clock
        self._rows = rows
        self._qualified = qualified
        self._ring: FileKeyRing | None = None
        self.revision: Revision | None = None

    def findings(self) -> Iterator[Finding]:
        """Run the checks; ends after the first that fails, but for single databases."""
        try:
            state = open_state(self._settings)
        except SidecarError as exc:
            yield Finding("state database", ok=False, text=str(exc))
            return
        with closing(_Disposed(state)):
            for name, step in self._steps(state):
                finding = _finding(name, step)
                yield finding
                if not finding.ok:
                    return
        if self.revision is not None:
            yield from self._databases(self.revision)

    def _databases(self, revision: Revision) -> Iterator[Finding]:
        """The canary of each legacy database, through the production filter; the module says what is expected."""
        engine = WasmEngine(revision.wasm, revision.data, revision=revision.label, pool=1, timeout_ms=CANARY_TIMEOUT_MS)
        folders = {path.stem: self._settings.path(path).parent for path in self._settings.policy.catalogs}
        with closing(engine):
            for name, content in revision.catalogs.items():
                catalog = parse(content.decode("utf-8"), name)
                loaded = LoadedCatalog(catalog, revision.manifest.catalogs[name], folders[name])
                finding = _finding(
                    f"{DATABASE}{catalog.database}", functools.partial(_canary, loaded, revision, engine)
                )
                yield finding
                if finding.ok and self._rows:
                    yield _graded(loaded, revision, engine, self._rows, self._pseudonym)
                if finding.ok and self._qualified and isinstance(catalog.connector, SqlSource):
                    trial = functools.partial(_qualify, loaded, revision, engine, self._rows)
                    yield _finding(f"{DIALECT}{catalog.database}", trial)

    def _pseudonym(self, key: str) -> str:
        """A record's key as the operator's report names it."""
        if self._ring is None:
            raise ConfigurationError("the key ring is not loaded")
        return self._ring.keyed_hash("record", key, beijing_day(self._clock.now()) // 10000)

    def _steps(self, state: Database) -> Iterator[tuple[str, Callable[[], str]]]:
        yield "state database", lambda: _durable(state)
        yield "migrations", lambda: self._migrated(state)
        yield "ledger", lambda: self._ledger(state)
        yield "keys", lambda: self._keys(state)
        yield "revision", lambda: self._revision(state)
        yield "engine", lambda: choose_engine(self._settings)

    def _migrated(self, state: Database) -> str:
        missing = migrate.pending(state)
        if missing:
            raise ConfigurationError(f"migrations {', '.join(missing)} are pending: run `sidecar db upgrade`")
        return migrate.head()

    def _ledger(self, state: Database) -> str:
        check_origin(state, self._settings.deployment.id)
        return self._settings.deployment.id

    def _keys(self, state: Database) -> str:
        """All keys of the ring; a key that the seal register misses is no reason to stop: its marks hold all the same."""
        folder = self._settings.path(self._settings.keys.directory)
        ring = self._ring = FileKeyRing.load(folder, self._clock)
        ContentSealer.load(folder)
        lost = SealRegister(state, ring).lost_keys()
        missed = f"; gone, but in the seal register: {', '.join(lost)}: put them back" if lost else ""
        return f"receipts are signed by {ring.receipt_kid}{missed}"

    def _revision(self, state: Database) -> str:
        self.revision = load_active(state, self._settings)
        return self.revision.label


@dataclass(frozen=True, slots=True)
class _Disposed:
    """An engine with a ``close``."""

    engine: Database

    def close(self) -> None:
        """Disconnect."""
        self.engine.dispose()


def _durable(state: Database) -> str:
    check_durable(state)
    return f"{state.dialect.name}, commits are durable"


def _canary(catalog: LoadedCatalog, revision: Revision, engine: WasmEngine) -> str:
    with closing(open_any(catalog, revision.filter, revision.params, engine.classify)) as connector:
        connector.canary()
    return "the canary passes"


def _qualify(catalog: LoadedCatalog, revision: Revision, engine: WasmEngine, rows: int) -> str:
    with closing(open_connector(catalog, revision.filter, revision.params, engine.classify)) as connector:
        found = qualify(connector, revision.params)
        parity = compare(connector, rows, RegisterMarks(), "check") if rows else None
    told = f"{found.readings} readings of {found.texts} texts"
    if found.different:
        raise DatabaseClosed(f"{told}, {found.different} unlike Python's: do not serve this database")
    if parity is None:
        return f"{told} are alike"
    live = f"{parity.open} open and {parity.sealed} sealed rows"
    if not parity.holds:
        raise DatabaseClosed(f"{told} are alike; of {live} {parity.different + parity.both} are not: do not serve it")
    return f"{told} are alike; filter and classification agree on {live}"


def _graded(
    catalog: LoadedCatalog, revision: Revision, engine: WasmEngine, rows: int, pseudonym: Callable[[str], str]
) -> Finding:
    name = f"{GRADE}{catalog.catalog.database}"
    if isinstance(catalog.catalog.connector, HttpSource):
        return Finding(name, ok=True, text="a service has no rows to grade; its recorded answers are its canary")
    try:
        with closing(open_connector(catalog, revision.filter, revision.params, engine.classify)) as connector:
            found = grade(connector, revision.params, rows, pseudonym)
    except SidecarError as exc:
        return Finding(name, ok=False, text=str(exc))
    return Finding(name, ok=not found.different, text=_said(found), grade=found)


def _said(found: Grade) -> str:
    """A grade in a line for people: counts, rules and attributes only."""
    parts = [f"{found.rows} rows, {found.sealed} sealed"]
    for title, counts in (("by rule", found.grounds), ("undecidable", found.undecidable), ("unmapped", found.unmapped)):
        told = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()) if count)
        parts += [f"{title}: {told}"] if told else []
    if found.subject_rows is not None:
        parts.append(f"at most {found.subject_rows} rows a person")
    if found.unindexed:
        parts.append(f"no index serves a look-up: index {'; '.join(found.unindexed)}")
    if found.different:
        parts.append(f"filter and classification differ on {found.different}: do not serve this database")
    return "; ".join(parts)


def _finding(name: str, step: Callable[[], str]) -> Finding:
    try:
        return Finding(name, ok=True, text=step())
    except (DatabaseUnavailable, DatabaseTimeout) as exc:
        return Finding(name, ok=False, text=str(exc), passing=True)
    except SidecarError as exc:
        return Finding(name, ok=False, text=str(exc))


def require(settings: Settings, clock: Clock) -> None:
    """Run the checks and stop where nothing could be served.

    Raises:
        ConfigurationError: with the finding, which is the fix.
    """
    findings = list(Preflight(settings, clock).findings())
    databases = [finding for finding in findings if finding.name.startswith(DATABASE)]
    failed = [finding for finding in findings if not finding.ok]
    for finding in failed:
        if finding not in databases or not any(database.ok or database.passing for database in databases):
            raise ConfigurationError(f"{finding.name}: {finding.text}")
        log.error("database-closed", database=finding.name.removeprefix(DATABASE))
