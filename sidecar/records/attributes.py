"""Derived attributes: each defined once, as an expression tree over the catalog's columns (P4, S1–S15, R3–R10).

The trees say what a *row* says; what follows from it is the policy's business (P5). Whatever is missing, junk or
contradictory takes the attribute's undecidable value, which no rule opens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sidecar.law.age import LEAP_BIRTHDAYS, LEAP_DAY, LEAP_SHIFT
from sidecar.policy.types import (
    SENTENCE_LIFE_OR_DEATH,
    SENTENCE_UNKNOWN,
    Attributes,
    Era,
    Joint,
    LegalParameters,
    MainActs,
    Minor,
    RecordKind,
)
from sidecar.records import catalog as c
from sidecar.records import written
from sidecar.records.expr import (
    FALSE,
    NO_DATE,
    TRUE,
    AfterDigits,
    And,
    Arithmetic,
    Bound,
    Case,
    Compare,
    Expr,
    In,
    InBound,
    IntegerOf,
    IsNull,
    KeyText,
    Leaves,
    Literal,
    Lookup,
    Not,
    Or,
    Substring,
    Text,
)
from sidecar.records.memo import Memo
from sidecar.records.python import compile_page
from sidecar.records.simplify import case, either, every, member, negated

SEALED_KEYS = "sealed_keys"
UNSEALED_KEYS = "unsealed_keys"
"""Names of the bound sets: record keys that the seal register seals and unseals."""

_MONTHS_OF_ITS_OWN = ("imprisonment", "detention", "surveillance")
_LIFE_OR_DEATH = ("life", "death")
_WITHOUT_TERM = ("fine", "exempted")
_CENTURY = "19"
"""R23: a number of 15 digits means 19yy."""


def expressions(catalog: c.Catalog, parameters: LegalParameters) -> dict[str, Expr]:
    """The tree of every field of ``Attributes``.

    Raises:
        ValueError: ``parameters.leap_birthday`` is neither ``0301`` nor ``0228``.
    """
    maps = catalog.attributes
    key = KeyText(catalog.source.key)
    months, penalty = _stated_term(maps.sentence_months)
    return {
        "disclosure_agreed": _agreed(maps.disclosure_agreed),
        "era": _era(maps.concluded, parameters),
        "exempted": _exempted(maps, penalty),
        "joint": joint(catalog),
        "kind": _coded(maps.kind, RecordKind.UNKNOWN),
        "main_acts": _coded(maps.main_acts, MainActs.UNKNOWN),
        "minor": _minor(catalog, parameters),
        "seal_mark": either((_mark(maps.seal_mark), InBound(key, SEALED_KEYS))),
        "sentence_months": _months(maps.sentence_months, months, penalty),
        "unsealed": either((_unsealed(maps.unsealing), InBound(key, UNSEALED_KEYS))),
    }


def joint(catalog: c.Catalog) -> Expr:
    """Joint case and separation (S10)."""
    return _coded(catalog.attributes.joint, Joint.UNKNOWN)


def cover_mark(catalog: c.Catalog) -> Expr:
    """The cover mark 含犯罪记录封存信息 (R8); not mapped: none."""
    return _mark(catalog.attributes.cover_mark)


def date(column: c.DateColumn) -> Expr:
    """A date column as an integer YYYYMMDD; ``NO_DATE`` where it is none or declared unknown."""
    day = written.day(Text(column.column), column.format, column.pivot)
    if not column.unknown:
        return day
    return Case(((In(Text(column.column), column.unknown), Literal(NO_DATE)),), day)


def _coded(coded: c.KindOfRecord | c.JointCase | c.MainActsFinding | None, unknown: str) -> Expr:
    if coded is None:
        return Literal(str(unknown))
    constant = getattr(coded, "constant", None)
    if coded.column is None:
        return Literal(str(constant or unknown))
    table = {code: str(value) for code, value in coded.map.items()}
    blank = getattr(coded, "blank", None)
    if blank is not None:
        table.setdefault("", str(blank))
    return Lookup(Text(coded.column), tuple(table.items()), str(unknown))


def _mark(mark: c.Mark | None) -> Expr:
    """Null is no mark, a code that is not declared to be none is one (R8)."""
    if mark is None:
        return FALSE
    return Not(Or((IsNull(mark.column), In(Text(mark.column), mark.none))))


def _stated_term(term: c.Term | None) -> tuple[Expr, Expr]:
    """The months that are stated, -1 for none, and the kind of penalty they belong to."""
    if term is None:
        return Literal(SENTENCE_UNKNOWN), Literal("unknown")
    coded: Expr = Literal("imprisonment")
    if term.kind_from is not None:
        coded = Lookup(Text(term.kind_from), tuple(term.kinds.items()), "unknown")
    if term.format == "months":
        text = Text(term.column)
        return (IntegerOf(text) if term.years is None else written.years_and_months(Text(term.years), text)), coded
    months, said = written.term(Text(term.column))
    bare = Compare("eq", said, Literal(""))
    if term.kind_from is None:
        return months, case(((bare, coded),), said)
    # A code and a text that name different penalties contradict each other.
    return months, case(((either((bare, Compare("eq", said, coded))), coded),), Literal("unknown"))


def _months(term: c.Term | None, months: Expr, penalty: Expr) -> Expr:
    """S3, S4, R5: life and death above all terms, a fine without term, else whole months from 1."""
    if term is None:
        return Literal(SENTENCE_UNKNOWN)
    codes = tuple(code for code in term.unknown if code is not None)
    known = every((
        member(penalty, _MONTHS_OF_ITS_OWN),
        Compare("gt", months, Literal(0)),
        Compare("lt", months, Literal(SENTENCE_LIFE_OR_DEATH)),
        negated(member(Text(term.column), codes)),
    ))  # fmt: skip
    return case(
        (
            (known, months),
            (member(penalty, _LIFE_OR_DEATH), Literal(SENTENCE_LIFE_OR_DEATH)),
            (member(penalty, _WITHOUT_TERM), Literal(0)),
        ),
        Literal(SENTENCE_UNKNOWN),
    )


def _exempted(maps: c.AttributeMap, penalty: Expr) -> Expr:
    """Unknown is exempted, which seals (S3)."""
    if maps.exempted is not None:
        flag = Not(In(Text(maps.exempted.column), maps.exempted.no))
        return either((flag, member(penalty, ("exempted",))))
    if maps.sentence_months is None or (
        maps.sentence_months.kind_from is None and maps.sentence_months.format == "months"
    ):
        return TRUE
    return member(penalty, ("exempted", "unknown", "other"))


def _unsealed(decision: c.Unsealing | None) -> Expr:
    if decision is None:
        return FALSE
    return And((
        Compare("ne", Text(decision.number), Literal("")),
        Compare("ne", Text(decision.authority), Literal("")),
        Compare("ne", date(decision.date), Literal(NO_DATE)),
        In(Text(decision.effect.column), decision.effect.set),
        In(Text(decision.ground.column), decision.ground.set),
    ))  # fmt: skip


def _agreed(agreed: c.DisclosureAgreed | None) -> Expr:
    if agreed is None:
        return FALSE
    parts = (agreed.person, agreed.representative, agreed.court)
    return And(tuple(In(Text(part.column), part.set) for part in parts))


def _era(concluded: c.DateColumn | None, parameters: LegalParameters) -> Expr:
    if concluded is None:
        return Literal(str(Era.UNKNOWN))
    day = date(concluded)
    return Case(
        (
            (Compare("eq", day, Literal(NO_DATE)), Literal(str(Era.UNKNOWN))),
            (Compare("lt", day, Literal(parameters.sealing_law_from)), Literal(str(Era.BEFORE_SEALING_LAW))),
            (
                Compare("lt", day, Literal(parameters.violation_sealing_from)),
                Literal(str(Era.BEFORE_VIOLATION_SEALING)),
            ),
        ),
        Literal(str(Era.CURRENT)),
    )


def _minor(catalog: c.Catalog, parameters: LegalParameters) -> Expr:
    """S1, S5, S6, S14: yes or no where every known act is on one side, straddles where not, unknown where in doubt."""
    maps = catalog.attributes.minor
    if maps is None:
        return Literal(str(Minor.UNKNOWN))
    birth = date(maps.birth)
    acts = [(date(o), Compare("ne", Text(o.column), Literal("")) if o.optional else None) for o in maps.offences]
    doubt = [Compare("eq", birth, Literal(NO_DATE)), _contradicts(catalog.subject.person_id, maps.birth, birth)]
    # An offence before birth is contradictory (R3); one that is no date is smaller than any birth.
    doubt += [_stated(stated, Compare("lt", day, birth)) for day, stated in acts]
    some_adult = either(_stated(stated, _adult(birth, day, parameters)) for day, stated in acts)
    some_minor = either(_stated(stated, Not(_adult(birth, day, parameters))) for day, stated in acts)
    # A single act lies on one side.
    young: Expr = Literal(str(Minor.YES))
    if len(acts) > 1:
        young = case(((some_adult, Literal(str(Minor.STRADDLES))),), young)
    return case(((either(doubt), Literal(str(Minor.UNKNOWN))), (some_minor, young)), Literal(str(Minor.NO)))


def _stated(stated: Expr | None, part: Expr) -> Expr:
    return part if stated is None else And((stated, part))


def _adult(birth: Expr, offence: Expr, parameters: LegalParameters) -> Expr:
    """``law.age.adult_at`` as a tree (S5, R4)."""
    if parameters.leap_birthday not in LEAP_BIRTHDAYS:
        raise ValueError(f"leap_birthday: expected 0301 or 0228, got {parameters.leap_birthday!r}")
    years = parameters.majority_years
    least: Expr = Literal(years * 10000)
    if parameters.leap_birthday == "0301":
        shifted: Expr = Compare("eq", Arithmetic("mod", birth, Literal(10000)), Literal(LEAP_DAY))
        # Whoever is born on a leap day comes of age in a leap year only where the years are a multiple of 4.
        if years % 4 == 0:
            of_age = Arithmetic("sub", Arithmetic("div", birth, Literal(10000)), Literal(-years))
            shifted = And((shifted, Not(_leap_year(of_age))))
        least = Case(((shifted, Literal(years * 10000 + LEAP_SHIFT)),), least)
    return Compare("gt", Arithmetic("sub", offence, birth), least)


def _leap_year(year: Expr) -> Expr:
    def divided(by: int) -> Expr:
        return Compare("eq", Arithmetic("mod", year, Literal(by)), Literal(0))

    return Or((And((divided(4), Not(divided(100)))), divided(400)))


def _contradicts(person_id: str | None, column: c.DateColumn, birth: Expr) -> Expr:
    """R3: a citizen number of 18 or 15 digits whose birth date is another one; for a real birth date."""
    if person_id is None:
        return FALSE
    number, text = Text(person_id), Text(column.column)
    number_like = In(AfterDigits(number), ("", "X", "x"))
    of_18 = Compare("ne", Substring(number, 18, 1), Literal(""))
    of_15 = Compare("ne", Substring(number, 15, 1), Literal(""))
    if column.format == "YYYYMMDD":
        # The text of a real date is its eight digits: nothing needs to be parsed.
        long: Expr = Compare("ne", Substring(number, 7, 8), text)
        century = Compare("ne", Substring(text, 1, 2), Literal(_CENTURY))
        short: Expr = Or((Compare("ne", Substring(number, 7, 6), Substring(text, 3, 6)), century))
    else:
        long = Compare("ne", IntegerOf(Substring(number, 7, 8)), birth)
        short = Compare(
            "ne", IntegerOf(Substring(number, 7, 6)), Arithmetic("sub", birth, Literal(int(_CENTURY) * 10**6))
        )
    # Most numbers agree: whether the rest of one is written as it should be is asked last.
    return And((Case(((of_18, long), (of_15, short)), FALSE), number_like))


Derive = Callable[[Sequence[Leaves], Bound], list[tuple[Attributes, bool]]]
"""The attributes of each row of a page and whether it has the cover mark; total, it never raises."""


def derivation(trees: Mapping[str, Expr], cover: Expr, index: Mapping[str, int]) -> Derive:
    """Compile the trees for rows in which column ``name`` stands at ``index[name]``."""
    evaluate = compile_page((*trees.values(), cover), index)
    names = tuple(trees)
    known = Memo(lambda values: (_attributes(dict(zip(names, values, strict=False))), values[-1]))
    return lambda rows, bound: [*map(known.__getitem__, evaluate(rows, bound))]


def _attributes(values: Mapping[str, Any]) -> Attributes:
    return Attributes(
        minor=Minor(values["minor"]),
        sentence_months=values["sentence_months"],
        kind=RecordKind(values["kind"]),
        main_acts=MainActs(values["main_acts"]),
        joint=Joint(values["joint"]),
        seal_mark=values["seal_mark"],
        exempted=values["exempted"],
        unsealed=values["unsealed"],
        disclosure_agreed=values["disclosure_agreed"],
        era=Era(values["era"]),
    )
