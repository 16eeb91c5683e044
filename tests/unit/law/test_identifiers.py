"""Identifiers: forms, check characters, normalisation (E5–E8, R12, R22–R24)."""

import unicodedata
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.law import identifiers as ids
from sidecar.law.days import day_of
from sidecar.law.identifiers import Fault, IdentifierInvalid

VALID = "11010519491231002X"  # the example of GB 11643

REGIONS = st.integers(1, 999999).map(lambda n: f"{n:06d}")
BIRTHS = st.dates(min_value=date(1800, 1, 1)).map(lambda d: f"{day_of(d):08d}")
SEQUENCES = st.integers(0, 999).map(lambda n: f"{n:03d}")


def check_character(first_17: str) -> str:
    """The oracle: ISO 7064 MOD 11-2 as a recursion, without weights."""
    state = 0
    for digit in first_17:
        state = (state + int(digit)) * 2 % 11
    value = (12 - state) % 11
    return "X" if value == 10 else str(value)


NUMBERS = st.tuples(REGIONS, BIRTHS, SEQUENCES).map("".join)


def wide(text: str) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)


@given(NUMBERS)
def test_e5_a_number_is_valid_exactly_with_its_check_character(first_17):
    good = first_17 + check_character(first_17)
    assert ids.citizen_number(good) == good
    for other in set("0123456789X") - {good[17]}:
        with pytest.raises(IdentifierInvalid, match="check character"):
            ids.citizen_number(first_17 + other)


@given(NUMBERS, st.integers(0, 16), st.integers(1, 9))
def test_e5_one_wrong_digit_is_found(first_17, place, shift):
    good = first_17 + check_character(first_17)
    wrong = good[:place] + str((int(good[place]) + shift) % 10) + good[place + 1 :]
    with pytest.raises(IdentifierInvalid):
        ids.citizen_number(wrong)


@given(REGIONS, st.dates(date(1900, 1, 1), date(1999, 12, 31)), SEQUENCES)
def test_r23_fifteen_digits_mean_19yy(region, birth, sequence):
    short = f"{region}{day_of(birth) % 1000000:06d}{sequence}"
    number = ids.citizen_number(short)
    assert ids.birth_day_of(number) == day_of(birth)
    assert short in ids.citizen_number_forms(number)


@given(NUMBERS)
def test_every_form_reads_back_to_the_same_number(first_17):
    number = first_17 + check_character(first_17)
    forms = ids.citizen_number_forms(number)
    assert forms[0] == number
    assert len(set(forms)) == len(forms) == 1 + number.endswith("X") + (number[6:8] == "19")
    assert {ids.citizen_number(form) for form in forms} == {number}


@pytest.mark.parametrize("text", [VALID, VALID.lower(), f"  {VALID}　", wide(VALID), wide(VALID.lower())])
def test_r22_spellings_of_one_number_are_one(text):
    assert ids.citizen_number(text) == VALID


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", Fault.LENGTH),
        ("1101051949123100", Fault.LENGTH),
        (VALID + "0", Fault.LENGTH),
        ("X10105194912310021", Fault.CHARACTERS),
        ("1101054912310O2", Fault.CHARACTERS),
        ("١١٠١٠٥١٩٤٩١٢٣١٠٠٢X", Fault.CHARACTERS),
        ("000000194912310025", Fault.REGION),
        ("110105194902290021", Fault.DATE),
        ("110105179912310021", Fault.DATE),
        ("110105194900310021", Fault.DATE),
        (VALID + "\n", Fault.CONTROL),
        (VALID + "\u200b", Fault.CONTROL),
        ("\u202e" + VALID, Fault.CONTROL),
        (VALID[:17] + "\x00", Fault.CONTROL),
        (VALID[:17] + "1", Fault.CHECK),
    ],
)
def test_r23_a_bad_number_is_refused_with_its_fault_and_without_its_value(text, fault):
    with pytest.raises(IdentifierInvalid) as caught:
        ids.citizen_number(text)
    assert caught.value.fault is fault
    assert caught.value.code == "identifier-invalid"
    assert text == "" or text not in str(caught.value)
    assert "1949" not in str(caught.value)


def test_r23_a_birth_date_to_come_is_refused():
    assert ids.citizen_number(VALID, today=19491231) == VALID
    with pytest.raises(IdentifierInvalid, match="not to come"):
        ids.citizen_number(VALID, today=19491230)


def test_r23_sequence_000_is_accepted_with_a_warning():
    number = "11010519491231000" + check_character("11010519491231000")
    assert ids.read_citizen_number(number).sequence_zero
    assert not ids.read_citizen_number(VALID).sequence_zero
    assert ids.read_citizen_number(VALID).birth == 19491231


# --- credit codes


def test_e6_the_example_is_valid_and_its_neighbour_is_not():
    assert ids.credit_code("91350100M000100Y43") == "91350100M000100Y43"
    with pytest.raises(IdentifierInvalid, match="check character"):
        ids.credit_code("91350100M000100Y44")


