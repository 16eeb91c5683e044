"""Generated legacy schemas, each with the truth about its columns: names, formats and codes as thirty years left them."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from sidecar.law.identifiers import CITIZEN_CHECKS, CITIZEN_WEIGHTS
from sidecar.records.written import write_day, write_term

ROWS = 160

_STYLES: Sequence[Mapping[str, Sequence[str]]] = (
    {
        "table": ("T_AJXX", "RYAJ", "T_ZFXX"), "key": ("AJBH", "BH", "LSH"), "person_id": ("SFZH", "GMSFHM", "ZJHM"), "name": ("XM", "DSRXM"),
        "birth": ("CSRQ", "CSNY"), "offences": ("FARQ", "ZASJ"), "concluded": ("JARQ", "PJRQ"), "sentence_months": ("XQ_YUE", "XQYS"),
        "kind_from": ("XZDM", "XFZL"), "kind": ("AJLB", "JLLB"), "joint": ("GTFZ", "SFGF"), "seal_mark": ("FCBJ", "SFFC"),
        "crime": ("ZM", "AY"), "entered": ("LRRQ", "DJRQ"), "changed": ("GXSJ", "XGRQ"), "phone": ("LXDH",), "remark": ("BZ",),
    },
    {
        "table": ("criminal_record", "case_person"), "key": ("record_id", "id"), "person_id": ("id_card", "id_number"), "name": ("full_name", "name"),
        "birth": ("birth_date", "dob"), "offences": ("offence_date", "committed_on"), "concluded": ("judged_on", "verdict_date"),
        "sentence_months": ("term_months", "sentence_months"), "kind_from": ("penalty", "sentence_type"), "kind": ("record_type", "category"),
        "joint": ("is_joint", "joint_case"), "seal_mark": ("sealed", "seal_flag"), "crime": ("charge", "crime"), "entered": ("created_at",),
        "changed": ("updated_at",), "phone": ("phone",), "remark": ("remark",),
    },
    {
        "table": ("案件人员", "刑事记录"), "key": ("编号", "案号"), "person_id": ("公民身份号码", "身份证号"), "name": ("姓名", "被告人"),
        "birth": ("出生日期", "出生年月日"), "offences": ("作案时间", "犯罪日期"), "concluded": ("结案日期", "判决日期"), "sentence_months": ("刑期月数", "判处刑期"),
        "kind_from": ("刑种", "主刑"), "kind": ("案件类别", "文书类别"), "joint": ("是否共同犯罪", "共同犯罪"), "seal_mark": ("封存标记", "是否封存"),
        "crime": ("罪名", "案由"), "entered": ("录入日期",), "changed": ("修改时间",), "phone": ("联系电话",), "remark": ("备注",),
    },
)  # fmt: skip
_STRANGE = 0.06
"""Share of columns whose name says nothing."""

_DATES = ("YYYYMMDD", "YYYY-MM-DD", "YYYY/M/D", "YYYY.M.D", "YYYY年M月D日", "YYMMDD", "YYYY-MM-DD hh:mm:ss")
_PENALTIES = (("有期徒刑", "imprisonment"), ("拘役", "detention"), ("管制", "surveillance"), ("罚金", "fine"))
_KINDS = (("判决", "judgment"), ("不起诉", "non_prosecution"))
_FLAGS = (("0", "1"), ("N", "Y"), ("否", "是"), ("2", "1"))
"""What means no and yes; 2 and 1 say nothing by themselves."""


@dataclass(frozen=True, slots=True)
class Schema:
    """A database file and what its columns are: part of the catalog → value."""

    path: Path
    table: str
    key: str
    truth: Mapping[str, Any]


@dataclass(slots=True)
class _Codes:
    """How a schema writes a code: in words, or by numbers that a table of codes explains, or that nothing explains."""

    way: str
    words: Sequence[tuple[str, str]]

    def written(self, number: int) -> str:
        return self.words[number][0] if self.way == "words" else f"{number + 1:02}"

    def truth(self) -> dict[str, str]:
        return {self.written(i): meaning for i, (_, meaning) in enumerate(self.words)}


def generate(folder: Path, seed: int) -> Schema:
    """The schema of a seed: the same each time."""
    chance = random.Random(seed)
    style = chance.choice(_STYLES)
    names = {part: chance.choice(choices) for part, choices in style.items()}
    prefix = chance.choice(("", "", "", "F_", "C_")) if names["key"].isascii() else ""
    for number, part in enumerate(sorted(names.keys() - {"table"})):
        strange = part not in {"person_id", "key"} and chance.random() < _STRANGE
        names[part] = f"ZD{number:02}" if strange else prefix + names[part]
    formats = {part: chance.choice(_DATES) for part in ("birth", "offences", "concluded", "entered")}
    if chance.random() < 0.6:
        formats = dict.fromkeys(formats, formats["birth"])
    penalty, kind = (
        _Codes(chance.choice(("words", "table", "table", "numbers")), words) for words in (_PENALTIES, _KINDS)
    )
    chinese = chance.random() < 0.3
    joint, mark = chance.choice(_FLAGS), chance.choice(_FLAGS)
    marked, text_key = chance.random() < 0.8, chance.random() < 0.5
    columns = [
        part
        for part in (
            "key", "person_id", "name", "birth", "entered", "offences", "concluded", "sentence_months", "kind_from", "kind", "joint", "seal_mark",
            "crime", "phone", "remark", "changed",
        )
        if not (part == "kind_from" and chinese) and not (part == "seal_mark" and not marked)
    ]  # fmt: skip
    first, rest = columns[:1], columns[1:]
    chance.shuffle(rest)
    columns = first + rest

    def row(number: int) -> dict[str, Any]:
        born = date(1960, 1, 1) + timedelta(days=chance.randrange(17_000))
        offence = born + timedelta(days=chance.randrange(14 * 365, 18 * 365))
        concluded = offence + timedelta(days=chance.randrange(30, 400))
        days = {"birth": born, "offences": offence, "concluded": concluded, "entered": concluded + timedelta(days=9)}
        found: dict[str, Any] = {part: _day(each, formats[part], chance) for part, each in days.items()}
        index, months = chance.randrange(len(_PENALTIES)), chance.randrange(3, 160)
        junk = chance.random() < 0.01
        return found | {
            "key": f"A{number:06}" if text_key else number,
            "person_id": citizen_number(born, chance),
            "name": chance.choice("赵钱孙李周吴郑王") + chance.choice("伟芳娜敏静强磊洋"),
            "offences": "不详" if junk else found["offences"],
            "sentence_months": write_term(months) if chinese else str(months),
            "kind_from": penalty.written(index),
            "kind": kind.written(chance.randrange(2)),
            "joint": joint[chance.random() < 0.3],
            "seal_mark": mark[chance.random() < 0.4],
            "crime": chance.choice(("盗窃罪", "抢劫罪", "诈骗罪", "故意伤害罪")),
            "phone": f"139{chance.randrange(10**8):08}",
            "remark": chance.choice((None, "补录", "见卷宗")),
            "changed": f"2021-0{chance.randrange(1, 9)}-11 10:00:00",
        }

    content = [row(number) for number in range(1, ROWS + 1)]
    path = folder / f"schema{seed}.db"
    with sqlite3.connect(path) as database:
        keyed = " PRIMARY KEY" if chance.random() < 0.7 else ""
        declared = ", ".join(f'"{names[part]}" TEXT' + (keyed if part == "key" else "") for part in columns)
        if not text_key:
            declared = declared.replace(f'"{names["key"]}" TEXT', f'"{names["key"]}" INTEGER')
        database.execute(f'CREATE TABLE "{names["table"]}" ({declared})')
        marks = ", ".join("?" * len(columns))
        database.executemany(
            f'INSERT INTO "{names["table"]}" VALUES ({marks})', [[each[part] for part in columns] for each in content]
        )
        for codes, name in ((penalty, "DM_XZ"), (kind, "DM_LB")):
            if codes.way == "table":
                database.execute(f"CREATE TABLE {name} (DM TEXT PRIMARY KEY, MC TEXT)")
                database.executemany(
                    f"INSERT INTO {name} VALUES (?, ?)",
                    [(codes.written(i), word) for i, (word, _) in enumerate(codes.words)],
                )
    database.close()

    def column_of_day(part: str) -> dict[str, Any]:
        return {"column": names[part], "format": formats[part]} | ({"pivot": 30} if formats[part] == "YYMMDD" else {})

    term: dict[str, Any] = {"column": names["sentence_months"]}
    term |= {"format": "chinese"} if chinese else {"kind_from": names["kind_from"], "kinds": penalty.truth()}
    truth: dict[str, Any] = {
        "subject.person_id": names["person_id"],
        "subject.name": names["name"],
        "attributes.minor.birth": column_of_day("birth"),
        "attributes.minor.offences": [column_of_day("offences")],
        "attributes.concluded": column_of_day("concluded"),
        "attributes.sentence_months": term,
        "attributes.kind": {"column": names["kind"], "map": kind.truth()},
        "attributes.joint": {"column": names["joint"], "map": {joint[0]: "none", joint[1]: "unseparated"}},
        "released.crime": {"column": names["crime"], "class": "crime"},
    }
    if marked:
        truth["attributes.seal_mark"] = {"column": names["seal_mark"], "none": [mark[0]], "set": [mark[1]]}
    return Schema(path, names["table"], names["key"], truth)


def _day(day: date, written: Any, chance: random.Random) -> str:
    text = write_day(day.year * 10000 + day.month * 100 + day.day, written)
    return f"{text} 1{chance.randrange(10)}:30:00" if written.endswith("ss") else text


def citizen_number(born: date, chance: random.Random) -> str:
    """An invented number of 18 digits."""
    first = f"339901{born:%Y%m%d}{chance.randrange(1000):03}"
    total = sum(int(digit) * weight for digit, weight in zip(first, CITIZEN_WEIGHTS, strict=True))
    return first + CITIZEN_CHECKS[total % 11]


def verdict(schema: Schema, part: str, value: Any) -> str:
    """``right``, ``cautious`` (nothing is claimed that is not so, but less than is known) or ``wrong``."""
    truth = schema.truth.get(part)
    if value == truth:
        return "right"
    if isinstance(truth, dict) and isinstance(value, dict):
        loose = {"kinds", "map", "none", "set"}
        if {k: v for k, v in value.items() if k not in loose} == {
            k: v for k, v in truth.items() if k not in loose
        } and all(_within(value[key], truth[key]) for key in value.keys() & loose):
            return "cautious"
    return "wrong"


def _within(claimed: Any, known: Any) -> bool:
    return claimed.items() <= known.items() if isinstance(claimed, dict) else set(claimed) <= set(known)
