"""The watch is made of what settings and the active revision say; what does not fit is refused with the fix."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from sidecar.clock import FixedClock
from sidecar.demo.archive_catalog import ARCHIVE, archive_catalog
from sidecar.demo.catalog import CATALOG
from sidecar.errors import ConfigurationError
from sidecar.oversight.bypass.access import AccessLog
from sidecar.oversight.bypass.mariadb import MariaDb
from sidecar.oversight.bypass.open import _format, open_watch
from sidecar.oversight.bypass.pgaudit import PgAuditCsv, PgAuditJson
from sidecar.policy.artefacts import baseline
from sidecar.policy.manifest import security_digest
from sidecar.records.catalog import parse
from sidecar.settings import AuditSource, Settings
from tests.support.state import NOW, new_state, settings_for

CATALOGS = {"county": CATALOG.encode(), "archive": archive_catalog("http://a").encode()}
REVISION = SimpleNamespace(catalogs=CATALOGS, data=baseline().data(), label="1@sha256:0")
COUNTY = {"database": "county", "format": "pgaudit-json", "files": "a.json"}


def opened(folder, *sources, revision=REVISION):
    plain = settings_for(folder)
    settings = Settings(base=folder, storage=plain.storage, bypass={"sources": list(sources)})
    engine = new_state(settings_for(folder))
    try:
        return open_watch(settings, revision, engine=engine, ledger=None, clock=FixedClock(NOW), keyed=lambda *_: "")
    finally:
        engine.dispose()


@pytest.mark.parametrize(
    ("sources", "told"),
    [
        ([], "expected at least one audit"),
        ([COUNTY, COUNTY], "each database and format once"),
        ([COUNTY | {"database": "city"}], "'city': expected a database of the revision: archive, county"),
        ([COUNTY | {"timezone": "Asia/Nowhere"}], "expected an IANA time zone, got 'Asia/Nowhere'"),
        ([COUNTY | {"timezone": "../etc"}], "expected an IANA time zone"),
        ([COUNTY | {"format": "access"}], "an access log is a service's"),
        ([COUNTY | {"database": ARCHIVE}], "an access log is a service's, an audit a database's"),
        ([COUNTY | {"database": ARCHIVE, "format": "access", "log_format": "$request"}], "log_format: expected"),
    ],
)
def test_sources_that_do_not_fit_are_refused(tmp_path, sources, told):
    with pytest.raises(ConfigurationError, match=told):
        opened(tmp_path, *sources)


def test_a_revision_of_before_that_would_raise_no_alert_is_refused(tmp_path):
    alerts = dict(REVISION.data["params"]["alerts"]["value"])
    del alerts["read-without-entry"]
    before = SimpleNamespace(**vars(REVISION) | {"data": {"params": {"alerts": {"value": alerts}}}})
    with pytest.raises(
        ConfigurationError, match="1@sha256:0: its policies raise no alert for read-without-entry; build"
    ):
        opened(tmp_path, COUNTY, revision=before)


def test_a_revision_of_this_release_is_watched(tmp_path):
    assert opened(tmp_path, COUNTY)


@pytest.mark.parametrize(
    ("database", "kind", "reader"),
    [("county", "pgaudit-json", PgAuditJson), ("county", "pgaudit-csv", PgAuditCsv), ("county", "mariadb", MariaDb),
     ("archive", "access", AccessLog)],
)  # fmt: skip
def test_each_format_has_its_reader(database, kind, reader):
    catalog = parse(REVISION.catalogs[database].decode())
    assert type(_format(AuditSource(database=database, format=kind, files="a"), catalog)) is reader


def test_tables_of_catalog_and_settings_are_watched():
    reader = _format(AuditSource(**COUNTY, tables=["Old_View"]), parse(CATALOG))
    assert reader._watched.tables == {"t_ajxx", "old_view"}


def test_sources_are_part_of_what_is_approved_and_how_often_one_looks_is_not(tmp_path):
    def digest(**bypass):
        return security_digest(Settings(base=tmp_path, bypass=bypass))

    assert digest() == digest(grace_seconds=9)  # nothing is watched
    watched = digest(sources=[COUNTY])
    assert len({digest(), watched, digest(sources=[COUNTY | {"accounts": ["a"]}])}) == 3
    assert watched == digest(sources=[COUNTY], poll_ms=99)
