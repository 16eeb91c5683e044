"""Terms of imprisonment and kinds of penalty as judgments write them (CL 33–34; S3, S4, R5); no thresholds.

Only the term pronounced or decided to be executed is read: probation and additional penalties are recognised and
left aside, sums of counts are never formed, and what is doubtful (days, halves, zero, several terms) is None.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Penalty(StrEnum):
    """Kinds of penalty (CL 33, 34) and the exemption from it (CL 37)."""

    CONFISCATION = "confiscation"  # 没收财产
    CRIMINAL_DETENTION = "criminal_detention"  # 拘役
    DEATH = "death"  # 死刑
    DEPORTATION = "deportation"  # 驱逐出境
    EXEMPTION = "exemption"  # 免予刑事处罚
    FINE = "fine"  # 罚金
    FIXED_TERM = "fixed_term"  # 有期徒刑
    LIFE = "life"  # 无期徒刑
    POLITICAL_RIGHTS = "political_rights"  # 剥夺政治权利
    PUBLIC_SURVEILLANCE = "public_surveillance"  # 管制


_NAMES: Final = {
    "有期徒刑": Penalty.FIXED_TERM,
    "无期徒刑": Penalty.LIFE,
    "死刑": Penalty.DEATH,
    "拘役": Penalty.CRIMINAL_DETENTION,
    "管制": Penalty.PUBLIC_SURVEILLANCE,
    "罚金": Penalty.FINE,
    "没收财产": Penalty.CONFISCATION,
    "没收个人财产": Penalty.CONFISCATION,
    "没收个人全部财产": Penalty.CONFISCATION,
    "剥夺政治权利": Penalty.POLITICAL_RIGHTS,
    "驱逐出境": Penalty.DEPORTATION,
    "免予刑事处罚": Penalty.EXEMPTION,
    "免于刑事处罚": Penalty.EXEMPTION,
    "免除处罚": Penalty.EXEMPTION,
}

MAX_TEXT = 100
"""Longest text read; a longer one is a narrative, not a term."""

_DIGITS: Final = str.maketrans("壹贰叁肆伍陆柒捌玖拾佰两〇，；", "一二三四五六七八九十百二零,;")
_UNITS: Final = "零一二三四五六七八九"


def _numeral(value: int) -> str:
    hundreds, rest = divmod(value, 100)
    tens, ones = divmod(rest, 10)
    text = f"{_UNITS[hundreds]}百" if hundreds else ""
    if tens:
        text += f"{_UNITS[tens]}十" if tens > 1 or hundreds else "十"
    elif ones and hundreds:
        text += "零"
    return text + (_UNITS[ones] if ones else "")


NUMERALS: Final = {_numeral(value): value for value in range(1, 1000)}
"""Chinese numerals 一 … 九百九十九 in their one canonical spelling."""

_PRINCIPAL: Final = ("有期徒刑", "无期徒刑", "死刑", "拘役", "管制")
_WITH_TERM: Final = (None, Penalty.FIXED_TERM, Penalty.CRIMINAL_DETENTION, Penalty.PUBLIC_SURVEILLANCE)
_NUMBER = "[0-9]{1,3}|[一二三四五六七八九十百零]{1,7}"
_TERM = re.compile(
    r"(?:数罪并罚,?)?(?:判处|决定执行|合并执行|单处)?"
    rf"(?P<kind>{'|'.join(_NAMES)})?"
    rf"(?:(?P<years>{_NUMBER})年)?(?:(?<=年)[零又])?(?:(?P<months>{_NUMBER})个?月)?"
    r"(?P<tail>.*)"
)
_TERM_TAIL = re.compile(r"(?:[,;、]?(?:缓刑|并处|附加|罚金|剥夺政治权利).*)?。?")

MAX_YEARS = 99
"""A technical bound, no law: with it a term in months stays far below the 9999 that stands for life or death."""


@dataclass(frozen=True, slots=True)
class Term:
    """One principal penalty as pronounced. ``months`` is None where the kind has none or the text gives none."""

    penalty: Penalty | None
    months: int | None


def parse_term(text: str) -> Term | None:
    """Read a penalty such as ``有期徒刑三年六个月，缓刑五年``, ``18个月`` or ``罚金五千元``; None where it is doubtful.

    Raises nothing: text of any shape and length is legacy data (R5).
    """
    clean = "".join(unicodedata.normalize("NFKC", text[: MAX_TEXT + 1]).split()).translate(_DIGITS)
    match = _TERM.fullmatch(clean) if 0 < len(clean) <= MAX_TEXT else None
    if match is None or any(name in match["tail"] for name in _PRINCIPAL):
        return None
    penalty = _NAMES[match["kind"]] if match["kind"] else None
    if penalty not in _WITH_TERM:
        return Term(penalty, None)
    if not _TERM_TAIL.fullmatch(match["tail"]):
        return None
    if match["years"] is None and match["months"] is None:
        return Term(penalty, None) if penalty else None
    months = _months(match["years"], match["months"])
    return None if months is None else Term(penalty, months)


def parse_months(text: str) -> int | None:
    """The pronounced term in months; None for what is no term: life, death, fine, zero, days, halves, several terms."""
    term = parse_term(text)
    return None if term is None else term.months


def parse_penalty(text: str) -> Penalty | None:
    """The kind of penalty that a text names; None where it names none, several, or is doubtful."""
    term = parse_term(text)
    return None if term is None else term.penalty


def whole_months(value: object) -> int | None:
    """A number column's term in months: an integer from 1 to 1199; None for zero, negative or fractional ones (R5)."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 < value < (MAX_YEARS + 1) * 12 else None


def _number(text: str | None) -> int | None:
    if text is None:
        return 0
    return int(text) if text.isascii() else NUMERALS.get(text)


def _months(years_text: str | None, months_text: str | None) -> int | None:
    years, months = _number(years_text), _number(months_text)
    if years is None or months is None or years > MAX_YEARS:
        return None
    if years_text is not None and months >= 12:
        return None  # "三年十八个月" contradicts itself
    return whole_months(years * 12 + months)
