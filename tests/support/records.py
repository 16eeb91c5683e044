"""Catalog, filter and databases for tests of records: a table with every kind of column the catalog knows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from sqlalchemy import CHAR, Column, Integer, LargeBinary, MetaData, String, Table, create_engine, insert
from sqlalchemy.pool import NullPool

from sidecar.codes import FieldClass, View
from sidecar.policy.filter import evaluate
from sidecar.policy.types import (
    Attributes,
    Classification,
    Comparison,
    Conjunction,
    Disjunction,
    FilterNode,
    LegalParameters,
    RecordKind,
    Views,
)
from sidecar.records.catalog import Catalog, LoadedCatalog, parse
from sidecar.records.connectors import SqlConnector, open_connector

TEXT = """\
catalog: 1
database: county
connector: {kind: sql, dsn_file: county.dsn, statement_timeout_ms: 10000, pool_size: 2}
source: {table: T_AJXX, key: [AJBH, XH]}
subject: {person_id: SFZH, name: XM, birth_date: CSRQ}
attributes:
  minor:
    birth: {column: CSRQ, format: YYYYMMDD, unknown: ["19000101"]}
    offences: [{column: FARQ, format: YYYYMMDD}, {column: FARQ2, format: YYYY-MM-DD, optional: true}]
  sentence_months:
    column: XQ_YUE
    kind_from: XZDM
    kinds: {"10": imprisonment, "11": detention, "13": fine, "20": life, "21": death, "30": exempted, "90": other}
    unknown: ["0", "998", null]
  kind: {column: AJLB, map: {"01": judgment, "05": non_prosecution, "12": violation}}
  main_acts: {column: ZYXW, map: {"1": before, "2": after}}
  joint: {column: GTFZ, map: {"0": none, "1": separated, "2": unseparated}, blank: none}
  seal_mark: {column: FCBJ, none: ["2"], set: ["1"]}
  cover_mark: {column: FMBJ, none: ["2"], set: ["1"]}
  exempted: {column: MCBZ, yes: ["1"], no: ["2"]}
  unsealing:
    number: JFWH
    authority: JFJG
    date: {column: JFRQ, format: YYYYMMDD}
    effect: {column: JFXL, set: [J1]}
    ground: {column: JFLY, set: [L1, L2]}
  disclosure_agreed: {person: {column: TY1, set: ["1"]}, representative: {column: TY2, set: ["1"]}, court: {column: TY3, set: ["1"]}}
  concluded: {column: JARQ, format: YYYYMMDD}
released:
  case: {column: AJBH, class: procedure}
  name: {column: XM, class: identity}
  sex: {column: XB, class: identity, map: {"1": 男, "2": 女}}
  crime: {column: ZM, class: crime}
  term: {column: XQ_SM, class: term, format: integer}
  concluded: {column: JARQ, class: procedure, format: YYYYMMDD}
  story: {column: BZ, class: narrative, encoding: gb18030}
filterable: [case, ZM, sex, term, concluded]
sortable: [case, concluded, term, sex]
"""

CATALOG: Catalog = parse(TEXT)

LEGACY = MetaData()
TABLE = Table(
    "T_AJXX",
    LEGACY,
    Column("AJBH", String(24), primary_key=True),
    Column("XH", Integer, primary_key=True),
    Column("SFZH", String(20)),
    Column("XM", String(60)),
    Column("XB", CHAR(2)),
    Column("CSRQ", String(12)),
    Column("FARQ", String(12)),
    Column("FARQ2", String(12)),
    Column("JARQ", String(12)),
    Column("AJLB", CHAR(4)),
    Column("XZDM", String(8)),
    Column("XQ_YUE", String(12)),
    Column("XQ_SM", String(12)),
    Column("ZYXW", CHAR(2)),
    Column("MCBZ", CHAR(2)),
    Column("FCBJ", CHAR(2)),
    Column("GTFZ", CHAR(2)),
    Column("FMBJ", CHAR(2)),
    Column("JFWH", String(40)),
    Column("JFJG", String(40)),
    Column("JFRQ", String(12)),
    Column("JFXL", String(4)),
    Column("JFLY", String(4)),
    Column("TY1", CHAR(1)),
    Column("TY2", CHAR(1)),
    Column("TY3", CHAR(1)),
    Column("ZM", String(60)),
    Column("BZ", LargeBinary),
)

PERSON = "33010619850711001X"

ROW: Mapping[str, Any] = {
    "AJBH": "AJ1", "XH": 1, "SFZH": PERSON, "XM": "何大伟", "XB": "1", "CSRQ": "19850711", "FARQ": "20200420",
    "FARQ2": None, "JARQ": "20210101", "AJLB": "01", "XZDM": "10", "XQ_YUE": "18", "XQ_SM": "18", "ZYXW": None, "MCBZ": "2",
    "FCBJ": None, "GTFZ": "0", "FMBJ": "2", "JFWH": None, "JFJG": None, "JFRQ": None, "JFXL": None, "JFLY": None,
    "TY1": None, "TY2": None, "TY3": None, "ZM": "盗窃罪", "BZ": "供述。".encode("gb18030"),
}  # fmt: skip
"""An adult's judgment: open."""

DECISION = {"JFWH": "1", "JFJG": "法院", "JFRQ": "20220101", "JFXL": "J1", "JFLY": "L2"}
"""All parts of an unsealing decision."""

PARAMETERS = LegalParameters(18, "0301", 20130101, 20260101, frozenset(), {}, frozenset(), frozenset())


def _body(*parts: Comparison) -> Conjunction:
    first = (Comparison("seal_mark", "eq", value=False), Comparison("joint", "in", ("none", "separated")))
    return Conjunction((*first, *parts))


