"""What the two worlds' legacy databases hold: the rows they share, and those that only one of them has.

Rows are sealed here by construction, from the rules' own words, and not by asking the product whether they are: a
product that took one of them for open would give different bytes. What a world hides has four forms: sealed rows of
the mapped kinds, rows that cannot be mapped or decided (withheld, R1), rows whose every column is junk under a seal
mark, and what joint cases drop (R16b).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from sqlalchemy import Column, MetaData, String, Table

from sidecar.demo.legacy import citizen_number
from tests.support import records

FIELDS = ("case", "name", "sex", "crime", "term", "concluded", "address", "story", "ZM", "GTFZ", "nothing")
"""Everything that a client may try to filter or sort on; not every view allows each, and the last two none does."""

CATALOG = (
    records.TEXT.replace("  story:", "  address: {column: JTZZ, class: address}\n  story:")
    .replace("filterable: [case, ZM, sex, term, concluded]", "filterable: [case, ZM, sex, term, concluded, address]")
    .replace("sortable: [case, concluded, term, sex]", "sortable: [case, concluded, term, sex, address]")
)
TABLE = Table(
    "T_AJXX", MetaData(), *(Column(c.name, c.type, primary_key=c.primary_key, index=c.name in {"SFZH", "XM"}) for c in records.TABLE.columns),
    Column("JTZZ", String(60)),
)  # fmt: skip

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Person:
    """A person of both worlds: number, name, birth date."""

    SFZH: str
    XM: str
    CSRQ: str

    @property
    def born(self) -> str:
        return f"{self.CSRQ[:4]}-{self.CSRQ[4:6]}-{self.CSRQ[6:]}"


def _person(name: str, birth: str, sequence: int) -> Person:
    return Person(citizen_number(birth, sequence), name, birth)


ADULT = _person("何大伟", "19850711", 1)
OLD = _person("韩老五", "19500101", 471)
YOUNG = _person("陈晓雨", "20050601", 1)
OTHER = _person("林安", "20060214", 2)
TWIN = _person("陈晓雨", "20050601", 9)
"""Another number under the same name and birth date."""

NOBODY = _person("无此人", "19900307", 1)
"""In no common row: in some worlds the whole person is sealed, in others there is none."""

PEOPLE = (ADULT, OLD, YOUNG, OTHER, TWIN, NOBODY)
CRIMES = ("盗窃罪", "抢劫罪", "故意伤害罪", "盗窃罪（未遂）", "诈骗罪")


def person(who: Person) -> dict[str, Any]:
    """The columns that say who it is."""
    return {"SFZH": who.SFZH, "XM": who.XM, "CSRQ": who.CSRQ}


def base(who: Person, **changes: Any) -> dict[str, Any]:
    """An adult's judgment: open, whoever it is."""
    return {**records.ROW, "JTZZ": "示例县示例路1号", **person(who), "FARQ": "20240910", "JARQ": "20250301", **changes}


# --- rows of both worlds ---------------------------------------------------------------------------------------------

_TERMS = ("1", "18", "60", "61", "120")
_CONCLUDED = ("20241231", "20250301", "20250302", "20251231")


def open_rows() -> st.SearchStrategy[dict[str, Any]]:
    """A row that everybody may see, some of it unreadable in both worlds alike."""
    changes = st.fixed_dictionaries({
        "ZM": st.sampled_from(CRIMES),
        "XQ_YUE": st.sampled_from(_TERMS),
        "JARQ": st.sampled_from(_CONCLUDED),
        "GTFZ": st.sampled_from(("0", "0", "1")),
        "FMBJ": st.sampled_from(("2", "2", "1")),
        "BZ": st.sampled_from((records.ROW["BZ"],) * 6 + (None, b"", b"\xff")),
        "XQ_SM": st.sampled_from(("18", "18", "18", None, "1x")),
    })  # fmt: skip
    return st.builds(
        lambda who, change: base(who, **change), st.sampled_from((ADULT, OLD, YOUNG, OTHER, TWIN)), changes
    )


_STORIES = (b"\xff\xfe\x81", "同案人陈某某。".encode("gb18030"), b"", None, "长".encode("gb18030") * 90)
_ADDRESSES = ("", None, "同案人住址", "长" * 60)


