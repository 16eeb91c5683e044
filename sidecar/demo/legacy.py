"""A county's criminal-information database as it is found: 20,000 invented persons, legacy names, codes and habits.

Dates are text YYYYMMDD, sex is GB/T 2261.1, remarks are GB18030 bytes, booleans are 1 and 2, kinds are two-digit
codes, and a share of the minors' records lacks the mark that it should have (S13). The same seed gives the same rows.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

from sqlalchemy import Column, Connection, Integer, LargeBinary, MetaData, String, Table, insert

from sidecar.law.identifiers import CITIZEN_CHECKS, CITIZEN_WEIGHTS

SEED = 20220530
PERSONS = 20_000
REGION = "339901"
UNMARKED_SHARE = 0.15
"""Minors' records that were never marked when the rule came."""

BATCH = 2_000

LEGACY = MetaData()
CASES = Table(
    "T_AJXX",
    LEGACY,
    Column("AJBH", String(24), primary_key=True),  # case number of the system
    Column("XH", Integer, primary_key=True),  # person's position in the case
    Column("SFZH", String(18), index=True),  # citizen number
    Column("XM", String(60)),  # name
    Column("XB", String(1)),  # sex, GB/T 2261.1
    Column("CSRQ", String(8)),  # birth date
    Column("FARQ", String(8)),  # offence date
    Column("JARQ", String(8)),  # conclusion date
    Column("AJLB", String(2)),  # kind of record
    Column("XZDM", String(2)),  # kind of penalty
    Column("XQ_YUE", Integer),  # decided term in months
    Column("MCBZ", String(1)),  # exempted from punishment: 1 yes, 2 no
    Column("FCBJ", String(1)),  # seal mark: 1 yes, 2 no, null never set
    Column("GTFZ", String(1)),  # joint case: 0 none, 1 separated, 2 not separated
    Column("FMBJ", String(1)),  # cover mark 含犯罪记录封存信息: 1 yes, 2 no
    Column("ZM", String(60)),  # crime
    Column("JTZZ", String(120)),  # address
    Column("BZ", LargeBinary),  # remarks, GB18030
)


@dataclass(frozen=True, slots=True)
class Case:
    """One row, in the legacy system's own terms."""

    AJBH: str
    XH: int
    SFZH: str
    XM: str
    XB: str
    CSRQ: str
    FARQ: str
    JARQ: str
    AJLB: str
    XZDM: str
    XQ_YUE: int
    MCBZ: str
    FCBJ: str | None
    GTFZ: str
    FMBJ: str
    ZM: str
    JTZZ: str
    BZ: bytes

    def row(self) -> dict[str, object]:
        """Column → value."""
        return {c.name: getattr(self, c.name) for c in CASES.columns}


def citizen_number(birth: str, sequence: int) -> str:
    """An 18-digit number of the unassigned region (GB 11643)."""
    body = f"{REGION}{birth}{sequence:03d}"
    return body + CITIZEN_CHECKS[sum(int(d) * w for d, w in zip(body, CITIZEN_WEIGHTS, strict=True)) % 11]


def _told(number: int, name: str, birth: str, offence: str, months: int, **changes: object) -> Case:
    """A person of the story: a theft with a prison term, marked nowhere, unless told otherwise."""
    person_id = citizen_number(birth, 900 + number)
    case = Case(
        AJBH=f"AJ2023{number:06d}", XH=1, SFZH=person_id, XM=name, XB="1" if int(person_id[16]) % 2 else "2",
        CSRQ=birth, FARQ=offence, JARQ=str(int(offence) + 10000), AJLB="01", XZDM="10", XQ_YUE=months, MCBZ="2",
        FCBJ=None, GTFZ="0", FMBJ="2", ZM="盗窃罪", JTZZ="示例县示例镇示例路1号", BZ="被告人到案后如实供述。".encode("gb18030"),
    )  # fmt: skip
    return replace(case, **changes)  # type: ignore[arg-type]  # columns by name


SEALED = _told(1, "陈晓雨", "20050601", "20220315", 24, FCBJ="1")
"""Sixteen at the offence, two years, marked: sealed (S1, S13)."""
SEALED_LATER_ADULT = _told(1, "陈晓雨", "20050601", "20240910", 8, AJBH="AJ2024000001", ZM="故意伤害罪")
"""The same person's later offence as an adult, open; it does not unseal the first (U1)."""
UNMARKED = _told(2, "林安", "20060214", "20230102", 10)
"""Sixteen at the offence, ten months, and nobody set the mark: treated as sealed (S13)."""
OPEN = _told(3, "何大伟", "19850711", "20200420", 18)
"""Thirty-four at the offence: open."""
SIXTY = _told(4, "高原", "20040520", "20220110", 60, ZM="抢劫罪")
"""Seventeen at the offence, exactly 60 months: sealed (S2)."""
SIXTY_ONE = _told(5, "高峰", "20040521", "20220110", 61, ZM="抢劫罪")
"""Seventeen at the offence, 61 months: open."""
ON_BIRTHDAY = _told(6, "许诺", "20050601", "20230601", 36)
"""On the 18th birthday: still a minor's (S5)."""
AFTER_BIRTHDAY = _told(7, "许言", "20050601", "20230602", 36)
"""The day after: an adult's (S5)."""