_OVER = (
    Comparison("unsealed", "eq", value=False),
    Comparison("kind", "in", ("judgment",)),
    Comparison("exempted", "eq", value=False),
    Comparison("sentence_months", "gt", 60),
    Comparison("sentence_months", "le", 9999),
)
OPEN_RECORD: FilterNode = Disjunction((
    _body(Comparison("unsealed", "eq", value=True), Comparison("kind", "in", ("judgment",))),
    _body(
        Comparison("unsealed", "eq", value=False),
        Comparison("minor", "eq", "no"),
        Comparison("kind", "in", ("judgment", "non_prosecution")),
    ),
    _body(*_OVER, Comparison("minor", "eq", "yes")),
    _body(*_OVER, Comparison("minor", "eq", "straddles"), Comparison("main_acts", "in", ("before", "after"))),
))  # fmt: skip
"""The shape of the rule *open record*, with four bodies."""

EVERY_KIND = tuple(str(kind) for kind in RecordKind)
_FULL = dict.fromkeys(EVERY_KIND, View.FULL)
_FIELDS = {View.FULL: frozenset(FieldClass), View.LIMITED: frozenset({FieldClass.CRIME, FieldClass.TERM})}
OPEN_ONLY = Views(_FULL, {}, _FIELDS, frozenset(), cover_mark=False)
SEALED_ONLY = Views({}, _FULL, _FIELDS, frozenset(), cover_mark=True)
EVERYTHING = Views(_FULL, _FULL, _FIELDS, frozenset(), cover_mark=True)


def classify(records: Sequence[Attributes]) -> list[Classification]:
    """The word of an engine whose rule is ``OPEN_RECORD``."""
    return [Classification(evaluate(OPEN_RECORD, r), str(r.kind), (), review=False) for r in records]


def rows(*changes: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows like ``ROW`` with changes, each with a key of its own."""
    return [{**ROW, "AJBH": f"AJ{number}", **change} for number, change in enumerate(changes, 1)]


def fill(url: str, content: Iterable[Mapping[str, Any]]) -> None:
    """Make the legacy table and fill it."""
    engine = create_engine(url, poolclass=NullPool)
    content = list(content)
    with engine.begin() as connection:
        LEGACY.create_all(connection)
        if content:
            connection.execute(insert(TABLE), content)
    engine.dispose()


def connect(
    folder: Path,
    url: str,
    *,
    catalog: Catalog = CATALOG,
    open_record: FilterNode = OPEN_RECORD,
    word: Callable[[Sequence[Attributes]], Sequence[Classification]] = classify,
) -> SqlConnector:
    """A connector over a database; the caller closes it."""
    (folder / "county.dsn").write_text(url, encoding="utf-8")
    return open_connector(LoadedCatalog(catalog, "sha256:test", folder), open_record, PARAMETERS, word)


def sqlite(folder: Path, content: Iterable[Mapping[str, Any]], **parts: Any) -> SqlConnector:
    """A connector over a fresh SQLite file."""
    url = f"sqlite:///{folder / 'county.db'}"
    fill(url, content)
    return connect(folder, url, **parts)


_BIRTHS = ("19850711", "20050601", "20040229", "20000229", "19000101", "20050231", "2005-06-01", "0", "")
_OFFENCES = ("20230531", "20230601", "20230602", "20220228", "20220301", "20220302", "20180301", "20040101", "20191301")
_JUNK = ("~", "a", "A", "00", "7", "'", "%", "\\", "|", "３６", "é", "1.0", "-1", "+1", "１", "9" * 9, "\t1")


def column(*known: str | None) -> st.SearchStrategy[str | None]:
    """Values of a column: what the catalog knows, padded or not, junk and null."""
    texts = [value for value in known if value is not None]
    padded = st.sampled_from(texts or [""]).map(lambda value: f" {value} ")
    return st.one_of(st.sampled_from([*known]), padded, st.sampled_from(_JUNK), st.none())


def any_row() -> st.SearchStrategy[dict[str, Any]]:
    """A row of nulls, junk and boundaries that every dialect can store."""
    flag = column("1", "2")
    offence = st.one_of(column(*_OFFENCES), st.none())
    dashed = st.one_of(st.none(), column("2023-06-01", "2023-06-02", "2022-03-01", "2023-13-01", "20230601", ""))
    return st.fixed_dictionaries({
        "SFZH": column(PERSON, "330106200506010011", "330106850711001", "330106050601001", "33010620050601X", "E1234567"),
        "CSRQ": column(*_BIRTHS),
        "FARQ": offence,
        "FARQ2": dashed,
        "JARQ": column("20121231", "20130101", "20251231", "20260101"),
        "AJLB": st.one_of(st.just("01"), column("01", "05", "12").map(_short)),
        "XZDM": column("10", "11", "13", "20", "21", "30", "90").map(_short),
        "XQ_YUE": column("59", "60", "61", "0", "998", "9999", "10000", "060"),
        "ZYXW": flag.map(_two),
        "MCBZ": flag.map(_two),
        "FCBJ": st.one_of(st.none(), flag.map(_two)),
        "GTFZ": st.one_of(st.just("0"), column("0", "1", "2", "").map(_two)),
        "FMBJ": flag.map(_two),
        "JFWH": column("1", ""), "JFJG": column("法院", " "), "JFRQ": column("20220101", "20220230"),
        "JFXL": st.sampled_from(["J1", "j1", None]), "JFLY": st.sampled_from(["L1", "L2 ", "L3", None]),
        "TY1": st.sampled_from(["1", None]), "TY2": st.sampled_from(["1", "2"]), "TY3": st.sampled_from(["1", None]),
    })  # fmt: skip


def _short(value: str | None) -> str | None:
    return None if value is None else value[:4]


def _two(value: str | None) -> str | None:
    return None if value is None else value.strip()[:2]
