"""Extras of `check` on real servers: a dialect's qualification, the index that a look-up lacks, rows a person."""

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from sidecar.records.grade import grade
from sidecar.records.qualify import qualify
from tests.support import records as r

pytestmark = pytest.mark.functional


@pytest.fixture(params=["postgresql", "mariadb"])
def url(request):
    found = request.getfixturevalue("postgres_url" if request.param == "postgresql" else "mariadb_url")
    r.fill(found, r.rows({}, {}, {"SFZH": "1"}))
    return found


def test_the_dialect_is_qualified(url, tmp_path):
    connector = r.connect(tmp_path, url)
    found = qualify(connector, r.PARAMETERS)
    connector.close()
    assert (found.different, found.texts > 100) == (0, True)


def test_an_index_that_a_look_up_lacks_is_named_until_it_is_there(url, tmp_path):
    connector = r.connect(tmp_path, url)
    found = grade(connector, r.PARAMETERS, 10)
    assert (found.unindexed, found.subject_rows) == (("T_AJXX (SFZH)",), 2)
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as database:
        quoted = engine.dialect.identifier_preparer.quote("SFZH"), engine.dialect.identifier_preparer.quote("T_AJXX")
        database.execute(text(f"CREATE INDEX i_person ON {quoted[1]} ({quoted[0]})"))
    engine.dispose()
    assert grade(connector, r.PARAMETERS, 10).unindexed == ()
    connector.close()
