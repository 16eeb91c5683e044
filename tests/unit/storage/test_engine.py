"""The state database opens as configured, or says what to change."""

from __future__ import annotations

import stat

import pytest
from sqlalchemy import create_engine, event
from sqlalchemy.exc import OperationalError

from sidecar.errors import ConfigurationError, LedgerUnavailable
from sidecar.storage.durability import check_durable
from sidecar.storage.engine import open_state, reading, sqlite_file
from tests.support.state import settings_for


@pytest.fixture
def engine(tmp_path):
    made = open_state(settings_for(tmp_path, statement_timeout_ms=100), create=True)
    yield made
    made.dispose()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sqlite://", "SQLite needs a file"),
        ("sqlite:///:memory:", "memory is not durable"),
        ("sqlite:///file:x?mode=memory&uri=true", "SQLite needs a file"),
        ("mysql://host/db", "expected sqlite:///file or postgresql"),
        ("postgresql+psycopg://u:hunter2@h/db", "storage.password_file"),
        ("no url", "cannot be read"),
    ],
)
def test_urls_that_cannot_be_used_are_refused_without_their_secrets(tmp_path, url, message):
    with pytest.raises(ConfigurationError, match=message) as refused:
        open_state(settings_for(tmp_path, url))
    assert "hunter2" not in refused.value.diagnostics()


def test_a_missing_file_is_not_created_by_accident(tmp_path):
    with pytest.raises(ConfigurationError, match="sidecar db upgrade"):
        open_state(settings_for(tmp_path))
    assert not (tmp_path / "state.db").exists()


def test_a_created_file_is_private_and_beside_the_settings(tmp_path, engine):
    file = sqlite_file(engine)
    assert file == tmp_path / "state.db"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_connections_are_durable_and_check_foreign_keys(engine):
    check_durable(engine)
    with engine.connect() as connection:
        values = {
            p: connection.exec_driver_sql(f"PRAGMA {p}").scalar()
            for p in ("synchronous", "journal_mode", "foreign_keys")
        }
    assert values == {"synchronous": 2, "journal_mode": "wal", "foreign_keys": 1}


def test_readers_do_not_wait_for_a_writer_but_writers_do(engine):
    with engine.begin() as writer:
        writer.exec_driver_sql("CREATE TABLE t (n)")
        with reading(engine).connect() as reader:
            assert reader.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar() == 0
        with pytest.raises(OperationalError, match="locked"), engine.connect() as second:
            second.exec_driver_sql("SELECT 1")


def insert_and_fail(engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO t VALUES (1)")
        connection.exec_driver_sql("INSERT INTO absent VALUES (1)")


def test_a_transaction_that_fails_leaves_nothing(engine):
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (n)")
    with pytest.raises(OperationalError, match="no such table: absent"):
        insert_and_fail(engine)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM t").scalar() == 0


@pytest.mark.parametrize(
    ("pragma", "message"),
    [("synchronous=NORMAL", r"synchronous=FULL \(2\) or EXTRA \(3\), got 1"), ("journal_mode=MEMORY", "got memory")],
)
def test_a_sqlite_that_may_lose_commits_is_refused(tmp_path, pragma, message):
    engine = create_engine(f"sqlite:///{tmp_path}/x.db")
    event.listen(engine, "connect", lambda connection, _: connection.execute(f"PRAGMA {pragma}"))
    with pytest.raises(ConfigurationError, match=message):
        check_durable(engine)
    engine.dispose()


def test_an_error_shows_no_bound_value(engine):
    with pytest.raises(OperationalError) as failed, engine.connect() as connection:
        connection.exec_driver_sql("INSERT INTO missing VALUES (?)", ("secret-value",))
    assert "secret-value" not in str(failed.value)


def test_a_password_is_read_from_its_file_at_every_connect(tmp_path):
    settings = settings_for(
        tmp_path, "postgresql+psycopg://u@127.0.0.1:1/db", password_file="pw", statement_timeout_ms=100
    )
    engine = open_state(settings)
    with pytest.raises(ConfigurationError, match=r"storage\.password_file"):
        engine.connect()
    (tmp_path / "pw").write_text("hunter2\n")
    with pytest.raises(LedgerUnavailable) as refused:
        check_durable(engine)
    assert "hunter2" not in f"{refused.value} {refused.value.__cause__}"
    engine.dispose()
