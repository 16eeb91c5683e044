"""Makes the watch from settings, the active revision's catalogs and the state database."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import Engine

from sidecar.clock import Clock
from sidecar.codes import Code
from sidecar.errors import ConfigurationError
from sidecar.ledger.types import Ledger
from sidecar.oversight.bypass.access import AccessLog
from sidecar.oversight.bypass.entries import Entries
from sidecar.oversight.bypass.findings import Hash, Rules
from sidecar.oversight.bypass.lines import Format, Watched
from sidecar.oversight.bypass.mariadb import MariaDb
from sidecar.oversight.bypass.pgaudit import PgAuditCsv, PgAuditJson
from sidecar.oversight.bypass.position import Positions
from sidecar.oversight.bypass.watch import BypassWatch, Source, Times
from sidecar.policy.revisions import Revision
from sidecar.records.catalog import Catalog, parse
from sidecar.records.routes import HttpSource
from sidecar.settings import AuditSource, Settings

CODES: Final = frozenset({Code.AUDIT_INCOMPLETE, Code.READ_WITHOUT_ENTRY, Code.READ_WITHOUT_INQUIRY})
"""What is found. An entry that nobody is alerted of is not what the watch is for."""


def open_watch(
    settings: Settings, revision: Revision, *, engine: Engine, ledger: Ledger, clock: Clock, keyed: Hash
) -> BypassWatch:
    """The watch over the sources of the settings.

    Args:
        settings: of the deployment.
        revision: the active one; what is watched follows from its catalogs.
        engine: the state database.
        ledger: where findings are recorded.
        clock: the time.
        keyed: keyed hash of (kind, value) under the year's key.

    Raises:
        ConfigurationError: no source, a source of a database that the revision does not have, or one twice;
            or the revision's policies would raise no alert.
    """
    bypass = settings.bypass
    catalogs = [parse(content.decode("utf-8"), name) for name, content in revision.catalogs.items()]
    by_name = {catalog.database: catalog for catalog in catalogs}
    if not bypass.sources:
        raise ConfigurationError(
            "bypass.sources: expected at least one audit; docs/operators.md says how to switch one on"
        )
    if missing := CODES - set(revision.data["params"]["alerts"]["value"]):
        raise ConfigurationError(
            f"revision {revision.label}: its policies raise no alert for {', '.join(sorted(missing))}; build, approve and "
            "activate one with this release's"
        )
    sources = [_source(settings, each, by_name) for each in bypass.sources]
    if len({source.name for source in sources}) != len(sources):
        raise ConfigurationError("bypass.sources: expected each database and format once")
    twin = timedelta(minutes=settings.gateway.idempotency_minutes, seconds=bypass.grace_seconds + bypass.skew_seconds)
    return BypassWatch(
        sources,
        ledger=ledger,
        positions=Positions(engine),
        entries=Entries(engine, twin),
        clock=clock,
        keyed=keyed,
        times=Times(
            grace=timedelta(seconds=bypass.grace_seconds),
            window=timedelta(seconds=bypass.window_seconds),
            skew=timedelta(seconds=bypass.skew_seconds),
        ),
    )


def _source(settings: Settings, each: AuditSource, catalogs: Mapping[str, Catalog]) -> Source:
    catalog = catalogs.get(each.database)
    if catalog is None:
        known = ", ".join(sorted(catalogs)) or "none"
        raise ConfigurationError(f"bypass.sources: {each.database!r}: expected a database of the revision: {known}")
    return Source(
        name=f"{each.database}/{each.format}",
        pattern=settings.path(Path(each.files)),
        format=_format(each, catalog),
        rules=Rules(
            database=each.database,
            users=frozenset(each.users),
            accounts=frozenset(each.accounts),
            before=timedelta(seconds=settings.bypass.grace_seconds),
            skew=timedelta(seconds=settings.bypass.skew_seconds),
        ),
    )


def _format(each: AuditSource, catalog: Catalog) -> Format:
    service = catalog.connector if isinstance(catalog.connector, HttpSource) else None
    if (each.format == "access") != (service is not None):
        raise ConfigurationError(
            f"bypass.sources: {each.database}: an access log is a service's, an audit a database's"
        )
    if service is not None:
        return AccessLog(each.log_format, service.inquiry_header, frozenset(each.unwatched_paths))
    joined = {join.table for join in catalog.source.joins}
    tables = frozenset(name.lower() for name in {catalog.source.table, *joined, *each.tables})
    watched = Watched(tables, each.dbname)
    zone = _zone(each)
    if each.format == "mariadb":
        return MariaDb(watched, zone)
    return PgAuditJson(watched, zone) if each.format == "pgaudit-json" else PgAuditCsv(watched, zone)


def _zone(each: AuditSource) -> ZoneInfo:
    try:
        return ZoneInfo(each.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
        raise ConfigurationError(
            f"bypass.sources: {each.database}: expected an IANA time zone, got {each.timezone!r}"
        ) from exc
