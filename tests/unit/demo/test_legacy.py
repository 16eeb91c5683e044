"""The county's legacy database is as it is described, and the same every time."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine, func, select

from sidecar.demo import legacy
from sidecar.demo.people import PEOPLE, UNITS, person
from sidecar.law import identifiers


@pytest.fixture(scope="module")
def rows() -> list[legacy.Case]:
    return list(legacy.cases())


def test_twenty_thousand_persons_have_records(rows: list[legacy.Case]) -> None:
    assert len({row.SFZH for row in rows}) == 20_000


def test_every_citizen_number_is_well_formed_and_tells_the_birth_date(rows: list[legacy.Case]) -> None:
    for row in rows[::97]:
        assert identifiers.citizen_number(row.SFZH, today=20261124) == row.SFZH
        assert row.SFZH[6:14] == row.CSRQ


def test_the_keys_are_unique(rows: list[legacy.Case]) -> None:
    assert len({(row.AJBH, row.XH) for row in rows}) == len(rows)


def test_a_share_of_minors_records_lacks_its_mark(rows: list[legacy.Case]) -> None:
    minors = [row for row in rows if int(row.FARQ) - int(row.CSRQ) <= 180000]
    share = sum(row.FCBJ is None for row in minors) / len(minors)
    assert 0.1 < share < 0.2


def test_remarks_are_gb18030_beyond_the_basic_plane(rows: list[legacy.Case]) -> None:
    texts = [row.BZ.decode("gb18030") for row in rows]
    assert any("𠀀" in text for text in texts)


def test_the_same_seed_gives_the_same_rows(rows: list[legacy.Case]) -> None:
    assert list(legacy.cases()) == rows


def test_the_story_subjects_stand_at_the_boundaries() -> None:
    assert (legacy.SIXTY.XQ_YUE, legacy.SIXTY_ONE.XQ_YUE) == (60, 61)
    assert legacy.ON_BIRTHDAY.FARQ[4:] == legacy.ON_BIRTHDAY.CSRQ[4:]
    assert int(legacy.AFTER_BIRTHDAY.FARQ) == int(legacy.ON_BIRTHDAY.FARQ) + 1


def test_nobody_is_in_no_row(rows: list[legacy.Case]) -> None:
    assert legacy.NOBODY not in {row.SFZH for row in rows}


def test_fill_writes_every_row(rows: list[legacy.Case]) -> None:
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        assert legacy.fill(connection) == len(rows)
        assert connection.scalar(select(func.count()).select_from(legacy.CASES)) == len(rows)
    engine.dispose()


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_every_unit_code_is_valid(unit) -> None:
    assert identifiers.credit_code(unit.code) == unit.code


def test_people_are_found_by_name_only() -> None:
    assert {person(p.name) for p in PEOPLE} == set(PEOPLE)
    assert person("nobody") is None
