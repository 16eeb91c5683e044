"""Proposes a catalog for a database that nobody described: from columns' names and the shapes of their values (E10).

Pure: it is given tables with a sample of their rows, and gives back columns, formats and confidences. What it is not sure
of it leaves out, and what a catalog leaves out is unknown, hence withheld. A code is mapped only where its own word, or a
table of codes in the database, says what it means. No value of a person is in what it returns.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, get_args

from sidecar.errors import SidecarError
from sidecar.law.identifiers import read_citizen_number
from sidecar.records import expr as e
from sidecar.records import written
from sidecar.records.python import compile_one

SURE = 0.8
"""Confidence from which a proposal is taken without asking."""

MOST = 0.95
"""Share of values that must have a shape: legacy tables have some junk everywhere."""

MAX_CODES = 20
"""Distinct values of a column of codes."""

MAX_CODE_LENGTH = 12
CODE_TABLE_ROWS = 60
SOME_ROWS = 20
"""Rows from which values that are each once may be a key."""

PIVOT = 30
"""Two-digit years from it on are 19yy."""

_FIRST, _LAST = 19000101, 20991231


@dataclass(frozen=True, slots=True)
class Table:
    """A table or view with a sample of its rows as texts.

    Attributes:
        name: of the table.
        columns: names, in order.
        rows: sampled rows.
        key: columns of the primary key; empty where there is none.
    """

    name: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str | None, ...]] = field(repr=False)
    key: tuple[str, ...] = ()

    def values(self, column: str) -> list[str]:
        """The column's texts that are not blank."""
        place = self.columns.index(column)
        return [leaf for row in self.rows if (leaf := e.leaf(row[place]))]


@dataclass(frozen=True, slots=True)
class Guess:
    """A part of the catalog that is proposed.

    Attributes:
        part: where it belongs, e.g. ``attributes.minor.birth``.
        value: what is written there: columns, formats, codes.
        confidence: 0 to 1.
        reason: for people; no value of a row is in it.
        open: codes that are not mapped yet; for the terminal only.
    """

    part: str
    value: Any
    confidence: float
    reason: str
    open: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Proposal:
    """What is proposed for one table.

    Attributes:
        table: the source.
        key: its key; empty where none was found.
        guesses: each part once, the most confident way.
        others: part → other columns that might be it.
    """

    table: str
    key: tuple[str, ...]
    guesses: tuple[Guess, ...]
    others: Mapping[str, tuple[str, ...]]

    def of(self, part: str) -> Guess | None:
        """The guess of a part."""
        return next((guess for guess in self.guesses if guess.part == part), None)


_NAMES: Mapping[str, tuple[str, ...]] = {
    "subject.person_id": (
        "sfzh", "sfzhm", "sfz", "gmsfhm", "gmsfzh", "zjhm", "zjh", "idcard", "idno", "idnumber", "certno", "citizenid", "身份证号",
        "公民身份号码", "身份证号码", "证件号码", "公民身份证号",
    ),
    "subject.name": ("xm", "dsrxm", "bgrxm", "fullname", "personname", "name", "姓名", "被告人", "当事人", "当事人姓名"),
    "attributes.minor.birth": ("csrq", "csny", "sr", "birth", "birthday", "birthdate", "dob", "dateofbirth", "出生日期", "出生年月日", "生日"),
    "attributes.minor.offences": (
        "farq", "zarq", "fasj", "zasj", "afsj", "fzrq", "offencedate", "offensedate", "offenceat", "crimedate", "committedon", "犯罪日期",
        "案发日期", "案发时间", "作案时间", "作案日期", "犯罪时间",
    ),
    "attributes.concluded": (
        "jarq", "jasj", "pjrq", "cprq", "xprq", "judgedat", "judgmentdate", "judgedon", "concluded", "closedon", "verdictdate", "结案日期",
        "判决日期", "裁判日期", "宣判日期",
    ),
    "attributes.sentence_months": (
        "xqyue", "xqy", "xq", "ypxq", "pjxq", "xqys", "termmonths", "sentencemonths", "months", "term", "sentence", "刑期", "刑期月",
        "判决结果", "判处刑期", "刑期月数",
    ),
    "years": ("xqn", "xqnian", "termyears", "sentenceyears", "years", "刑期年", "刑期年数"),
    "kind_from": ("xzdm", "xfdm", "xz", "xfzl", "xflb", "zxdm", "penalty", "penaltycode", "penaltytype", "sentencetype", "刑种", "刑罚种类", "主刑"),
    "attributes.kind": ("ajlb", "jllb", "wslb", "jalb", "cljg", "category", "recordtype", "recordkind", "kind", "案件类别", "文书类别", "记录类别", "处理结果"),
    "attributes.joint": ("gtfz", "gtaj", "gf", "sfgf", "isjoint", "joint", "jointcase", "共同犯罪", "是否共同犯罪", "共同案件"),
    "attributes.seal_mark": ("fcbj", "fcbz", "fczt", "sffc", "sealed", "sealflag", "sealmark", "issealed", "封存标记", "是否封存", "封存"),
    "released.crime": ("zm", "ay", "aymc", "zmmc", "charge", "crime", "offence", "罪名", "案由"),
}  # fmt: skip
"""What columns are called; case, underscores and prefixes of one letter are put away first."""

