"""The check at activation: one corpus through OPA, WebAssembly and the filter; any difference refuses (P4).

Records: the product of all values of all attributes that the filter names, with every number that the filter compares
with and its neighbours; an attribute that the filter does not name cannot change it, so it goes round with the others
instead of multiplying them. The boundary of 60 months is in it because the filter names 60, not because Python does.
Requests: every combination of organ, purpose and scope with papers complete, each other fact varied one at a time, and
a fixed random sample of all facts.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields, replace
from typing import Any, get_type_hints

from sidecar.codes import Outcome
from sidecar.errors import EngineUnavailable, RevisionUnapproved
from sidecar.policy.filter import evaluate, named
from sidecar.policy.types import (
    ATTRIBUTE_DOMAINS,
    SENTENCE_LIFE_OR_DEATH,
    SENTENCE_UNKNOWN,
    ApplicationFacts,
    Attributes,
    Classification,
    Comparison,
    Decision,
    Engine,
    Facts,
    FilterNode,
    LegalParameters,
    LetterFacts,
    Negation,
    UndertakingFacts,
)

SAMPLE = 400
"""Requests drawn at random, beside the systematic ones."""

BATCH = 2048
"""Records a call."""

PICKED_BATCH = 256
"""Records a call of the other engines, which are slower."""

STRIDE = 31
"""Of the withheld records the other engines see every 31st, a number prime to the sizes of all domains, so that every
pair of values comes up. The first engine and the filter see all; the others run the same sources, so that what they
could get wrong is an operator or a built-in, not one combination."""

_FACTS: dict[str, tuple[Any, ...]] = {
    "channel": ("api", "proxy", "desk"),
    "roles": ((), ("approver",), ("officer",), ("approver", "officer")),
    "certificate": ("valid", "expired", "suspended", "revoked", "missing"),
    "officer": ("active", "suspended", "revoked"),
    "unit": ("active", "suspended", "unknown"),
    "database": ("known", "unknown"),
    "target": ("subject", "search"),
    "scope": ("open", "sealed"),
    "reason": ("stated", "missing"),
    "basis_state": ("listed", "unlisted", "missing"),
    "purpose_state": ("known", "unknown", "missing"),
    "case_number": ("missing", "malformed", "free_form", "court_form"),
    "documents": (False, True),
}
_LETTER: dict[str, tuple[Any, ...]] = {
    "state": ("absent", "valid", "invalid"),
    "code": ("", "letter-forged", "letter-expired", "letter-used"),
    "kind": ("none", "jws", "paper"),
}
_APPLICATION: dict[str, tuple[Any, ...]] = {
    "state": ("absent", "unknown", "draft", "submitted", "approved", "refused", "withdrawn", "expired"),
}
_UNDERTAKING: dict[str, tuple[Any, ...]] = {"state": ("absent", "signed")}


def records(node: FilterNode) -> Iterator[Attributes]:
    """The corpus of records for a filter."""
    types = get_type_hints(Attributes)
    values = {name: _values(name, types[name], node) for name in ATTRIBUTE_DOMAINS}
    crossed = [name for name in values if name in named(node)]
    carried = [name for name in values if name not in crossed]
    rounds = itertools.cycle(itertools.product(*(values[name] for name in carried)))
    for tuple_, rest in zip(itertools.product(*(values[name] for name in crossed)), rounds, strict=False):
        yield Attributes(**dict(zip(crossed, tuple_, strict=True)), **dict(zip(carried, rest, strict=True)))


def _values(name: str, kind: Any, node: FilterNode) -> list[Any]:
    domain = ATTRIBUTE_DOMAINS[name]
    if domain is not None:
        return [kind(value) for value in domain]
    near = {number + step for number in _numbers(node, name) for step in (-1, 0, 1)}
    edges = {SENTENCE_UNKNOWN, 0, 1, SENTENCE_LIFE_OR_DEATH}
    return sorted(number for number in near | edges if SENTENCE_UNKNOWN <= number <= SENTENCE_LIFE_OR_DEATH)


def _numbers(node: FilterNode, name: str) -> set[int]:
    if isinstance(node, Comparison):
        values = node.value if isinstance(node.value, tuple) else (node.value,)
        return {value for value in values if type(value) is int} if node.attribute == name else set()
    if isinstance(node, Negation):
        return _numbers(node.part, name)
    return set().union(*(_numbers(part, name) for part in node.parts))


def requests(params: LegalParameters, today: int, seed: int = 0) -> Iterator[Facts]:
    """The corpus of requests for a revision's organs, purposes and bases."""
    tables: dict[str, tuple[Any, ...]] = {
        **_FACTS,
        "organ": ("", *sorted(params.organs)),
        "purpose": ("", *sorted(params.purposes)),
        "basis": ("", *sorted(params.bases)),
    }
    base = _complete(tables, today)
    yield from _systematic(base, tables)
    draw = random.Random(seed)  # noqa: S311  # a fixed sample, the same for both engines and every run
    for _ in range(SAMPLE):
        yield _drawn(draw, tables, today)