NOBODY = citizen_number("20060214", 999)
"""A number that is in no row."""

TOLD = (SEALED, SEALED_LATER_ADULT, UNMARKED, OPEN, SIXTY, SIXTY_ONE, ON_BIRTHDAY, AFTER_BIRTHDAY)

_SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林罗高"
_GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂𠀀"
_CRIMES = ("盗窃罪", "故意伤害罪", "抢劫罪", "诈骗罪", "寻衅滋事罪", "危险驾驶罪", "聚众斗殴罪", "掩饰、隐瞒犯罪所得罪")
_KINDS = ("01",) * 86 + ("05",) * 5 + ("08",) * 3 + ("12",) * 3 + ("03", "04", "99")
_PENALTIES = ("10",) * 70 + ("11",) * 12 + ("12",) * 8 + ("13",) * 8 + ("20", "30")
_EPOCH = dt.date(1960, 1, 1)
_LAST_BIRTH = (dt.date(2008, 12, 31) - _EPOCH).days
_LAST_OFFENCE = dt.date(2025, 12, 31)


def cases() -> Iterator[Case]:
    """All rows: the told ones, then those of the other persons, one to three each."""
    yield from TOLD
    dice = random.Random(SEED)  # noqa: S311  # synthetic rows, no secret
    taken = {case.SFZH for case in TOLD}
    for number in range(PERSONS - len(taken)):
        yield from _person(dice, number, taken)


def _person(dice: random.Random, number: int, taken: set[str]) -> Iterator[Case]:
    birth, person_id = _citizen(dice, number)
    while person_id in taken:
        birth, person_id = _citizen(dice, number)
    taken.add(person_id)
    name = dice.choice(_SURNAMES) + "".join(dice.choices(_GIVEN, k=dice.choice((1, 2))))
    for position in range(dice.choice((1, 1, 1, 2, 3))):
        yield _case(dice, number * 4 + position, person_id, name, birth)


def _citizen(dice: random.Random, number: int) -> tuple[dt.date, str]:
    birth = _EPOCH + dt.timedelta(days=dice.randrange(_LAST_BIRTH))
    return birth, citizen_number(f"{birth:%Y%m%d}", number % 900)


def _case(dice: random.Random, serial: int, person_id: str, name: str, birth: dt.date) -> Case:
    first = birth + dt.timedelta(days=14 * 366)
    offence = first + dt.timedelta(days=int(dice.triangular(0, (_LAST_OFFENCE - first).days, 1500)))
    minor = (offence - birth).days <= 18 * 365
    penalty = dice.choice(_PENALTIES)
    joint = dice.choice("0" * 18 + "12")
    mark = "2" if not minor else (None if dice.random() < UNMARKED_SHARE else "1")
    return Case(
        AJBH=f"AJ{offence:%Y}{serial:06d}", XH=1, SFZH=person_id, XM=name, XB="1" if int(person_id[16]) % 2 else "2",
        CSRQ=f"{birth:%Y%m%d}", FARQ=f"{offence:%Y%m%d}",
        JARQ=f"{offence + dt.timedelta(days=dice.randrange(60, 500)):%Y%m%d}",
        AJLB=dice.choice(_KINDS), XZDM=penalty, XQ_YUE=dice.randrange(1, 120) if penalty in {"10", "11", "12"} else 0,
        MCBZ="1" if penalty == "30" else "2", FCBJ=mark, GTFZ=joint, FMBJ="1" if joint == "2" else "2",
        ZM=dice.choice(_CRIMES), JTZZ=f"示例县{dice.choice(_GIVEN)}{dice.choice(_GIVEN)}镇{dice.randrange(1, 400)}号",
        BZ=f"案情：{name}，{dice.choice(_CRIMES)}，承办人备注第{serial}号。".encode("gb18030"),
    )  # fmt: skip


def fill(connection: Connection) -> int:
    """Create the table and insert all rows in one transaction of the caller's; returns how many."""
    LEGACY.create_all(connection)
    batch: list[dict[str, object]] = []
    count = 0
    for case in cases():
        batch.append(case.row())
        count += 1
        if len(batch) == BATCH:
            connection.execute(insert(CASES), batch)
            batch.clear()
    if batch:
        connection.execute(insert(CASES), batch)
    return count