_OF_MONTHS = ("yue", "month", "月", "xqy")
"""In the names of terms that are in months, also where all are small."""

_WORDS: Mapping[str, Mapping[str, str]] = {
    "kinds": {
        "有期徒刑": "imprisonment", "拘役": "detention", "管制": "surveillance", "罚金": "fine", "单处罚金": "fine", "无期徒刑": "life",
        "死刑": "death", "死缓": "death", "免予刑事处罚": "exempted", "免于刑事处罚": "exempted", "免刑": "exempted", "imprisonment": "imprisonment",
        "prison": "imprisonment", "detention": "detention", "surveillance": "surveillance", "fine": "fine", "life": "life",
        "death": "death", "exempted": "exempted",
    },
    "kind": {
        "判决": "judgment", "判决书": "judgment", "刑事判决": "judgment", "刑事判决书": "judgment", "有罪判决": "judgment", "judgment": "judgment",
        "conviction": "judgment", "不起诉": "non_prosecution", "不起诉决定": "non_prosecution", "不起诉决定书": "non_prosecution",
        "non_prosecution": "non_prosecution", "治安处罚": "violation", "治安管理处罚": "violation", "violation": "violation",
    },
    "joint": {
        "否": "none", "无": "none", "n": "none", "no": "none", "0": "none", "f": "none", "false": "none", "是": "unseparated", "有": "unseparated",
        "y": "unseparated", "yes": "unseparated", "1": "unseparated", "t": "unseparated", "true": "unseparated", "分案": "separated",
    },
    "marks": {
        "0": "none", "n": "none", "no": "none", "否": "none", "未封存": "none", "无": "none", "f": "none", "false": "none",
        "1": "set", "y": "set", "yes": "set", "是": "set", "已封存": "set", "封存": "set", "t": "set", "true": "set",
    },
}  # fmt: skip


def _bare(name: str) -> str:
    """A column's name without case, underscores, and what stands before it in some houses (``F_``, ``C_``)."""
    text = re.sub(r"^[a-z]_(?=\w{2})", "", name.lower())
    return re.sub(r"[\W_]", "", text)


def called(name: str, part: str) -> float:
    """How well a column's name fits a part: 1 exactly, 0.6 where it begins or ends so, else 0."""
    bare = _bare(name)
    if bare in _NAMES[part]:
        return 1.0
    long = [known for known in _NAMES[part] if len(known) > 3 or (not known.isascii() and len(known) > 1)]
    return 0.6 if any(bare.startswith(known) or bare.endswith(known) for known in long) else 0.0


@lru_cache(maxsize=32)
def _reader(name: written.DateFormat) -> Callable[[str], int]:
    tree = written.day(e.Text("t"), name, PIVOT if name in written.TWO_DIGITS else None)
    read = compile_one(tree, {"t": 0}, remember=False)
    return lambda text: int(read((text,), {}))


@lru_cache(maxsize=1)
def _term_reader() -> Callable[[str], tuple[int, str]]:
    months, penalty = (compile_one(tree, {"t": 0}, remember=False) for tree in written.term(e.Text("t")))
    return lambda text: (months((text,), {}), penalty((text,), {}))


def date_format(values: Sequence[str]) -> written.DateFormat | None:
    """The format in which nearly all texts are days of these centuries; None where there is no such format or no text."""
    for name in get_args(written.DateFormat):
        read = _reader(name)
        if name == "YYMMDD" and not all(len(text) == 6 for text in values):
            continue
        if values and sum(_FIRST <= read(text) <= _LAST for text in values) / len(values) >= MOST:
            found: written.DateFormat = name
            return found
    return None


