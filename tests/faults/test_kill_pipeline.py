"""Workers and sequencer killed at random points under load, and started again by their parent: no answer without its entry, no use doubled or counted without one (P2)."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Mapping
from typing import Any, Self

import jwt
import psutil
import pytest
from sqlalchemy import text

from sidecar.demo.legacy import OPEN
from sidecar.demo.people import WANG
from sidecar.demo.story import VETTING
from sidecar.demo.world import World, ready, wait_for
from sidecar.keys.jwk import b64url
from tests.support.deployment import Books, letter, post, question

pytestmark = pytest.mark.functional

ROUNDS = int(os.environ.get("WORKER_KILL_ROUNDS", "3"))
"""In each every worker and the sequencer are killed; a worker's start is what takes the time."""

CLIENTS = 8
LETTERS = 40
USES = 2
"""Of each letter: so that letters run out while workers die."""


@pytest.fixture(params=["postgresql_world", "sqlite_world"])
def world(request: pytest.FixtureRequest) -> World:
    found: World = request.getfixturevalue(request.param)
    return found


class Load:
    """Clients that ask until they are told to end, and keep every receipt they were given."""

    def __init__(self, world: World, letters: list[str]) -> None:
        self._world, self._letters = world, letters
        self._token = world.token(WANG)
        self._over = threading.Event()
        self.receipts: list[str] = []
        self._threads = [threading.Thread(target=self._ask, args=(seed,)) for seed in range(CLIENTS)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, seed: int) -> None:
        dice = random.Random(seed)  # which letter comes next is no secret
        while not self._over.is_set():
            body = question(OPEN.SFZH, VETTING, letter=dice.choice(self._letters))
            try:
                answer = post(self._world, self._token, body)
            except OSError:
                continue  # the worker died with the request: it may have an entry, it has no answer
            if "receipt" in answer.json():
                self.receipts.append(answer.json()["receipt"])


def workers(world: World) -> set[int]:
    """Process ids of the gateway's workers that live; multiprocessing may keep helpers beside them."""
    gateway = world.running().get("gateway")
    with contextlib.suppress(psutil.NoSuchProcess):
        children = psutil.Process(gateway).children() if gateway else []
        return {child.pid for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE}
    return set()


def test_no_answer_without_entry_and_no_use_without_entry(world: World) -> None:
    dice = random.Random(286)  # a seed, so that a failure can be told again
    letters = [letter(world, WANG, OPEN.SFZH, VETTING, uses=USES) for _ in range(LETTERS)]
    books = Books(world)
    books.news()
    before = counted(books)
    with Load(world, letters) as load:
        for _ in range(ROUNDS):
            goal = len(load.receipts) + dice.randrange(5, 25)
            wait_for("answers", lambda goal=goal: len(load.receipts) >= goal)  # type: ignore[misc]
            killed, sequencer = workers(world), world.running().get("sequencer")
            for victim in killed | ({sequencer} if sequencer else set()):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(victim, signal.SIGKILL)
            wait_for("other workers", lambda killed=killed: len(workers(world) - killed) >= 2)  # type: ignore[misc]
            wait_for("another sequencer", lambda old=sequencer: world.running().get("sequencer") not in {None, old})  # type: ignore[misc]
    wait_for("the workers", lambda: ready(world))
    wait_for("the sequencer's positions", lambda: books.pending() == 0)
    entries = books.news().entries
    assert len(load.receipts) >= ROUNDS
    every_receipt_has_its_entry(world, books, load.receipts)
    uses_are_the_allowed_entries(before, counted(books), entries)
    report = json.loads(world.cli("ledger", "verify", "--json"))
    assert (report["fault"], report["pending"]) == (None, 0)
    books.state.dispose()


def every_receipt_has_its_entry(world: World, books: Books, receipts: list[str]) -> None:
    with books.state.connect() as connection:
        leaves = {
            b64url(bytes(row.leaf_hash)) for row in connection.execute(text("SELECT leaf_hash FROM ledger_positions"))
        }
    keys = jwt.PyJWKSet.from_dict(world.ask("GET", "/v1/keys").json())
    claims = [jwt.decode(r, keys.keys[0], ["EdDSA"], options={"verify_exp": False}) for r in receipts]
    assert len({c["leaf"] for c in claims}) == len(receipts), "two answers rest on one entry"
    assert {c["leaf"] for c in claims} <= leaves, "an answer was released without its entry"


def counted(books: Books) -> dict[str, int]:
    """Uses of every letter."""
    with books.state.connect() as connection:
        rows = connection.execute(text("SELECT counter, used FROM letter_uses")).all()
    return {str(row.counter): int(row.used) for row in rows}


def uses_are_the_allowed_entries(before: Mapping[str, int], after: Mapping[str, int], entries: tuple[Any, ...]) -> None:
    allowed = Counter(e["letter"] for e in entries if e["kind"] == "inquiry" and e["outcome"] == "allow")
    used = sorted(used for name, used in after.items() if name not in before)
    assert sorted(allowed.values()) == used, "a use was doubled, or counted without its entry"
    assert max(used) == USES, "no letter ran out"
    assert {name: after[name] for name in before} == before
