"""Days and terms as texts on real servers: PostgreSQL and MariaDB read each as Python does, whatever stands in it."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sidecar.records.driver import Driver
from tests.support import records as r
from tests.support import texts as t

pytestmark = pytest.mark.functional


@pytest.fixture(params=["postgresql", "mariadb"])
def server(request, tmp_path) -> Iterator[tuple[str, Driver]]:
    url = request.getfixturevalue("postgres_url" if request.param == "postgresql" else "mariadb_url")
    t.fill(url, t.KNOWN)
    connector = r.connect(tmp_path, url)
    yield url, connector.driver
    connector.close()


def test_what_is_known_is_read_as_in_python(server):
    _, driver = server
    assert t.differences(driver) == []


@settings(
    max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
@given(content=st.lists(t.any_text(), min_size=80, max_size=160))
def test_any_text_is_read_as_in_python(server, content):
    url, driver = server
    t.fill(url, content)
    assert t.differences(driver) == []
