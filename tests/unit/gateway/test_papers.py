"""The papers' port on a real ring, ledger and database: what is brought, and whom stored pseudonyms name."""

from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import insert

from sidecar.clock import FixedClock
from sidecar.gateway.papers import PapersAtHand
from sidecar.gateway.ports import Brought, Papers, Use
from sidecar.gateway.types import Inquiry
from sidecar.keys.generate import add_pseudonym_year, create_ring
from sidecar.keys.ids import UuidSource
from sidecar.keys.ring import FileKeyRing
from sidecar.papers.issue import sign_letter
from sidecar.papers.letters import LetterReader
from sidecar.papers.lookup import ApplicationReader
from sidecar.papers.tables import APPLICATIONS
from sidecar.papers.types import Letter
from sidecar.papers.uses import Shared, Uses
from sidecar.policy.types import ApplicationFacts, LetterFacts, UndertakingFacts
from sidecar.records.types import Search, Subject
from tests.support.papers import (
    AUDIENCE,
    DRAFT,
    NOW,
    OFFICER,
    PARAMS,
    PERSON,
    UNIT,
    Units,
    application_row,
    verification_key,
)
from tests.support.state import entry, open_both, settings_for

KEY = Ed25519PrivateKey.generate()
IDS = UuidSource(FixedClock(NOW))
APPLICATION = IDS.new()
ME = f"{OFFICER.issuer}|{OFFICER.subject}"
SECONDS = int(NOW.timestamp())


@pytest.fixture
def state(tmp_path):
    yield from open_both(settings_for(tmp_path))


@pytest.fixture
def ring(tmp_path):
    create_ring(tmp_path / "keys", 2026)
    add_pseudonym_year(tmp_path / "keys", 2025)
    return FileKeyRing.load(tmp_path / "keys", FixedClock(NOW))


@pytest.fixture
def desk(state, ring):
    units = Units({(UNIT, "k"): verification_key(KEY, "k")})
    letters = LetterReader(units, state[0], audience=AUDIENCE, cache_size=9)
    made: Papers = PapersAtHand(
        letters, ApplicationReader(state[0]), Uses(state[0], ring, idempotency_seconds=600), ring
    )
    return made


def inquiry(**changes):
    stated = {
        "id": IDS.new(),
        "received": NOW,
        "channel": "api",
        "database": "cases",
        "target": Subject(person_id=PERSON),
        "scope": "sealed",
        "reason": "r",
        "basis": ("law", "286"),
        "purpose": "case",
        "case_number": "c",
        "letter": "",
        "application": "",
        "page_size": 1,
        "cursor": "",
        "sort": (),
        "idempotency_key": "",
    }
    return Inquiry(**stated | changes)


def bring(desk, **changes):
    return desk.bring(inquiry(**changes), OFFICER, "law/286", "case", PARAMS)


def test_nothing_brought_is_absent(desk):
    assert bring(desk) == Brought(LetterFacts(), ApplicationFacts(), UndertakingFacts(), None)


@pytest.mark.parametrize("year", [2025, 2026])
def test_papers_of_this_inquiry_match_in_everything(desk, state, ring, year):
    key, pseudonym = ring.pseudonym("person_id", PERSON, year)
    with state[0].begin() as connection:
        row = application_row(APPLICATION, subject=pseudonym, subject_key=key)
        connection.execute(insert(APPLICATIONS).values(**row))
    brought = bring(desk, letter=sign_letter(DRAFT, KEY, NOW, "k"), application=APPLICATION)
    assert brought.letter == LetterFacts("valid", "", "jws", *[True] * 7)
    assert brought.application == ApplicationFacts("approved", *[True] * 8)
    assert brought.undertaking == UndertakingFacts("signed", officer_match=True)
    assert isinstance(brought.valid_letter, Letter)
    other = bring(desk, application=APPLICATION, target=Subject(name="张三", birth_date="2005-06-01"))
    assert not other.application.subject_match
    assert not bring(desk, application=APPLICATION, target=Search(())).application.subject_match


def test_invalid_letter_has_no_use_to_count(desk):
    brought = bring(desk, letter="x")
    assert (brought.letter, brought.valid_letter) == (LetterFacts(state="invalid", code="letter-malformed"), None)


@pytest.mark.parametrize("key", ["2025-00000000", "2019-00000000", "", "x-1", "²-1"])
def test_pseudonym_of_a_swapped_key_or_no_key_names_nobody(desk, state, ring, key):
    _, pseudonym = ring.pseudonym("person_id", PERSON, 2025)
    with state[0].begin() as connection:
        connection.execute(
            insert(APPLICATIONS).values(**application_row(APPLICATION, subject=pseudonym, subject_key=key))
        )
    assert not bring(desk, application=APPLICATION).application.subject_match


def test_first_page_opens_and_the_twin_shares(desk, state):
    letter = bring(desk, letter=sign_letter(DRAFT, KEY, NOW, "k")).valid_letter
    first = Use(IDS.new(), False, 1, ME, b"d" * 32, letter, "key", False, SECONDS + 900, SECONDS)
    state[1].commit(entry(), desk.count(first))
    twin = desk.twin(ME, "key", b"d" * 32, SECONDS)
    assert twin == Shared(first.inquiry, SECONDS + 900)
    again = Use(twin.inquiry, True, 1, ME, b"d" * 32, letter, "key", False, twin.expires, SECONDS)
    state[1].commit(entry(), desk.count(again))
    assert desk.twin(ME, "key", b"d" * 32, SECONDS + int(timedelta(minutes=10).total_seconds())) is None


def test_letter_that_cites_what_the_inquiry_cites_matches_it_though_it_is_not_listed(desk):
    draft = replace(DRAFT, basis=("某公司章程", "1"), purpose="curiosity")
    asked = inquiry(letter=sign_letter(draft, KEY, NOW, "k"), basis=("某公司章程 ", "1"), purpose="curiosity")
    letter = desk.bring(asked, OFFICER, "", "", PARAMS).letter
    assert letter.basis_match
    assert letter.purpose_match
    other = replace(asked, basis=("某公司章程", "2"), purpose="")
    letter = desk.bring(other, OFFICER, "", "", PARAMS).letter
    assert not letter.basis_match
    assert not letter.purpose_match
