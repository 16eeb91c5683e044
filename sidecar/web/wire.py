"""Puts a worker together: ports, revision, databases. The only place where everything meets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

import structlog
from sqlalchemy import Engine as StateDatabase

from sidecar.clock import Clock, SystemClock
from sidecar.codes import FieldClass
from sidecar.errors import CodedError, SidecarError
from sidecar.gateway.papers import PapersAtHand
from sidecar.gateway.ports import Database, Inputs, Ports, Runtime
from sidecar.gateway.proxy import Proxy
from sidecar.gateway.read import Limits
from sidecar.gateway.run import Gateway
from sidecar.gateway.sessions import Sessions
from sidecar.gateway.stated import Facts
from sidecar.identity.registry import Registry
from sidecar.identity.tokens import token_verifier
from sidecar.identity.types import Officer
from sidecar.keys.ids import RandomBytes, UuidSource, system_random
from sidecar.keys.ring import FileKeyRing
from sidecar.keys.sealing import DataKeySealer
from sidecar.law.days import beijing_day
from sidecar.ledger.attempts import AttemptCounter
from sidecar.ledger.build import EntryBuilder
from sidecar.ledger.cosigner import witness_keys
from sidecar.ledger.open import open_ledger
from sidecar.ledger.types import Ledger
from sidecar.papers.applications import Applications
from sidecar.papers.content import ContentSealer
from sidecar.papers.inputs import SealedInputs
from sidecar.papers.kept_register import KeptRegister
from sidecar.papers.letters import LetterReader
from sidecar.papers.lookup import ApplicationReader
from sidecar.papers.register import SealRegister
from sidecar.papers.revocations import RevocationSnapshot
from sidecar.papers.uses import Uses
from sidecar.policy.open import open_engine
from sidecar.policy.revisions import Revision
from sidecar.policy.types import Engine
from sidecar.records.catalog import Catalog, LoadedCatalog, parse
from sidecar.records.connectors import HttpConnector, open_any
from sidecar.records.types import Connector
from sidecar.settings import Settings
from sidecar.storage.engine import open_state
from sidecar.web.services import Services
from sidecar.web.watch import Watch

log = structlog.get_logger(__name__)


def build_services(
    settings: Settings,
    *,
    clock: Clock | None = None,
    random: RandomBytes = system_random,
    watch: bool = True,
) -> Services:
    """Everything a worker stands on. One per process, after any fork; its caller closes it.

    Args:
        settings: the deployment's settings.
        clock: time; the machine's unless given.
        random: source of ids, nonces and salts; the system's unless given.
        watch: whether the background thread runs; without it the runtime is looked at once, here.

    Raises:
        ConfigurationError: settings, keys or state database cannot be used.
        LedgerUnavailable: the state database does not answer.
    """
    clock = clock or SystemClock()
    state = open_state(settings)
    ring = FileKeyRing.load(settings.path(settings.keys.directory), clock)
    ledger = open_ledger(settings, clock, engine=state, random=random)
    parts = _Parts(settings, clock, random, state, ring, ledger, EntryBuilder(clock, random))
    attempts, uses = parts.attempts(), parts.uses()
    gateway = Gateway(parts.ports(attempts, uses), parts.limits(), inquiry_minutes=settings.gateway.inquiry_minutes)
    applications = parts.applications(gateway.ports.inputs)
    proxy = parts.proxy(gateway, applications)

    def purge() -> None:
        now = int(clock.now().timestamp())
        uses.purge(now)
        proxy.sessions.purge(now)
        applications.purge(now)

    watching = Watch(
        gateway=gateway,
        settings=settings,
        state=state,
        attempts=attempts,
        composer=Composer(settings, clock),
        purge=purge,
        witnesses=witness_keys(settings),
    )

    def close() -> None:
        watching.stop()
        ledger.close()
        state.dispose()

    watching.look()
    if watch:
        watching.start()
    return Services(
        settings=settings,
        gateway=gateway,
        proxy=proxy,
        state=state,
        ring=ring,
        applications=applications,
        builder=parts.builder,
        clock=clock,
        watch=watching,
        close=close,
    )


@dataclass(frozen=True, slots=True)
class _Parts:
    """What the ports are made of."""

    settings: Settings
    clock: Clock
    random: RandomBytes
    state: StateDatabase
    ring: FileKeyRing
    ledger: Ledger
    builder: EntryBuilder

    def ports(self, attempts: AttemptCounter, uses: Uses) -> Ports:
        """The gateway's ports."""
        settings = self.settings
        registry = Registry(self.state, self.clock, settings.identity.registry_refresh_seconds)
        letters = LetterReader(
            registry,
            self.state,
            audience=settings.deployment.id,
            cache_size=settings.identity.letter_cache,
            revocations=RevocationSnapshot(self.state, self.clock, settings.identity.registry_refresh_seconds),
        )
        return Ports(
            deployment=settings.deployment.id,
            verifier=token_verifier(settings, self.clock, registry.token_revoked),
            registry=registry,
            papers=PapersAtHand(letters, ApplicationReader(self.state), uses, self.ring),
            register=self._register(),
            inputs=SealedInputs(self._sealer()),
            ledger=self.ledger,
            attempts=attempts,
            keys=self.ring,
            clock=self.clock,
            ids=UuidSource(self.clock, self.random).new,
            random=self.random,
        )

    def _register(self) -> KeptRegister:
        register = SealRegister(self.state, self.ring)
        return KeptRegister(register, self.state, self.clock, self.settings.gateway.register_decisions)

    def attempts(self) -> AttemptCounter:
        """Counts requests without a valid token; sources by the year's key."""
        ring, clock = self.ring, self.clock
        return AttemptCounter(
            self.ledger,
            self.builder,
            clock,
            lambda kind, value: ring.keyed_hash(kind, value, beijing_day(clock.now()) // 10000),
        )

    def applications(self, dossiers: Inputs) -> Applications:
        """The store of applications."""
        sealer = ContentSealer.load(self.settings.path(self.settings.keys.directory))
        return Applications(
            self.state,
            self.ledger,
            self.ring,
            sealer,
            self.clock,
            dossiers=dossiers,
            draft_days=self.settings.gateway.draft_days,
            random=self.random,
        )

    def proxy(self, gateway: Gateway, applications: Applications) -> Proxy:
        """Legacy clients' door, on the gateway's ports."""
        registry = Registry(self.state, self.clock, self.settings.identity.registry_refresh_seconds)
        return Proxy(
            gateway,
            Sessions(self.state, registry.token_revoked),
            lambda officer, identifier: applied_facts(applications, officer, identifier),
            session_minutes=self.settings.gateway.session_minutes,
        )

    def uses(self) -> Uses:
        """Counts uses and remembers keys."""
        return Uses(self.state, self.ring, idempotency_seconds=self.settings.gateway.idempotency_minutes * 60)

    def limits(self) -> Limits:
        """What the deployment lets through."""
        gateway = self.settings.gateway
        return Limits(self.settings.server.max_body_bytes, gateway.page_size, gateway.max_page_size)

    def _sealer(self) -> DataKeySealer:
        keys = self.settings.keys
        return DataKeySealer(keys.dossier_recipients, self.clock, self.random, timedelta(hours=keys.data_key_hours))


def applied_facts(applications: Applications, officer: Officer, identifier: str) -> Facts | None:
    """What an officer stated in an application of his own; None where he has none of this id."""
    try:
        view = applications.view(officer, identifier)
    except CodedError:
        return None
    application = view.application
    if (application.officer_issuer, application.officer) != (officer.issuer, officer.subject):
        return None
    instrument, _, article = application.basis.partition("/")
    return Facts(
        scope=application.scope,
        reason=view.content.reason,
        instrument=instrument,
        article=article,
        purpose=application.purpose,
        case_number=view.content.case_number,
        application=application.id,
    )


class Composer:
    """Makes, mends and closes the runtime of a revision."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._folders = {path.stem: settings.path(path).parent for path in settings.policy.catalogs}

    def compose(self, revision: Revision) -> Runtime:
        """Engine, parameters and databases of a verified revision; a database that cannot be read is closed, no more.

        Raises:
            SidecarError: the engine cannot be opened, or a catalog of the revision cannot be read.
        """
        engine = open_engine(self._settings, revision, clock=self._clock)
        databases = {}
        for name, content in revision.catalogs.items():
            catalog = parse(content.decode("utf-8"), name)
            loaded = LoadedCatalog(catalog, revision.manifest.catalogs[name], self._folders[name])
            databases[catalog.database] = self._open(loaded, revision, engine)
        return Runtime(revision.label, engine, revision.params, databases)

    def _open(self, loaded: LoadedCatalog, revision: Revision, engine: Engine) -> Database:
        catalog = loaded.catalog
        connector = open_any(loaded, revision.filter, revision.params, engine.classify, self._clock)
        return _checked(
            Database(
                connector,
                _declared(catalog, catalog.filterable),
                _declared(catalog, catalog.sortable),
                service=connector if isinstance(connector, HttpConnector) else None,
                step=catalog.connector.answer_step_ms / 1000,
            )
        )

    def reopen(self, runtime: Runtime) -> Runtime:
        """The runtime with the canaries of its closed databases run again."""
        databases = {name: d if d.fault is None else _checked(d) for name, d in runtime.databases.items()}
        return replace(runtime, databases=databases)

    def close(self, runtime: Runtime) -> None:
        """Close what the runtime opened; nothing may use it any more."""
        runtime.engine.close()
        for database in runtime.databases.values():
            database.connector.close()


def _declared(catalog: Catalog, names: tuple[str, ...]) -> Mapping[str, FieldClass]:
    return {name: catalog.declared(name).field_class for name in names}


def _checked(database: Database) -> Database:
    """Run the canary; a failure closes this database, and only it."""
    fault = _canary(database.connector)
    name = database.connector.database
    if fault is None:
        log.info("database-open", database=name)
    elif database.fault is None or database.fault.code != fault.code:
        log.error("database-closed", database=name, code=fault.code)
    return replace(database, fault=fault)


def _canary(connector: Connector) -> SidecarError | None:
    try:
        connector.canary()
    except SidecarError as exc:
        return exc
    return None