def joint_facts() -> st.SearchStrategy[dict[str, Any]]:
    """What a joint case drops, and the cover mark of a case that is joint anyhow (S10, R16b)."""
    return st.fixed_dictionaries({
        "BZ": st.sampled_from(_STORIES),
        "JTZZ": st.sampled_from(_ADDRESSES),
        "FMBJ": st.sampled_from(("1", "2", None, "7")),
    })  # fmt: skip


# --- rows of one world -----------------------------------------------------------------------------------------------

SEALINGS: Sequence[tuple[str, Person, Values]] = (
    ("S1 two years", YOUNG, {"FARQ": "20220315", "XQ_YUE": "24"}),
    ("S2 sixty months", YOUNG, {"FARQ": "20230531", "XQ_YUE": "60"}),
    ("S3 exempted", OTHER, {"FARQ": "20220315", "XZDM": "30", "MCBZ": "1", "XQ_YUE": None}),
    ("S5 on the birthday", YOUNG, {"FARQ": "20230601", "XQ_YUE": "6"}),
    ("S6 no finding", YOUNG, {"FARQ": "20220315", "FARQ2": "2024-03-15", "XQ_YUE": "24"}),
    ("S7 not prosecuted", OTHER, {"FARQ": "20220315", "AJLB": "05", "XQ_YUE": None}),
    ("S10 not separated", ADULT, {"GTFZ": "2"}),
    ("S10 unknown", OLD, {"GTFZ": "8"}),
    ("S13 marked", ADULT, {"FCBJ": "1"}),
    ("S13 mark of unknown meaning", OLD, {"FCBJ": "9"}),
    ("S14 no birth date", OTHER, {"CSRQ": "19000101", "FARQ": "20220315"}),
    ("S14 impossible date", OTHER, {"FARQ": "20230231"}),
    ("S15 violation", ADULT, {"AJLB": "12", "FARQ": "20260115", "XQ_YUE": None}),
    ("R3 number contradicts date", YOUNG, {"CSRQ": "19850711"}),
    ("R9 unsealed and still marked", ADULT, {**records.DECISION, "FCBJ": "1"}),
    ("R10 decision without ground", YOUNG, {**records.DECISION, "JFLY": None, "FARQ": "20220315", "XQ_YUE": "24"}),
    ("no kind", ADULT, {"AJLB": "77"}),
    ("no term", YOUNG, {"FARQ": "20220315", "XQ_YUE": "998"}),
    ("whole person", NOBODY, {"FCBJ": "1"}),
)
"""By rule: a person, and what makes an open row of that person a sealed one."""

REGISTERED = ("AJ0007", 9)
"""Key of the record that the deployments' seal register holds: sealed by a decision, unmarked in the database."""


def sealed_rows() -> st.SearchStrategy[dict[str, Any]]:
    """A row that nobody without entitlement may see."""
    return st.one_of(_ruled(), _ruled(), junk(), _registered())


def _ruled() -> st.SearchStrategy[dict[str, Any]]:
    by_rule = st.sampled_from(SEALINGS).map(lambda rule: base(rule[1], **rule[2]))
    return st.builds(
        lambda row, crime, story, term: {**row, "ZM": crime, "BZ": story, "XQ_SM": term},
        by_rule,
        st.sampled_from(CRIMES),
        st.sampled_from(_STORIES),
        st.sampled_from((*_TERMS, "7x")),
    )


def _registered() -> st.SearchStrategy[dict[str, Any]]:
    keyed = {"AJBH": REGISTERED[0], "XH": REGISTERED[1]}
    return st.sampled_from(CRIMES).map(lambda crime: base(ADULT, ZM=crime, **keyed))


def junk() -> st.SearchStrategy[dict[str, Any]]:
    """Every column a null, a boundary or something that no conversion takes, under a seal mark; a person who is asked about."""
    return st.builds(
        lambda row, who, own, mark: {
            **records.ROW, "JTZZ": None, **row, **(person(who) if own else {"SFZH": who.SFZH}), "FCBJ": mark,
        },
        records.any_row(),
        st.sampled_from(PEOPLE),
        st.booleans(),
        st.sampled_from(("1", "x")),
    )  # fmt: skip


