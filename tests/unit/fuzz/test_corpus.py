"""The fuzzers' targets hold for their seeds, for what was found once, and for a few thousand changes of both."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from sidecar.ledger import entry
from tests.fuzz.corpus import CORPUS, found, names
from tests.fuzz.targets import ENTRY, TARGETS

CHANGES = {"catalog": 3}
"""Fewer for who is slow."""

KNOWN = list(found())
TOLD = (CORPUS / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("name", "file"), KNOWN, ids=lambda part: part.name if isinstance(part, Path) else part)
def test_what_was_found_once_is_found_no_more(name, file):
    TARGETS[name].run(file.read_bytes())


@pytest.mark.parametrize("file", [file for _, file in KNOWN], ids=lambda file: file.name)
def test_each_input_is_told(file):
    assert f"| `{file.parent.name}/{file.name}` | " in TOLD


@pytest.mark.parametrize("name", names())
def test_a_target_holds_for_seeds_and_changes_of_them(name):
    target, chance = TARGETS[name], random.Random(name)
    for seed in (*target.seeds, *(file.read_bytes() for other, file in KNOWN if other == name)):
        target.run(seed)
        for _ in range(CHANGES.get(name, 60)):
            target.run(changed(seed, chance, target.words))


def changed(data: bytes, chance: random.Random, words) -> bytes:
    """One to four places of it, otherwise."""
    made = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        start = chance.randrange(len(made) + 1)
        end = min(len(made), start + chance.randint(0, 20))
        kind = chance.randrange(3)
        made[start:end] = (b"", made[start:end] * 2, chance.choice((*words, b"\0", b'"', b"\xff", b"9" * 30)))[kind]
    return bytes(made)


@pytest.mark.parametrize(
    ("name", "place", "data"),
    [
        ("entry", "sidecar.ledger.entry.read", lambda body: (entry.decode(body), ONE)),
        ("bundle", "sidecar.ledger.tiles.unpack", lambda data: [data]),
        ("identifier", "sidecar.law.identifiers.citizen_number_forms", lambda number: (number, number[1:])),
        ("token", "sidecar.identity.tokens.TokenVerifier._check_audience", lambda *_: None),
    ],
)
def test_a_target_notices_a_fault(monkeypatch, name, place, data):
    """Tests of the tests: a parser that is made worse is found by the replay."""
    monkeypatch.setattr(place, data)
    with pytest.raises((AssertionError, ValueError)):
        replay(name, (*TARGETS[name].seeds, *OTHERS[name]))


def replay(name, inputs):
    for data in inputs:
        TARGETS[name].run(data)


ONE = entry.read(ENTRY)[1]
OTHERS = {
    "entry": [ENTRY.replace(b":", b": ", 1)],
    "bundle": [b"\0\1a\0"],
    "identifier": [],
    "token": [TARGETS["token"].seeds[0].replace(b'"aud":"county"', b'"aud":"elsewhere"')],
}
