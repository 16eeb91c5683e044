"""Terms and kinds of penalty (S3, S4, R5)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.law.terms import (
    MAX_TEXT,
    MAX_YEARS,
    NUMERALS,
    Penalty,
    Term,
    parse_months,
    parse_penalty,
    parse_term,
    whole_months,
)

SPELLED = {value: text for text, value in NUMERALS.items()}


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("三年六个月", Term(None, 42)),
        ("三年零六个月", Term(None, 42)),
        ("三年又六个月", Term(None, 42)),
        ("有期徒刑三年", Term(Penalty.FIXED_TERM, 36)),
        ("有期徒刑 五 年", Term(Penalty.FIXED_TERM, 60)),
        ("判处有期徒刑五年一个月。", Term(Penalty.FIXED_TERM, 61)),
        ("5年", Term(None, 60)),
        ("５年１个月", Term(None, 61)),
        ("3年6月", Term(None, 42)),
        ("03年06个月", Term(None, 42)),
        ("0年6个月", Term(None, 6)),
        ("3年0个月", Term(None, 36)),
        ("18个月", Term(None, 18)),
        ("两年", Term(None, 24)),
        ("叁年陆个月", Term(None, 42)),
        ("十二个月", Term(None, 12)),
        ("拘役六个月", Term(Penalty.CRIMINAL_DETENTION, 6)),
        ("管制二年", Term(Penalty.PUBLIC_SURVEILLANCE, 24)),
        ("有期徒刑三年，缓刑五年", Term(Penalty.FIXED_TERM, 36)),
        ("有期徒刑三年，并处罚金人民币五千元", Term(Penalty.FIXED_TERM, 36)),
        ("有期徒刑十年，剥夺政治权利一年", Term(Penalty.FIXED_TERM, 120)),
        ("数罪并罚，决定执行有期徒刑五年", Term(Penalty.FIXED_TERM, 60)),
        ("有期徒刑", Term(Penalty.FIXED_TERM, None)),
        ("无期徒刑，剥夺政治权利终身", Term(Penalty.LIFE, None)),
        ("死刑，缓期二年执行", Term(Penalty.DEATH, None)),
        ("单处罚金五千元", Term(Penalty.FINE, None)),
        ("没收个人全部财产", Term(Penalty.CONFISCATION, None)),
        ("剥夺政治权利三年", Term(Penalty.POLITICAL_RIGHTS, None)),
        ("驱逐出境", Term(Penalty.DEPORTATION, None)),
        ("免予刑事处罚", Term(Penalty.EXEMPTION, None)),
    ],
)
def test_what_judgments_write_is_read(text, term):
    assert parse_term(text) == term


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "年",
        "个月",
        "60",
        "零年零个月",
        "0年",
        "0个月",
        "一年半",
        "半年",
        "1.5年",
        "-3年",
        "三年十二个月",
        "三年十八个月",
        "三年零十五天",
        "拘役十五日",
        "三年、四年",
        "三年，四年",
        "有期徒刑三年，有期徒刑四年",
        "拘役三个月，管制一年",
        "无期徒刑减为有期徒刑二十年",
        "五年以下",
        "五年以下有期徒刑",
        "约三年",
        "三五年",
        "三年六",
        "百年",
        "零三年",
        "100年",
        "1000个月",
        "三年" + "，并处罚金" * MAX_TEXT,
        "²年x",
        "٣年",
        "null",
    ],
)
def test_r5_doubtful_terms_are_unknown(text):
    assert parse_term(text) is None
    assert parse_months(text) is None
    assert parse_penalty(text) is None


@given(st.integers(0, MAX_YEARS), st.integers(0, 11), st.sampled_from(["", "有期徒刑", "判处拘役"]), st.booleans())
def test_every_term_is_read_back_from_either_spelling(years, months, lead, chinese):
    spell = (lambda n: SPELLED[n]) if chinese else str
    text = lead + (f"{spell(years)}年" if years else "") + (f"{spell(months)}个月" if months else "")
    assert parse_months(text) == (years * 12 + months or None)


def test_every_numeral_has_one_spelling():
    assert len(NUMERALS) == 999
    assert {
        10: "十",
        11: "十一",
        20: "二十",
        101: "一百零一",
        110: "一百一十",
        999: "九百九十九",
    }.items() <= SPELLED.items()


@given(st.text(alphabet="三五十零百年个月半日，有期徒刑拘役缓0123456789 .-", max_size=20))
def test_no_text_raises_and_a_term_is_a_whole_positive_number(text):
    months = parse_months(text)
    assert months is None or 0 < months < (MAX_YEARS + 1) * 12


@pytest.mark.parametrize(("value", "months"), [(60, 60), (1, 1), (1199, 1199)])
def test_a_number_column_holds_months(value, months):
    assert whole_months(value) == months


@pytest.mark.parametrize("value", [0, -1, 1200, 9999, 60.0, 0.5, True, None, "60"])
def test_r5_zero_negative_and_fractional_numbers_are_unknown(value):
    assert whole_months(value) is None
