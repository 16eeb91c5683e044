"""How legacy systems write days and terms, as expression trees: two-digit years, 2023年6月1日, 有期徒刑三年六个月 (E10, R3, R5).

No database parses such a text without raising on junk. A tree splits it at its marks instead and looks the parts up in
finite tables: a part that is in no table makes the whole unknown, and nothing can raise. Two readings of a text are none.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

from sidecar.records import expr as e

DateFormat = Literal[
    "YYYYMMDD",
    "YYYY-MM-DD",
    "YYYY-M-D",
    "YYYY/M/D",
    "YYYY.M.D",
    "YYYY年M月D日",
    "YYYY-MM-DD hh:mm:ss",
    "YYMMDD",
    "YY-M-D",
    "YY/M/D",
    "YY.M.D",
]
FORMATS: tuple[DateFormat, ...] = get_args(DateFormat)
TWO_DIGITS = frozenset({"YYMMDD", "YY-M-D", "YY/M/D", "YY.M.D"})
"""Formats that need a pivot."""

MAX_YEARS = 30
"""Years of a written term: more than any fixed term."""

MAX_MONTHS = 60
"""Months of a term that is written in months alone."""

_DIGITS = "零一二三四五六七八九"
_JUNK = "~"
"""Stands for a part that is in no table: a day with it is no day."""

_WIDE = tuple((chr(0xFF10 + digit), str(digit)) for digit in range(10))
_ZEROS = (("〇", "0"), ("○", "0"))
_YEAR_PAIRS = (*_WIDE, *_ZEROS, *((word, str(digit)) for digit, word in enumerate(_DIGITS)))

_TIMES = tuple(
    mark + shape
    for mark in (" ", "T")
    for shape in ("99:99", "99:99:99", *("99:99:99." + "9" * places for places in range(1, 10)))
)
"""Shapes of a time of day, each digit written 9."""

_HOURS = tuple(f"{hour:02}" for hour in range(24))
_BEIJING = (("+08:00", ""), ("+08", ""))
"""R3: a stamp with another offset names another day."""

_SHAPE = tuple((str(digit), "9") for digit in range(9))


def word(number: int) -> str:
    """A number from 1 to 99 in Chinese: 二十五."""
    tens, ones = divmod(number, 10)
    head = "" if tens == 0 else "十" if tens == 1 else _DIGITS[tens] + "十"
    return head + (_DIGITS[ones] if ones else "")


def day(text: e.Expr, written: DateFormat, pivot: int | None = None) -> e.DateOf:
    """The tree of a day that is written so.

    Args:
        text: the column's text.
        written: the format.
        pivot: two-digit years from it on are 19yy, those below it 20yy.
    """
    if written in {"YYYYMMDD", "YYYY-MM-DD"}:
        return e.DateOf(text, dashed=written == "YYYY-MM-DD")
    if written == "YYYY-MM-DD hh:mm:ss":
        return e.DateOf(_stamp(text), dashed=True)
    if written == "YYMMDD":
        return e.DateOf(e.Joined((_century(e.Substring(text, 1, 2), pivot or 0, whole=False), text)))
    if written == "YYYY年M月D日":
        rest = e.After(text, "年")
        year: e.Expr = e.Replaced(e.Before(text, "年"), _YEAR_PAIRS)
        ends = ("日", "号")
        return e.DateOf(e.Joined((year, _two(e.Before(rest, "月"), 12), _two(e.After(rest, "月"), 31, ends))))
    mark = written[written.index("M") - 1]
    rest = e.After(text, mark)
    year = e.Before(text, mark)
    if written in TWO_DIGITS:
        year = _century(year, pivot or 0, whole=True)
    return e.DateOf(
        e.Joined((year, _two(e.Before(rest, mark), 12, words=False), _two(e.After(rest, mark), 31, words=False)))
    )


def _century(year: e.Expr, pivot: int, *, whole: bool) -> e.Expr:
    """A two-digit year's century, or the whole year; what is no such year makes the day none."""
    names = ((f"{n:02}", ("20" if n < pivot else "19") + (f"{n:02}" if whole else "")) for n in range(100))
    return e.Lookup(year, tuple(names), _JUNK)


