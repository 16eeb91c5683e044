"""Grades of catalogs on a real PostgreSQL."""

import pytest

from sidecar.records.grade import grade
from tests.support import records as r

pytestmark = pytest.mark.functional


def test_planted_faults_are_counted_and_filter_and_classification_agree(tmp_path, postgres_url):
    r.fill(postgres_url, r.rows({}, {"AJLB": "~"}, {"CSRQ": "20050231"}, {"FCBJ": "1"}))
    connector = r.connect(tmp_path, postgres_url)
    try:
        found = grade(connector, r.PARAMETERS, 100)
    finally:
        connector.close()
    assert (found.rows, found.sealed, found.different) == (4, 3, 0)
    assert {name: count for name, count in found.unmapped.items() if count} == {"kind": 1}
    assert {name: count for name, count in found.undecidable.items() if count} == {"kind": 1, "minor": 1}