STRANGE = (b"\xff\xfe", 10**18, -1, 1.5, b"", "1\0002", "9" * 400)
"""What SQLite keeps in a column of any type, and no other database does."""

_KEPT = {"AJBH", "XH", "FCBJ", "SFZH"}


def strangers() -> st.SearchStrategy[dict[str, Any]]:
    """A marked row with values of foreign types."""
    names = st.sampled_from(sorted({column.name for column in TABLE.columns} - _KEPT))
    changes = st.dictionaries(names, st.sampled_from(STRANGE), min_size=1, max_size=4)
    return st.builds(lambda who, change: {**base(who, FCBJ="1"), **change}, st.sampled_from(PEOPLE), changes)


# --- a pair ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pair:
    """Rows of the two worlds. ``differing``: rows that only one of them has, or has in this form."""

    first: tuple[Values, ...]
    second: tuple[Values, ...]
    differing: tuple[Values, ...]
    joint: bool

    def __repr__(self) -> str:
        return f"Pair({len(self.first)} rows, {len(self.second)} rows, {len(self.differing)} differ)"

    def told(self) -> str:
        """All rows by what is not as in every row, a line each."""
        worlds = (("first", self.first), ("second", self.second))
        return "\n".join(f"{name}: {_short(row)}" for name, world in worlds for row in world)


def _short(row: Values) -> dict[str, Any]:
    plain = records.ROW
    own = {name: value for name, value in row.items() if name not in plain or plain[name] != value}
    return {name: value if len(str(value)) < 99 else "…" for name, value in own.items()}


def pair_of(
    common: Sequence[Values],
    sealed: tuple[Sequence[Values], Sequence[Values]],
    joint: tuple[Values, Values] = ({}, {}),
    *,
    beside: bool = False,
) -> Pair:
    """Put two worlds together.

    Args:
        common: rows of both; their keys are even.
        sealed: rows of each world alone; their keys are odd, hence in between, and a number has another row in the other
            world.
        joint: what each world's joint cases say besides.
        beside: sealed rows are co-defendants in the common rows' cases instead.
    """
    shared = [{**row, "AJBH": _case(2 * i + 2), "XH": 1} for i, row in enumerate(common)]
    own = [_own(rows, len(shared) if beside else 0) for rows in sealed]
    worlds = [(*(_with(row, facts) for row in shared), *rows.values()) for facts, rows in zip(joint, own, strict=True)]
    keys = {*own[0], *own[1]}
    changed = [side[key] for key in sorted(keys) for side in own if key in side and own[0].get(key) != own[1].get(key)]
    return Pair(worlds[0], worlds[1], tuple(changed), joint[0] != joint[1])


def _case(number: int) -> str:
    return f"AJ{number:04d}"


def _own(rows: Sequence[Values], cases: int) -> dict[tuple[str, int], Values]:
    """Sealed rows by their keys; of several with the registered key the last one stays."""
    found = {}
    for i, row in enumerate(rows):
        key = (_case(2 * (i % cases) + 2), 3 + i) if cases else (_case(2 * i + 1), 1)
        key = REGISTERED if row.get("AJBH") == REGISTERED[0] else key
        found[key] = {**row, "AJBH": key[0], "XH": key[1]}
    return found


def _with(row: Values, facts: Values) -> Values:
    """A row with a world's joint-case facts, if its case is joint anyhow."""
    return {**row, **facts} if row["GTFZ"] == "1" else row


@st.composite
def pairs(draw: st.DrawFn, *, strange: bool = False) -> Pair:
    """Two databases that differ in what is sealed only; ``strange``: with values that only SQLite keeps."""
    common = draw(st.lists(open_rows(), min_size=2, max_size=9))
    rows = sealed_rows() if not strange else st.one_of(sealed_rows(), strangers())
    sealed = draw(st.tuples(st.lists(rows, max_size=4), st.lists(rows, min_size=1, max_size=6)))
    joint = draw(st.tuples(joint_facts(), joint_facts()))
    return pair_of(common, sealed, joint, beside=draw(st.booleans()))