def _complete(tables: dict[str, tuple[Any, ...]], today: int) -> Facts:
    """Facts with all papers; what a judicial inquiry would bring."""
    return Facts(
        today=today,
        letter=LetterFacts("valid", "", "jws", *[True] * 7),
        application=ApplicationFacts("approved", *[True] * 8),
        undertaking=UndertakingFacts("signed", officer_match=True),
        roles=("officer",),
        organ=tables["organ"][-1],
        basis=tables["basis"][-1],
        purpose=tables["purpose"][-1],
        case_number="court_form",
        **{name: _FACTS[name][0] for name in _FACTS.keys() - {"roles", "case_number"}},
    )


def _systematic(base: Facts, tables: dict[str, tuple[Any, ...]]) -> Iterator[Facts]:
    bases = itertools.cycle(tables["basis"])
    for organ, purpose, scope in itertools.product(tables["organ"], tables["purpose"], tables["scope"]):
        yield replace(base, organ=organ, purpose=purpose, scope=scope, basis=next(bases))
    for scope in tables["scope"]:
        start = replace(base, scope=scope, organ="court", purpose="case_handling")
        for name, values in tables.items():
            yield from (replace(start, **{name: value}) for value in values)
        for part, table in (("letter", _LETTER), ("application", _APPLICATION), ("undertaking", _UNDERTAKING)):
            inner = getattr(start, part)
            yield from (replace(start, **{part: varied}) for varied in _varied(inner, table))


def _varied(inner: Any, table: dict[str, tuple[Any, ...]]) -> Iterator[Any]:
    for field in fields(inner):
        values = table.get(field.name, (False, True))
        yield from (replace(inner, **{field.name: value}) for value in values)


def _drawn(draw: random.Random, tables: dict[str, tuple[Any, ...]], today: int) -> Facts:
    return Facts(
        today=today,
        letter=_drawn_part(draw, LetterFacts, _LETTER),
        application=_drawn_part(draw, ApplicationFacts, _APPLICATION),
        undertaking=_drawn_part(draw, UndertakingFacts, _UNDERTAKING),
        **{name: draw.choice(values) for name, values in tables.items()},
    )


def _drawn_part(draw: random.Random, kind: Any, table: dict[str, tuple[Any, ...]]) -> Any:
    return kind(**{field.name: draw.choice(table.get(field.name, (False, True))) for field in fields(kind)})


def check(engines: Sequence[Engine], node: FilterNode, params: LegalParameters, today: int) -> tuple[int, int]:
    """Compare engines and filter over the corpora; returns how many records and requests were compared.

    Args:
        engines: one or more. The first is compared with the filter over all records, the others with the first over
            all open records and a part of the withheld ones.
        node: the filter.
        params: the revision's parameters.
        today: the day of the requests, YYYYMMDD.

    Raises:
        RevisionUnapproved: any difference, any answer that cannot be trusted, or a policy that never allows: an empty
            policy agrees with itself.
    """
    try:
        return _check_records(engines, node), _check_requests(engines, params, today)
    except EngineUnavailable as exc:
        raise RevisionUnapproved(f"conformance: {exc}") from exc


def _check_records(engines: Sequence[Engine], node: FilterNode) -> int:
    count, opened = 0, 0
    picked: list[tuple[Attributes, Classification]] = []
    for batch in _batches(records(node)):
        expected = [evaluate(node, record) for record in batch]
        first = engines[0].classify(batch)
        if [found.is_open for found in first] != expected:
            raise RevisionUnapproved(f"conformance: the filter opens other records than {engines[0].name}")
        pairs = zip(batch, first, strict=True)
        picked += [pair for at, pair in enumerate(pairs, count) if pair[1].is_open or at % STRIDE == 0]
        count, opened = count + len(batch), opened + sum(expected)
    if opened in (0, count):
        raise RevisionUnapproved("conformance: the filter opens every record, or none")
    for engine in engines[1:]:
        _check_picked(engine, engines[0].name, picked)
    return count


def _check_picked(engine: Engine, first: str, picked: list[tuple[Attributes, Classification]]) -> None:
    for start in range(0, len(picked), PICKED_BATCH):
        batch = picked[start : start + PICKED_BATCH]
        if engine.classify([record for record, _ in batch]) != [found for _, found in batch]:
            raise RevisionUnapproved(f"conformance: {engine.name} classifies otherwise than {first}")


def _batches(corpus: Iterable[Attributes]) -> Iterator[list[Attributes]]:
    iterator = iter(corpus)
    while batch := list(itertools.islice(iterator, BATCH)):
        yield batch


def _check_requests(engines: Sequence[Engine], params: LegalParameters, today: int) -> int:
    count, allowed = 0, 0
    for facts in requests(params, today):
        first, *others = [replace(engine.decide(facts), engine="") for engine in engines]
        if any(other != first for other in others):
            raise RevisionUnapproved(f"conformance: {' and '.join(e.name for e in engines)} decide differently")
        count, allowed = count + 1, allowed + _allows(first)
    if allowed in (0, count):
        raise RevisionUnapproved("conformance: the policy allows everything, or nothing")
    return count


def _allows(decision: Decision) -> bool:
    return decision.outcome is Outcome.ALLOW
