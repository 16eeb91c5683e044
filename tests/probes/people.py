"""The persons that the attacker asks about: half of them have sealed records, beside as many open ones as the others."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterator
from dataclasses import dataclass

from sidecar.demo.legacy import citizen_number
from tests.worlds.county import Person, Values, base

SEED = 20261124
_FIRST = dt.date(1960, 1, 1)


@dataclass(frozen=True)
class Subject:
    """One person, and whether there is a sealed record."""

    who: Person
    sealed: bool


def people(number: int) -> tuple[list[Subject], list[Values]]:
    """So many persons, and all rows of the database."""
    dice = random.Random(SEED)
    subjects = [Subject(person_of(i), dice.random() < 0.5) for i in range(number)]
    rows = [row for subject in subjects for row in _rows(subject, dice)]
    dice.shuffle(rows)
    return subjects, [{**row, "AJBH": f"AJ{i:06d}"} for i, row in enumerate(rows)]


def person_of(number: int) -> Person:
    birth = f"{_FIRST + dt.timedelta(days=number):%Y%m%d}"
    return Person(citizen_number(birth, number % 900), f"某{number:05d}", birth)


def _rows(subject: Subject, dice: random.Random) -> Iterator[Values]:
    for _ in range(dice.randrange(3)):
        yield base(subject.who)
    for _ in range(dice.choice((1, 1, 2, 5)) if subject.sealed else 0):
        yield base(subject.who, FCBJ="1")
