"""Qualifying a dialect: alike where it is, and every reading that is not counts."""

import pytest

from sidecar.errors import DatabaseClosed
from sidecar.records.catalog import parse
from sidecar.records.qualify import AWKWARD, qualify
from tests.support import records as r


class Wrong:
    """A driver whose database reads one value otherwise."""

    def __init__(self, driver):
        self._driver = driver
        self.dialect = driver.dialect
        self.columns, self.render = driver.columns, driver.render

    def execute(self, statement, values):
        rows = self._driver.execute(statement, values)
        return [(*row[:-1], 7) if row[-1] == 1 else row for row in rows]


def test_sqlite_is_qualified(tmp_path):
    connector = r.sqlite(tmp_path, [])
    found = qualify(connector, r.PARAMETERS)
    connector.close()
    assert found.different == 0
    assert found.texts > 10 * len(AWKWARD)
    assert found.readings > 20 * found.texts


def test_a_reading_that_differs_is_counted(tmp_path):
    connector = r.sqlite(tmp_path, [])
    own, connector.driver = connector.driver, Wrong(connector.driver)
    assert qualify(connector, r.PARAMETERS).different > 0
    own.close()


def test_a_table_without_texts_cannot_be_qualified(tmp_path):
    text = "catalog: 1\ndatabase: county\nconnector: {kind: sql, dsn_file: county.dsn}\nsource: {table: T_AJXX, key: [AJBH]}\n"
    text += "subject: {person_id: SFZH}\nreleased: {case: {column: AJBH, class: procedure}}\n"
    connector = r.sqlite(tmp_path, [], catalog=parse(text))
    with pytest.raises(DatabaseClosed, match="no column of text"):
        qualify(connector, r.PARAMETERS)
    connector.close()
