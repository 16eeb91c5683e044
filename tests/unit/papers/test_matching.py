"""What papers match: each part alone decides its own fact, and nothing matches what is not stated."""

from dataclasses import replace

import pytest

from sidecar.papers.matching import Wanted, application_facts, covers, letter_facts, undertaking_facts
from sidecar.papers.types import Absent, Application, ApplicationState, Invalid, Letter
from sidecar.policy.types import ApplicationFacts, LetterFacts, UndertakingFacts

WANTED = Wanted("i", "110", "U", "N", {"2025-a": "p25", "2026-b": "p26"}.get, "cases", "sealed", "law/286", "case")
LETTER = Letter(
    "U", "1", "110", frozenset({"N", "M"}), frozenset({"cases"}), "sealed", "law/286", "case", 0, 1, 1, "jws"
)
APPLICATION = Application(
    id="a",
    state=ApplicationState.APPROVED,
    officer_issuer="i",
    officer="110",
    unit="U",
    subject="p25",
    database="cases",
    scope="sealed",
    basis="law/286",
    purpose="case",
    valid_to=1,
    approver="i|boss",
    copies_approved=True,
    undertaking_by="i|110",
    subject_key="2025-a",
)
ALL_LETTER = LetterFacts("valid", "", "jws", *[True] * 7)
ALL_APPLICATION = ApplicationFacts("approved", *[True] * 8)


def test_letter_for_this_inquiry_matches_in_everything():
    assert letter_facts(LETTER, WANTED) == ALL_LETTER


@pytest.mark.parametrize(
    ("changes", "fact"),
    [
        ({"issuer": "V"}, "unit_match"),
        ({"officer": "111"}, "officer_match"),
        ({"subjects": frozenset({"M"})}, "subject_match"),
        ({"databases": frozenset({"cases2"})}, "database_match"),
        ({"scope": "open"}, "scope_match"),
        ({"basis": "law/287"}, "basis_match"),
        ({"purpose": "other"}, "purpose_match"),
    ],
)
def test_letter_that_differs_in_one_part_matches_in_the_others(changes, fact):
    assert letter_facts(replace(LETTER, **changes), WANTED) == replace(ALL_LETTER, **{fact: False})


@pytest.mark.parametrize(
    ("changes", "fact"),
    [
        ({"officer_issuer": "j"}, "officer_match"),
        ({"officer": "111"}, "officer_match"),
        ({"unit": "V"}, "officer_match"),
        ({"subject": "p26"}, "subject_match"),
        ({"subject_key": "2026-b"}, "subject_match"),
        ({"subject_key": "2024-z"}, "subject_match"),
        ({"database": "cases2"}, "database_match"),
        ({"scope": "open"}, "scope_match"),
        ({"basis": "law/287"}, "basis_match"),
        ({"purpose": "other"}, "purpose_match"),
        ({"approver": "i|110"}, "approver_distinct"),
        ({"approver": None}, "approver_distinct"),
        ({"copies_approved": False}, "copies_approved"),
    ],
)
def test_application_that_differs_in_one_part_matches_in_the_others(changes, fact):
    assert application_facts(APPLICATION, WANTED) == ALL_APPLICATION
    assert application_facts(replace(APPLICATION, **changes), WANTED) == replace(ALL_APPLICATION, **{fact: False})


def test_search_matches_no_paper_that_names_a_person():
    search = replace(WANTED, subject="", pseudonym=lambda _: None)
    paper = replace(LETTER, kind="paper", subjects=frozenset({"2025-a p25"}))
    for letter in (LETTER, replace(LETTER, subjects=frozenset({""})), paper):
        assert not letter_facts(letter, search).subject_match
    assert not application_facts(replace(APPLICATION, subject=""), search).subject_match


@pytest.mark.parametrize(
    ("subjects", "match"),
    [
        ({"2025-a p25"}, True),
        ({"2026-b p26", "x"}, True),
        ({"2025-a p26"}, False),
        ({"2024-z p25"}, False),
        ({"N"}, False),
    ],
)
def test_paper_letter_names_pseudonyms_of_any_year(subjects, match):
    letter = replace(LETTER, kind="paper", subjects=frozenset(subjects))
    assert letter_facts(letter, WANTED).subject_match is match


def test_pseudonym_in_a_signed_letter_matches_nobody():
    assert not letter_facts(replace(LETTER, subjects=frozenset({"2025-a p25"})), WANTED).subject_match


@pytest.mark.parametrize("part", ["basis", "purpose"])
def test_what_is_not_listed_matches_nothing(part):
    wanted = replace(WANTED, **{part: ""})
    blank = {part: ""}
    assert not getattr(letter_facts(replace(LETTER, **blank), wanted), f"{part}_match")
    assert not getattr(application_facts(replace(APPLICATION, **blank), wanted), f"{part}_match")


@pytest.mark.parametrize(
    ("granted", "asked", "covered"),
    [("sealed", "sealed", True), ("sealed", "open", True), ("open", "open", True), ("open", "sealed", False)],
)
def test_sealed_covers_open_and_not_the_reverse(granted, asked, covered):
    assert covers(granted, asked) is covered


def test_states_of_what_was_not_accepted():
    assert letter_facts(Absent(), WANTED) == LetterFacts()
    assert letter_facts(Invalid("letter-forged"), WANTED) == LetterFacts(state="invalid", code="letter-forged")
    assert application_facts(Absent(), WANTED) == ApplicationFacts()
    assert application_facts(Invalid("application-unknown"), WANTED) == ApplicationFacts(state="unknown")
    for nothing in (Absent(), Invalid("application-unknown"), replace(APPLICATION, undertaking_by=None)):
        assert undertaking_facts(nothing, WANTED) == UndertakingFacts()


@pytest.mark.parametrize(("by", "match"), [("i|110", True), ("i|111", False), ("j|110", False)])
def test_undertaking_is_the_officers_own(by, match):
    facts = undertaking_facts(replace(APPLICATION, undertaking_by=by), WANTED)
    assert facts == UndertakingFacts(state="signed", officer_match=match)
