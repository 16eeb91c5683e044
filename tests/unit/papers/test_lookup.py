"""Applications by id: whatever is no id is unknown, and an approval ends with its last second."""

from dataclasses import fields

import pytest
from sqlalchemy import insert

from sidecar.papers.lookup import ApplicationReader
from sidecar.papers.tables import APPLICATIONS
from sidecar.papers.types import Absent, Application, ApplicationState, Invalid
from tests.support.papers import NOW, application_row
from tests.support.state import new_state, settings_for

SECONDS = int(NOW.timestamp())
ID = "019e5f70-0000-7000-8000-000000000001"


@pytest.fixture
def engine(tmp_path):
    made = new_state(settings_for(tmp_path))
    yield made
    made.dispose()


def stored(engine, **changes):
    with engine.begin() as connection:
        connection.execute(insert(APPLICATIONS).values(**application_row(ID, **changes)))
    return ApplicationReader(engine).read(ID, NOW)


def test_application_is_read_whole(engine):
    found = stored(engine, valid_to=SECONDS)
    row = application_row(ID, valid_to=SECONDS)
    assert found == Application(**{field.name: row[field.name] for field in fields(Application)})


@pytest.mark.parametrize("text", ["", "   "])
def test_blank_is_absent(engine, text):
    assert ApplicationReader(engine).read(text, NOW) == Absent()


@pytest.mark.parametrize("text", [ID, "x", "\x00", "' OR 1=1 --", "x" * 10000])
def test_what_is_not_there_is_unknown(engine, text):
    assert ApplicationReader(engine).read(text, NOW) == Invalid("application-unknown")


@pytest.mark.parametrize("text", [ID.upper(), f" {ID} "])
def test_id_has_one_meaning_in_every_spelling(engine, text):
    stored(engine)
    assert ApplicationReader(engine).read(text, NOW).id == ID


@pytest.mark.parametrize(
    ("state", "valid_to", "seen"),
    [
        ("approved", SECONDS, ApplicationState.APPROVED),
        ("approved", SECONDS - 1, ApplicationState.EXPIRED),
        ("approved", None, ApplicationState.EXPIRED),
        ("refused", SECONDS - 1, ApplicationState.REFUSED),
        ("submitted", None, ApplicationState.SUBMITTED),
    ],
)
def test_approval_that_is_over_is_expired(engine, state, valid_to, seen):
    assert stored(engine, state=state, valid_to=valid_to).state is seen
