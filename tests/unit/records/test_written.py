"""Days and terms as legacy systems write them: what they mean, that junk means nothing, both interpreters alike."""

from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sidecar.clock import SystemClock
from sidecar.law.days import is_day
from sidecar.records import expr as e
from sidecar.records import written
from sidecar.records.connectors.sqlite import SqliteDriver
from sidecar.records.driver import Limits
from sidecar.records.python import compile_one
from tests.support import texts as t

FORMATS = get_args(written.DateFormat)


def day(name, text):
    return compile_one(t.DAYS[name], {"t": 0})((text,), {})


def term(text):
    return tuple(compile_one(tree, {"t": 0})((text,), {}) for tree in (t.MONTHS, t.PENALTY))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("YYYYMMDD", "20230601"),
        ("YYYY-MM-DD", "2023-06-01"),
        ("YYYY-M-D", "2023-6-1"),
        ("YYYY-M-D", "2023-06-01"),
        ("YYYY/M/D", "2023/6/1"),
        ("YYYY.M.D", "2023.06.01"),
        ("YYYY年M月D日", "2023年6月1日"),
        ("YYYY年M月D日", "2023年06月01日"),
        ("YYYY年M月D日", "二〇二三年六月一日"),
        ("YYYY年M月D日", "二○二三年六月一号"),
        ("YYYY年M月D日", "２０２３年６月１日"),
        ("YYYY-MM-DD hh:mm:ss", "2023-06-01 23:59:59"),
        ("YYYY-MM-DD hh:mm:ss", "2023-06-01T23:59"),
        ("YYYY-MM-DD hh:mm:ss", "2023-06-01 00:00:00.123456+08:00"),
        ("YYYY-MM-DD hh:mm:ss", "2023-06-01"),
        ("YYMMDD", "230601"),
        ("YY-M-D", "23-6-1"),
        ("YY/M/D", "23/06/01"),
        ("YY.M.D", "23.6.1"),
    ],
)
def test_each_format_is_read(name, text):
    assert day(name, text) == 20230601


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("YYYY-M-D", "2023-6-"),
        ("YYYY-M-D", "202306-1-"),
        ("YYYY-M-D", "2023-13-1"),
        ("YYYY-M-D", "2023-2-30"),
        ("YYYY-M-D", "2023-6-1 "[:-1] + "x"),
        ("YYYY-M-D", "2023-六-一"),
        ("YYYY年M月D日", "2023年6月"),
        ("YYYY年M月D日", "2023年6月1"),
        ("YYYY年M月D日", "年6月1日"),
        ("YYYY-MM-DD hh:mm:ss", "2023-06-01 23:59:59+00"),
        ("YYYY-MM-DD hh:mm:ss", "2023-06-01 24:00:00"),
        ("YYYY-MM-DD hh:mm:ss", "2023-06-01 noon"),
        ("YYMMDD", "20230601"),
        ("YYMMDD", "2306"),
        ("YY/M/D", "2023/6/1"),
    ],
)
def test_what_is_not_written_so_is_no_day(name, text):
    assert day(name, text) == e.NO_DATE


def test_the_pivot_says_the_century():
    assert day("YYMMDD", "290601") == 20290601
    assert day("YYMMDD", "300601") == 19300601
    assert day("YY.M.D", "00.1.2") == 20000102


@pytest.mark.parametrize("name", FORMATS)
@given(number=st.integers(19300101, 20291231))
@settings(max_examples=60)
def test_what_is_written_is_read_again(name, number):
    assert day(name, written.write_day(number, name)) == (number if is_day(number) else e.NO_DATE)


@pytest.mark.parametrize(
    ("text", "months", "penalty"),
    [
        ("三年六个月", 42, ""),
        ("3年6个月", 42, ""),
        ("３年６个月", 42, ""),
        ("三年零六个月", 42, ""),
        ("有期徒刑三年六个月", 42, "imprisonment"),
        ("判处有期徒刑五年", 60, "imprisonment"),
        ("有期徒刑二十五年", 300, "imprisonment"),
        ("有期徒刑十八个月", 18, "imprisonment"),
        ("有期徒刑两年", 24, "imprisonment"),
        ("有期徒刑三年，缓刑四年", 36, "imprisonment"),
        ("有期徒刑三年缓刑四年，并处罚金人民币5000元", 36, "imprisonment"),
        ("有期徒刑十一年，剥夺政治权利二年，并处没收个人全部财产", 132, "imprisonment"),
        ("拘役六个月", 6, "detention"),
        ("管制一年", 12, "surveillance"),
        ("无期徒刑", -1, "life"),
        ("判处无期徒刑，剥夺政治权利终身", -1, "life"),
        ("死刑", -1, "death"),
        ("死刑，缓期二年执行", -1, "death"),
        ("死缓", -1, "death"),
        ("免予刑事处罚", -1, "exempted"),
        ("单处罚金五千元", -1, "fine"),
    ],
)
def test_terms_in_chinese(text, months, penalty):
    assert term(text) == (months, penalty)


@pytest.mark.parametrize(
    "text",
    [
        "有期徒刑三年，有期徒刑四年，决定执行六年", "三年，六年", "有期徒刑三年，缓刑四年，另判六年", "有期徒刑三年，缓刑四年，六年", "二三年",
        "三年十二个月", "有期徒刑", "三", "36", "年", "无期徒刑减为有期徒刑二十年", "拘役六个月有期徒刑一年", "有期徒刑三十一年", "六十一个月", "",
        "三年六个月十五天", "零年", "有期徒刑三年以上", "单处罚金，六年",
    ],
)  # fmt: skip
def test_what_states_no_term_or_several_is_unknown(text):
    assert term(text) == (-1, "unknown")


@given(months=st.integers(1, written.MAX_YEARS * 12 + 11))
def test_every_term_that_is_written_is_read_again(months):
    assert term(written.write_term(months)) == (months, "imprisonment")


def test_years_and_months_in_two_columns():
    tree = written.years_and_months(e.Text("y"), e.Text("m"))
    read = compile_one(tree, {"y": 0, "m": 1})
    told = {
        ("3", "6"): 42, ("3", None): 36, ("3", "0"): 36, (None, "18"): 18, ("0", "18"): 18, ("3", "12"): -1, (None, None): -1,
        ("x", "6"): -1, ("3", "x"): -1, ("100", "1"): -1, ("-3", "6"): -1,
    }  # fmt: skip
    assert {pair: read(pair, {}) for pair in told} == told


@settings(
    max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
@given(content=st.lists(t.any_text(), min_size=60, max_size=120))
def test_python_and_sqlite_read_any_text_alike(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("t") / "texts.db"
    t.fill(f"sqlite:///{path}", [*t.KNOWN, *content])
    driver = SqliteDriver(path, Limits(10_000, 1), SystemClock())
    found = t.differences(driver)
    driver.close()
    assert found == []