@given(st.text(alphabet=ids.CREDIT_ALPHABET, min_size=17, max_size=17))
def test_e6_weights_are_the_powers_of_three(first_17):
    total = sum(pow(3, i, 31) * ids.CREDIT_ALPHABET.index(c) for i, c in enumerate(first_17))
    code = first_17 + next(c for i, c in enumerate(ids.CREDIT_ALPHABET) if (total + i) % 31 == 0)
    if code == "0" * 18:
        return
    assert ids.credit_code(code.lower()) == ids.credit_code(wide(code)) == code


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("0" * 18, Fault.ZEROS),
        ("9135010OM000100Y43", Fault.CHARACTERS),
        ("91350100M000100Y4", Fault.LENGTH),
        ("91350100M000100Y43\t", Fault.CONTROL),
    ],
)
def test_r23_bad_credit_codes_are_refused(text, fault):
    with pytest.raises(IdentifierInvalid) as caught:
        ids.credit_code(text)
    assert caught.value.fault is fault


# --- case numbers


@pytest.mark.parametrize(
    "text",
    [
        "（2023）浙0102刑初12号",
        "(2023)浙0102刑初12号",
        "〔2023〕浙0102刑终12号",
        "【2023】浙刑再1号",
        "[2023]浙0102刑更12号",
        "［２０２３］浙0102刑监12号",
        "（2023）最高法刑核12345号",
        "（2023）最高法刑申1号",
        "（2023）京0105刑他9号",
        "（2023）兵0102刑初12号",
        "（2023）浙0102刑初12号之一",
        "（2023）浙0102刑初12号之九十九",
        "（2023）𠮷𠮷1刑初1号",
    ],
)
def test_e7_r24_criminal_courts_case_numbers_are_known(text):
    assert ids.is_court_case_number(text)
    assert "（2023）" in ids.case_number(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "（2023）浙0102民初12号",
        "（2023）浙0102刑初12",
        "（23）浙0102刑初12号",
        "（2023）浙01023刑初12号",
        "（2023）浙江省0102刑初12号",
        "（2023）Zh0102刑初12号",
        "（2023）浙0102刑初12号之一百",
        "（2023）浙0102刑初12号之",
        "（2023）浙0102刑初号",
        "（2023）浙٠刑初12号",
        "x（2023）浙0102刑初12号",
        "（2023）浙0102刑初12号\n",
        "（2023）浙0102刑初12号" + "0" * 60,
    ],
)
def test_e7_other_numbers_are_not_a_courts(text):
    assert not ids.is_court_case_number(text)


@pytest.mark.parametrize(
    ("text", "fault"),
    [("", Fault.BLANK), ("　 ", Fault.BLANK), ("a" * 65, Fault.LENGTH), ("a\x07b", Fault.CONTROL)],
)
def test_r12_blank_long_and_control_characters_are_refused(text, fault):
    with pytest.raises(IdentifierInvalid, match="case number") as caught:
        ids.case_number(text)
    assert (caught.value.code, caught.value.fault) == ("case-number-invalid", fault)


def test_r12_other_organs_may_have_any_number():
    assert ids.case_number(" A(2023)-7 ") == "A（2023）-7"
    assert ids.case_number("内部档案 7") == "内部档案 7"


def test_han_is_told_by_script():
    assert all(ids.is_han(char) for char in "浙〇々𠮷最")
    assert not any(ids.is_han(char) for char in "aA1あア가（Я")


def test_every_assigned_ideograph_is_han():
    for point in range(0x3400, 0x33480):
        if unicodedata.name(chr(point), "").startswith("CJK UNIFIED IDEOGRAPH"):
            assert ids.is_han(chr(point)), hex(point)


# --- letter numbers, names


@pytest.mark.parametrize(
    "text",
    [
        "京公法字〔2022〕337号",
        "京公法字[2022]337号",
        "京公法字(2022)337号",
        "京公法字【２０２２】３３７号",
        " 京公法字［2022］337号 ",
    ],
)
def test_e8_r22_spellings_of_one_letter_number_are_one(text):
    assert ids.letter_number(text) == "京公法字〔2022〕337号"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "〔2022〕337号",
        "京公法字〔2022〕0号",
        "京公法字〔2022〕037号",
        "京公法字〔22〕337号",
        "京公法字2022337号",
        "京公法字〔2022〕337",
        "京公法字 〔2022〕337号",
        "京公法字〔2022〕337号\n",
        "字" * 21 + "〔2022〕337号",
        "字〔2022〕" + "1" * 60 + "号",
    ],
)
def test_e8_other_forms_are_refused(text):
    with pytest.raises(IdentifierInvalid):
        ids.letter_number(text)


def test_names_are_normalised_and_bounded():
    assert ids.person_name("　张 三 ") == "张 三"
    with pytest.raises(IdentifierInvalid, match="blank"):
        ids.person_name(" ")
    with pytest.raises(IdentifierInvalid, match="at most 64"):
        ids.person_name("张" * 65)


READERS = [
    ids.normalise,
    ids.citizen_number,
    ids.credit_code,
    ids.case_number,
    ids.letter_number,
    ids.person_name,
]


@given(st.text(max_size=30), st.sampled_from(READERS))
def test_a_reader_gives_a_stable_value_or_an_identifier_invalid(text, reader):
    try:
        value = reader(text)
    except IdentifierInvalid:
        return
    assert reader(value) == value
    assert not any(unicodedata.category(char)[0] == "C" for char in value)