def _two(part: e.Expr, most: int, ends: Iterable[str] = ("",), *, words: bool = True) -> e.Expr:
    """A month or a day of one or two digits, or in Chinese, as two digits."""
    table: dict[str, str] = {}
    for number in range(1, most + 1):
        for name in _names(number, words=words):
            table |= dict.fromkeys((name + end for end in ends), f"{number:02}")
    return e.Lookup(part, tuple(table.items()), _JUNK)


def _names(number: int, *, words: bool) -> Iterable[str]:
    plain = (str(number), f"{number:02}")
    if not words:
        return plain
    wide = (name.translate({ord(narrow): ord(broad) for broad, narrow in _WIDE}) for name in plain)
    return (*plain, word(number), *wide)


def _stamp(text: e.Expr) -> e.Expr:
    """The day of a time stamp in Beijing time; a day without a time as well."""
    time = e.Replaced(e.Substring(text, 11, 40), _BEIJING)
    sound = e.And((e.In(e.Replaced(time, _SHAPE), _TIMES), e.In(e.Substring(time, 2, 2), _HOURS)))
    bare = e.Compare("eq", e.Substring(text, 11, 1), e.Literal(""))
    return e.Case(((e.Or((bare, sound)), e.Substring(text, 1, 10)),), e.Literal(""))


def write_day(number: int, written: DateFormat) -> str:
    """A day YYYYMMDD as a format writes it; also days that do not exist."""
    text = f"{number:08}"
    year, month, rest = text[:4], text[4:6], text[6:]
    if written == "YYYYMMDD":
        return text
    if written in {"YYYY-MM-DD", "YYYY-MM-DD hh:mm:ss"}:
        return f"{year}-{month}-{rest}"
    if written == "YYMMDD":
        return text[2:]
    if written == "YYYY年M月D日":
        return f"{year}年{int(month)}月{int(rest)}日"
    mark = written[written.index("M") - 1]
    return mark.join((year[2:] if written in TWO_DIGITS else year, str(int(month)), str(int(rest))))


# Terms. Parts are found by anchors that no text has, so that trees stay small: a database runs each node at each row.

_START = "^"
_SIDE = "<"
_CLEAN = (
    *_WIDE,
    *_ZEROS,
    (_START, _JUNK), (_SIDE, _JUNK), (" ", ""), ("\u3000", ""), ("。", ""), ("，", ","), ("、", ","), ("；", ","), (";", ","),
    ("两", "二"), ("個", "个"), ("个月", "月"), ("年零", "年"), ("年又", "年"),
    ("缓刑", ",缓刑"), ("并处", ",并处"), ("剥夺政治权利", ",剥夺政治权利"), (",,", ","),
)  # fmt: skip
_AMOUNT = tuple(
    (part, "")
    for part in (
        "人民币", "终身", "年", "月", "元", "万", "千", "仟", "百", "佰", "十", "拾", ".",
        *_DIGITS, "壹", "贰", "叁", "肆", "伍", "陆", "柒", "捌", "玖", *"0123456789",
    )
)  # fmt: skip
_BESIDE = tuple(("," + part, _SIDE) for part in ("缓刑", "并处罚金", "并处没收个人全部财产", "剥夺政治权利"))
"""What may follow a term and does not change it (S4: the time of probation is not the term)."""

_NOTHING = ",,"
_NOTHING_ELSE = tuple(_SIDE * parts + "," for parts in range(1, 4))
_PRONOUNCED = "判处"
_OWN_TERM = {"有期徒刑": "imprisonment", "拘役": "detention", "管制": "surveillance"}
_LIFE = ("无期徒刑",)
_DEATH = ("死刑", "死缓", "死刑缓期二年执行", "死刑,缓期二年执行", "死刑,立即执行", "死刑立即执行")
_EXEMPTED = ("免予刑事处罚", "免于刑事处罚", "免除刑事处罚", "免予处罚", "免除处罚")
_FINE = ("单处罚金", "罚金")
_UNKNOWN = "unknown"


