"""Derived attributes in Python: the rows of the law's table, and totality."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.law.age import adult_at
from sidecar.law.days import day_of
from sidecar.policy.types import ATTRIBUTE_DOMAINS, Attributes, Era, Joint, MainActs, Minor, RecordKind
from sidecar.records.attributes import SEALED_KEYS, UNSEALED_KEYS, cover_mark, derivation, expressions
from sidecar.records.catalog import columns_of, parse
from tests.support.records import CATALOG, DECISION, PARAMETERS, ROW, any_row

COLUMNS = sorted(set(columns_of(CATALOG)))
INDEX = {name: i for i, name in enumerate(COLUMNS)}
DERIVE = derivation(expressions(CATALOG, PARAMETERS), cover_mark(CATALOG), INDEX)


def derived(sealed=(), unsealed=(), **changes) -> Attributes:
    row = {**ROW, **changes}
    leaves = [None if row[name] is None else str(row[name]) for name in COLUMNS]
    return DERIVE([leaves], {SEALED_KEYS: frozenset(sealed), UNSEALED_KEYS: frozenset(unsealed)})[0][0]


def minor(birth: str, offence: str, **more) -> Minor:
    return derived(SFZH=None, CSRQ=birth, FARQ=offence, **more).minor


@pytest.mark.parametrize(
    ("birth", "offence", "expected"),
    [
        ("20050601", "20230601", Minor.YES),  # S5: on the 18th birthday
        ("20050601", "20230602", Minor.NO),
        ("20040229", "20220228", Minor.YES),
        ("20040229", "20220301", Minor.YES),  # R4: 1 March is the birthday in a common year
        ("20040229", "20220302", Minor.NO),
        ("20050231", "20300101", Minor.UNKNOWN),  # S14, R3
        ("20050600", "20300101", Minor.UNKNOWN),
        ("", "20300101", Minor.UNKNOWN),
        (None, "20300101", Minor.UNKNOWN),
        ("20050601", None, Minor.UNKNOWN),
        ("20050601", "20040601", Minor.UNKNOWN),  # an offence before birth is contradictory
        ("２0050601", "20300101", Minor.UNKNOWN),
        ("19000101", "20300101", Minor.UNKNOWN),  # declared a placeholder
        (" 20050601 ", "20230602", Minor.NO),
    ],
)
def test_age_at_the_offence(birth, offence, expected):
    assert minor(birth, offence) is expected


def test_a_second_act_on_the_other_side_straddles_and_blank_means_none():
    assert minor("20050601", "20230601", FARQ2="2023-06-02") is Minor.STRADDLES
    assert minor("20050601", "20230601", FARQ2="2023-05-02") is Minor.YES
    assert minor("20050601", "20230602", FARQ2=" ") is Minor.NO
    assert minor("20050601", "20230602", FARQ2="20230603") is Minor.UNKNOWN


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("33010619850711001X", Minor.NO),
        ("33010619850711001x", Minor.NO),
        ("33010619850712001X", Minor.UNKNOWN),
        ("330106850711001", Minor.NO),
        ("330106850712001", Minor.UNKNOWN),
        ("330106851341001", Minor.UNKNOWN),
        ("E12345678", Minor.NO),
        (None, Minor.NO),
    ],
)
def test_a_citizen_number_of_another_birth_date_makes_it_unknown(number, expected):
    assert derived(SFZH=number).minor is expected


@given(st.dates().filter(lambda d: d.year >= 1800), st.integers(0, 60), st.integers(-2, 80))
def test_the_tree_is_the_law_modules_rule(birth, years, offset):
    born = day_of(birth)
    offence = born + years * 10000 + offset
    found = minor(f"{born:08}", f"{offence:08}")
    if found in {Minor.YES, Minor.NO}:
        assert found is (Minor.NO if adult_at(born, offence, 18, "0301") else Minor.YES)


@pytest.mark.parametrize(
    ("code", "months", "expected"),
    [
        ("10", "60", 60),
        ("10", "061", 61),
        ("10", "0", -1),
        ("10", None, -1),
        ("10", "36.5", -1),
        ("10", "-3", -1),
        ("10", "3６", -1),
        ("10", "998", -1),  # declared unknown
        ("10", "9998", 9998),
        ("10", "9999", -1),  # would read as life
        ("10", "1234567890", -1),
        ("11", "4", 4),
        ("13", "junk", 0),
        ("30", None, 0),
        ("20", None, 9999),
        ("21", "12", 9999),
        ("90", "12", -1),
        ("77", "12", -1),
        (None, "12", -1),
    ],
)
def test_decided_term(code, months, expected):
    assert derived(XZDM=code, XQ_YUE=months).sentence_months == expected


@pytest.mark.parametrize(
    ("mark", "expected"), [(None, False), ("2", False), (" 2 ", False), ("1", True), ("9", True), ("", True)]
)
def test_a_null_mark_is_none_and_an_unknown_code_is_one(mark, expected):
    assert derived(FCBJ=mark).seal_mark is expected


def test_the_seal_register_marks_and_unseals_by_the_rows_key():
    assert derived(sealed={"AJ1|1"}).seal_mark is True
    assert derived(sealed={"AJ1|2", "AJ11|1"}).seal_mark is False
    assert derived(unsealed={"AJ1|1"}).unsealed is True
    assert derived(AJBH="A|J\\", sealed={"A\\|J\\\\|1"}).seal_mark is True


@pytest.mark.parametrize("missing", [None, *DECISION])
def test_unsealing_needs_every_part_of_the_decision(missing):
    parts = {**DECISION, **({missing: None} if missing else {})}
    assert derived(**parts).unsealed is (missing is None)


@pytest.mark.parametrize(
    ("day", "era"),
    [
        ("20121231", Era.BEFORE_SEALING_LAW),
        ("20130101", Era.BEFORE_VIOLATION_SEALING),
        ("20251231", Era.BEFORE_VIOLATION_SEALING),
        ("20260101", Era.CURRENT),
        ("20260230", Era.UNKNOWN),
        (None, Era.UNKNOWN),
    ],
)
def test_era_of_the_conclusion(day, era):
    assert derived(JARQ=day).era is era


def test_codes_that_are_not_mapped_are_unknown():
    found = derived(AJLB="99", ZYXW="3", GTFZ="7", MCBZ="x")
    assert (found.kind, found.main_acts, found.joint, found.exempted) == (
        RecordKind.UNKNOWN,
        MainActs.UNKNOWN,
        Joint.UNKNOWN,
        True,
    )


def test_a_blank_joint_code_is_what_the_catalog_says():
    assert derived(GTFZ=None).joint is Joint.NONE


def test_disclosure_needs_all_three():
    assert derived(TY1="1", TY2="1", TY3="1").disclosure_agreed is True
    assert derived(TY1="1", TY2="1", TY3=None).disclosure_agreed is False


def test_a_catalog_that_maps_nothing_withholds_everything():
    bare = parse(
        "{catalog: 1, database: d, connector: {kind: sql, dsn_file: x}, source: {table: t, key: [k]},"
        " subject: {person_id: p}, released: {crime: {column: z, class: crime}}}"
    )
    derive = derivation(expressions(bare, PARAMETERS), cover_mark(bare), {"k": 0, "p": 1, "z": 2})
    [(found, covered)] = derive([["1", "2", "3"]], {SEALED_KEYS: frozenset(), UNSEALED_KEYS: frozenset()})
    assert found == Attributes(
        Minor.UNKNOWN, -1, RecordKind.UNKNOWN, MainActs.UNKNOWN, Joint.UNKNOWN,
        seal_mark=False, exempted=True, unsealed=False, disclosure_agreed=False, era=Era.UNKNOWN,
    )  # fmt: skip
    assert covered is False


@given(any_row())
def test_attributes_are_total_and_of_their_domains_own_types(row):
    found = derived(**row).as_input()
    for name, domain in ATTRIBUTE_DOMAINS.items():
        value = found[name]
        if domain is None:
            assert type(value) is int
            assert -1 <= value <= 9999
        else:
            assert any(type(value) is type(known) and value == known for known in domain)


@given(st.lists(st.one_of(st.none(), st.text()), min_size=len(COLUMNS), max_size=len(COLUMNS)))
def test_no_text_whatever_raises(leaves):
    DERIVE([leaves], {SEALED_KEYS: frozenset({"x"}), UNSEALED_KEYS: frozenset()})


def test_an_unknown_reading_of_the_leap_birthday_is_refused():
    with pytest.raises(ValueError, match="expected 0301 or 0228"):
        expressions(CATALOG, replace(PARAMETERS, leap_birthday="0302"))
