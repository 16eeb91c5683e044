"""The five systems of docs/catalogs on real servers: joins, a view, composite and character keys, padding; keys in order."""

import pytest

from sidecar.records import catalog as c
from sidecar.records.grade import grade
from sidecar.records.types import PageRequest, RegisterMarks, Search
from tests.support import baseline
from tests.support import records as r
from tests.support import servers as s
from tests.unit.records.test_catalog_examples import FOLDER, OPEN, SEALED

pytestmark = pytest.mark.functional


@pytest.fixture(scope="module")
def engine():
    with baseline.engine() as opened:
        yield opened


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
@pytest.mark.parametrize("name", sorted(OPEN))
def test_every_row_is_classified_as_on_sqlite(name, kind, request, tmp_path, engine):
    server = s.open_server(kind, request, tmp_path)
    texts = s.statements(FOLDER / f"{name}.sql")
    server.run(*(map(s.quoted, texts) if kind == "postgresql" else texts))
    connector = baseline.connect(c.load(FOLDER / f"{name}.yaml").catalog, server.url, tmp_path, engine)
    connector.canary()
    seen = [
        {row.key for row in connector.fetch(Search(()), shown, PageRequest(100), RegisterMarks(), "i").rows}
        for shown in (r.OPEN_ONLY, r.SEALED_ONLY)
    ]
    found = grade(connector, baseline.parameters(), 100)
    connector.close()
    assert seen == [OPEN[name], SEALED[name]]
    assert found.different == 0


@pytest.mark.parametrize("server", ["postgres_url", "mariadb_url"])
def test_keys_that_are_whole_numbers_are_ordered_as_numbers(server, request, tmp_path):
    url = request.getfixturevalue(server)
    numbers = [*range(1, 13), 100, 2**31 - 1]
    r.fill(url, r.rows(*({"AJBH": "A", "XH": number} for number in numbers)))
    connector = r.connect(tmp_path, url)
    seen, after = [], None
    for _ in range(3):
        fetched = connector.fetch(Search(()), r.EVERYTHING, PageRequest(5, (), after), RegisterMarks(), "i")
        seen += [int(row.key_columns[1]) for row in fetched.rows]
        after = fetched.end
    connector.close()
    assert seen == numbers