def term(text: e.Expr) -> tuple[e.Expr, e.Expr]:
    """The trees of a term that is written in Chinese: its months (-1 for none) and its kind of penalty.

    The kind is the empty text where months stand alone. A text that states more than one term has none of them (S4):
    ``有期徒刑三年，有期徒刑四年，决定执行六年`` is unknown.
    """
    clean = _without(e.Replaced(text, _CLEAN), (_PRONOUNCED,))
    head = e.Before(e.Joined((clean, e.Literal(","))), ",")
    beside = e.Joined((e.Literal(","), e.After(clean, ","), e.Literal(",")))
    alone = e.Compare("eq", beside, e.Literal(_NOTHING))
    plain = e.Or((alone, e.In(e.Replaced(beside, (*_BESIDE, *_AMOUNT)), _NOTHING_ELSE)))
    months = e.Case(((plain, _months(_without(head, _OWN_TERM))),), e.Literal(-1))
    fine = e.Compare("eq", _without(e.Replaced(head, _AMOUNT), _FINE), e.Literal(""))
    kind = e.Case(
        (
            (e.In(clean, _DEATH), e.Literal("death")),
            (e.And((e.In(head, _LIFE), plain)), e.Literal("life")),
            (e.In(clean, _EXEMPTED), e.Literal("exempted")),
            (e.And((e.Contains(head, _FINE[1]), fine, plain)), e.Literal("fine")),
            (e.Compare("lt", months, e.Literal(0)), e.Literal(_UNKNOWN)),
            *((_starts(head, name), e.Literal(penalty)) for name, penalty in _OWN_TERM.items()),
        ),
        e.Literal(""),
    )
    return months, kind


def _anchored(text: e.Expr) -> e.Expr:
    return e.Joined((e.Literal(_START), text))


def _starts(text: e.Expr, mark: str) -> e.Expr:
    """Whether a text begins with a mark; no position is told, which databases count in characters or in bytes."""
    return e.Contains(_anchored(text), _START + mark)


def _without(text: e.Expr, marks: Iterable[str]) -> e.Expr:
    """A text without the mark that it begins with."""
    return e.Replaced(_anchored(text), (*((_START + mark, "") for mark in marks), (_START, "")))


def _months(body: e.Expr) -> e.Expr:
    alone = e.Lookup(body, _numbered(MAX_MONTHS, 1, "月"), -1)
    years = e.Lookup(e.Before(body, "年"), _numbered(MAX_YEARS, 12), -1)
    rest = e.Lookup(e.After(body, "年"), (("", 0), *_numbered(11, 1, "月")), -1)
    whole = e.And((e.Compare("gt", years, e.Literal(0)), e.Compare("ge", rest, e.Literal(0))))
    return e.Case(((whole, e.Arithmetic("add", years, rest)),), alone)


def _numbered(most: int, times: int, end: str = "") -> tuple[tuple[str, int], ...]:
    """Numbers in digits and in Chinese → their value."""
    return tuple((name + end, n * times) for n in range(1, most + 1) for name in (str(n), word(n)))


def years_and_months(years: e.Expr, months: e.Expr) -> e.Expr:
    """A term in two columns; blank is none of that part, and more than eleven months beside years contradict (R5)."""
    of_years, of_months = e.IntegerOf(years), e.IntegerOf(months)
    no_years, no_months = (e.Compare("eq", text, e.Literal("")) for text in (years, months))
    in_years = e.And((e.Compare("gt", of_years, e.Literal(0)), e.Compare("le", of_years, e.Literal(99))))
    below_a_year = e.And((e.Compare("ge", of_months, e.Literal(0)), e.Compare("le", of_months, e.Literal(11))))
    product = e.Arithmetic("mul", of_years, e.Literal(12))
    return e.Case(
        (
            (e.Or((no_years, e.Compare("eq", of_years, e.Literal(0)))), of_months),
            (e.And((in_years, no_months)), product),
            (e.And((in_years, below_a_year)), e.Arithmetic("add", product, of_months)),
        ),
        e.Literal(-1),
    )


def write_term(months: int) -> str:
    """Months as such a text: 有期徒刑三年六个月; beyond ``MAX_YEARS`` in years that are no term."""
    years, rest = divmod(months, 12)
    return "有期徒刑" + (f"{years}年" if years else "") + (f"{rest}个月" if rest or not years else "")
