"""What the alerts policy is told of an entry."""

from __future__ import annotations

from pathlib import Path

import orjson

from sidecar.clock import FixedClock
from sidecar.ledger.attempts import AttemptCounter
from sidecar.ledger.build import EntryBuilder
from sidecar.ledger.entry import decode, encode
from sidecar.oversight.projector import JUDGED_FIELDS, judged
from tests.support.state import NOW

SCHEMA = Path(__file__).parents[3] / "policies" / "schemas" / "entry.json"


class Kept:
    """A ledger that keeps bodies; only what an attempt counter needs of one."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    def commit(self, entry, effects=(), meanwhile=None):
        self.bodies.append(encode(entry)[0])


def _attempts(number: int) -> dict[str, object]:
    clock, kept = FixedClock(NOW), Kept()
    counter = AttemptCounter(kept, EntryBuilder(clock, bytes), clock, lambda kind, value: "p")
    for _ in range(number):
        counter.count("192.0.2.1", "token-missing")
    counter.tick(final=True)
    [body] = kept.bodies
    return decode(body)


def test_the_judged_fields_are_the_policys_schema() -> None:
    entry = orjson.loads(SCHEMA.read_bytes())["properties"]["entry"]
    assert {*JUDGED_FIELDS, "count"} == set(entry["properties"])


def test_nobody_and_no_secret_is_judged() -> None:
    fields = dict.fromkeys([*JUDGED_FIELDS, "officer", "subject", "letter", "id", "salt", "time"], "x")
    assert set(judged(fields)) == set(JUDGED_FIELDS)


def test_an_entry_of_counted_attempts_says_how_many() -> None:
    assert judged(_attempts(3))["count"] == 3


def test_a_count_that_is_no_number_is_left_out_so_that_it_is_taken_for_a_flood() -> None:
    fields = _attempts(3)
    for extra in ({"count": "many"}, {"count": "9" * 5000}, {"count": 3}, {}, None, "3"):
        assert "count" not in judged({**fields, "extra": extra})