def _share(values: Sequence[str], holds: Callable[[str], bool]) -> float:
    return sum(map(holds, values)) / len(values) if values else 0.0


def _is_number_of_a_citizen(text: str) -> bool:
    try:
        read_citizen_number(text)
    except (SidecarError, ValueError):
        return False
    return True


def _months_like(text: str) -> bool:
    return e.integer_of(text) in range(1000) or text == "-1"


def _in_words(text: str) -> bool:
    months, penalty = _term_reader()(text)
    return months > 0 or penalty not in {"", "unknown"}


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of a table as far as its shape goes. ``name`` is written as the catalog writes it."""

    name: str
    values: list[str] = field(repr=False)
    row_values: list[str] = field(repr=False)
    day: written.DateFormat | None
    codes: tuple[str, ...]

    @property
    def bare(self) -> str:
        return self.name.rpartition(".")[2]


def _columns(table: Table, alias: str = "") -> list[_Column]:
    found = []
    for place, name in enumerate(table.columns):
        texts = [e.leaf(row[place]) for row in table.rows]
        values = [text for text in texts if text]
        distinct = Counter(values)
        few = len(distinct) <= MAX_CODES and all(len(code) <= MAX_CODE_LENGTH for code in distinct)
        found.append(
            _Column(
                f"{alias}.{name}" if alias else name,
                values,
                texts,
                date_format(values),
                tuple(sorted(distinct)) if few else (),
            )
        )
    return found


NONE = "-"
"""Answered where no column holds a part."""


def propose(
    tables: Sequence[Table], wanted: str | None = None, answers: Mapping[str, str] | None = None
) -> Proposal | None:
    """A catalog for the table that looks most like criminal records; None where none does.

    Args:
        tables: all tables, with samples.
        wanted: take this table.
        answers: part → its column, or ``NONE``, as a person said; taken where the column's values have its shape.
    """
    candidates = [table for table in tables if wanted in (None, table.name) and len(table.columns) > 2]
    made = [_Proposer(table, tables, answers or {}).proposal() for table in candidates]
    return max(made, key=_weight, default=None)


def _weight(proposal: Proposal) -> tuple[float, int]:
    sure = [guess for guess in proposal.guesses if guess.confidence >= SURE]
    return sum(guess.confidence for guess in sure), len(proposal.key)


class _Proposer:
    """Guesses the parts of one table's catalog."""

    def __init__(self, table: Table, tables: Sequence[Table], answers: Mapping[str, str]) -> None:
        self._table = table
        self._answers = answers
        self._tables = tables
        self._columns = _columns(table)
        self._guesses: list[Guess] = []
        self._others: dict[str, tuple[str, ...]] = {}
        self._taken: set[str] = set()

    def proposal(self) -> Proposal:
        """All guesses, in the order in which one helps the next."""
        person = self._person()
        birth = self._birth(person)
        self._named("subject.name", self._columns, lambda c: c.day is None and not c.values[0].isdigit(), "text")
        self._dates(birth)
        self._term()
        for part, words in (("attributes.kind", "kind"), ("attributes.joint", "joint")):
            self._coded(part, words)
        self._mark()
        self._named("released.crime", self._columns, lambda c: c.day is None, "text")
        return Proposal(self._table.name, self._key(), tuple(self._guesses), self._others)

    def _add(self, part: str, value: Any, confidence: float, reason: str, unmapped: Iterable[str] = ()) -> None:
        self._guesses.append(Guess(part, value, round(confidence, 2), reason, tuple(unmapped)))

    def _free(self) -> list[_Column]:
        return [column for column in self._columns if column.name not in self._taken and column.values]

    def _best(
        self, part: str, columns: Iterable[_Column], fits: Callable[[_Column], bool]
    ) -> tuple[_Column | None, float]:
        """The column that is called so and fits; two that are called alike are both doubtful."""
        fitting = [c for c in columns if c.values and fits(c)]
        if part in self._answers:
            return next((c for c in fitting if c.name == self._answers[part]), None), 1.0
        ranked = [(called(c.bare, part), c) for c in fitting]
        ranked = sorted((pair for pair in ranked if pair[0]), key=lambda pair: -pair[0])
        self._others[part] = tuple(column.name for _, column in ranked[1:])
        if not ranked:
            return None, 0.0
        score, column = ranked[0]
        rivals = [other for other, _ in ranked[1:] if other == score]
        return column, 0.5 if rivals else score * 0.95

    def _named(self, part: str, columns: Iterable[_Column], fits: Callable[[_Column], bool], shape: str) -> None:
        column, confidence = self._best(part, [c for c in columns if c.name not in self._taken], fits)
        if column is not None:
            self._taken.add(column.name)
            value: Any = {"column": column.name, "class": "crime"} if part == "released.crime" else column.name
            self._add(part, value, confidence, f"its name; its values are {shape}")

    def _person(self) -> _Column | None:
        part = "subject.person_id"
        fits = [c for c in self._free() if _share(c.values, _is_number_of_a_citizen) >= 0.5]
        self._others[part] = tuple(c.name for c in fits[1:])
        named = [c for c in fits if called(c.bare, part)] or fits
        if part in self._answers:
            fits = named = [c for c in fits if c.name == self._answers[part]]
        if not named:
            return None
        column = named[0]
        self._taken.add(column.name)
        sure = 0.99 if len(fits) == 1 or called(column.bare, part) else 0.5
        self._add(part, column.name, sure, "citizen numbers whose check digits are right")
        return column

    def _birth(self, person: _Column | None) -> _Column | None:
        part = "attributes.minor.birth"
        dates = [c for c in self._free() if c.day is not None and self._answers.get(part, c.name) == c.name]
        agreeing = [c for c in dates if person is not None and _agrees(person, c) >= MOST]
        self._others[part] = tuple(c.name for c in dates if c not in agreeing[:1])
        if len(agreeing) == 1:
            self._taken.add(agreeing[0].name)
            self._day(part, agreeing[0], 0.99, "the birth date in the citizen number, on nearly every row")
            return agreeing[0]
        # A number beside it that says otherwise makes every other date doubtful.
        column, confidence = self._best(part, dates, lambda _: person is None or part in self._answers)
        if column is not None:
            self._taken.add(column.name)
            self._day(part, column, confidence, "its name; its values are days")
        return column

    def _day(self, part: str, column: _Column, confidence: float, reason: str) -> None:
        value: dict[str, Any] = {"column": column.name, "format": column.day}
        if column.day in written.TWO_DIGITS:
            value["pivot"] = PIVOT
        self._add(part, [value] if part.endswith("offences") else value, confidence, reason)

    def _dates(self, birth: _Column | None) -> None:
        """Offence and conclusion: called so, and in the order that life has."""
        offence, sure = self._best("attributes.minor.offences", self._free(), lambda c: c.day is not None)
        if offence is not None:
            self._taken.add(offence.name)
            ordered = sure == 1.0 or birth is None or _ordered(birth, offence)
            reason = "its name; days" + (" after birth" if birth is not None and ordered else "")
            self._day("attributes.minor.offences", offence, sure if ordered else 0.3, reason)
        concluded, sure = self._best("attributes.concluded", self._free(), lambda c: c.day is not None)
        if concluded is not None:
            self._taken.add(concluded.name)
            ordered = sure == 1.0 or offence is None or _ordered(offence, concluded)
            reason = "its name; days" + (" after the offence" if offence is not None and ordered else "")
            self._day("attributes.concluded", concluded, sure if ordered else 0.3, reason)

    def _term(self) -> None:
        part = "attributes.sentence_months"
        words, sure_words = self._best(part, self._free(), lambda c: _share(c.values, _in_words) >= 0.8)
        if words is not None:
            self._taken.add(words.name)
            self._add(part, {"column": words.name, "format": "chinese"}, sure_words, "its name; terms in Chinese")
            return
        column, sure = self._best(part, self._free(), lambda c: _share(c.values, _months_like) >= MOST)
        penalty, _ = self._best("kind_from", self._free(), lambda c: bool(c.codes))
        if column is None:
            return
        value: dict[str, Any] = {"column": column.name}
        self._taken.add(column.name)
        years, _ = self._best("years", self._free(), lambda c: _share(c.values, _months_like) >= MOST)
        if years is not None:
            self._taken.add(years.name)
            value["years"] = years.name
            if max(map(e.integer_of, column.values)) > 11:
                sure = 0.3
        elif (
            part not in self._answers
            and max(map(e.integer_of, column.values)) <= written.MAX_YEARS
            and not any(hint in _bare(column.name) for hint in _OF_MONTHS)
        ):
            sure = min(sure, 0.7)  # perhaps years
        unmapped: tuple[str, ...] = ()
        if penalty is not None:
            self._taken.add(penalty.name)
            kinds, unmapped = self._meanings(penalty, "kinds")
            value |= {"kind_from": penalty.name, "kinds": kinds}
            sure = sure if kinds else 0.4
        elif part not in self._answers:
            sure = min(sure, 0.7)  # without a kind of penalty each term would be imprisonment
        self._add(
            part, value, sure, "its name; whole numbers" + ("; codes by their words" if penalty else ""), unmapped
        )

    def _coded(self, part: str, words: str) -> None:
        column, sure = self._best(part, self._free(), lambda c: bool(c.codes))
        if column is None:
            return
        self._taken.add(column.name)
        table, unmapped = self._meanings(column, words)
        self._add(
            part,
            {"column": column.name, "map": table},
            sure if table else 0.4,
            "its name; codes by their words",
            unmapped,
        )

    def _mark(self) -> None:
        """A seal mark: a code that is not known to mean none is a mark, so that every doubt seals (R8)."""
        part = "attributes.seal_mark"
        column, sure = self._best(part, self._free(), lambda c: bool(c.codes))
        if column is None:
            return
        self._taken.add(column.name)
        marks, unmapped = self._meanings(column, "marks")
        value: dict[str, Any] = {"column": column.name}
        for side in ("none", "set"):
            value[side] = sorted(code for code, meaning in marks.items() if meaning == side)
        self._add(part, value, sure, "its name; what is not known to be no mark is one", unmapped)

    def _meanings(self, column: _Column, words: str) -> tuple[dict[str, str], tuple[str, ...]]:
        """Code → meaning, and the codes whose meaning nothing tells."""
        table = self._code_table(column, words) or {code: code for code in column.codes}
        known = _WORDS[words]
        found = {code: known[text.lower()] for code, text in table.items() if text.lower() in known}
        return found, tuple(code for code in column.codes if code not in found)

    def _code_table(self, column: _Column, words: str) -> dict[str, str]:
        """Codes with their names from a table of codes; every code of the column stands in it, and its names are known."""
        known = _WORDS[words]
        for table in self._tables:
            if table is self._table or len(table.rows) > CODE_TABLE_ROWS or len(table.columns) > 6:
                continue
            for codes in table.columns:
                if not set(column.codes) <= set(table.values(codes)) or len(set(table.values(codes))) < len(table.rows):
                    continue
                for names in table.columns:
                    pairs = dict(zip(table.values(codes), table.values(names), strict=False))
                    if names != codes and any(text.lower() in known for text in pairs.values()):
                        return pairs
        return {}

    def _key(self) -> tuple[str, ...]:
        """The primary key; else the first column whose values are all there and each once."""
        if self._table.key:
            return self._table.key
        for column in self._columns:
            values = column.values
            if column.day is None and SOME_ROWS <= len(values) == len(self._table.rows) == len(set(values)):
                return (column.name,)
        return ()


def _agrees(person: _Column, birth: _Column) -> float:
    """The share of rows with both in which the date is the number's own."""
    assert birth.day is not None  # noqa: S101  # the caller's choice
    read = _reader(birth.day)
    pairs = [
        (number, text) for number, text in zip(person.row_values, birth.row_values, strict=True) if number and text
    ]
    same = sum(_born(number) == read(text) for number, text in pairs)
    return same / len(pairs) if pairs else 0.0


def _born(number: str) -> int:
    digits = number[6:14] if len(number) >= 18 else "19" + number[6:12]
    return int(digits) if digits.isascii() and digits.isdigit() else -1


def _ordered(first: _Column, later: _Column) -> bool:
    """Whether nearly every row has the two days in this order."""
    assert first.day is not None  # noqa: S101  # the caller's choice
    assert later.day is not None  # noqa: S101  # the caller's choice
    one, other = _reader(first.day), _reader(later.day)
    pairs = [(one(a), other(b)) for a, b in zip(first.row_values, later.row_values, strict=True) if a and b]
    return bool(pairs) and sum(a <= b for a, b in pairs) / len(pairs) >= MOST
