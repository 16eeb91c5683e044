"""Shorter trees of the same meaning: constants folded, codes compared instead of what they stand for (P4).

A database pays for every node of a statement at every execution. What a catalog cannot express drops out (a condition on
an attribute that it does not map), a comparison of a lookup becomes one of its codes, and what several branches of a
filter share stands once in front of them. No node yields null, so every law of two-valued logic holds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from typing import Any

from sidecar.records import expr as e

Values = frozenset[str | int | bool]

_BOOLEANS: Values = frozenset({True, False})


def size(tree: e.Expr) -> int:
    """How many nodes a tree has; a key's text is several for each of its columns."""
    own = 3 * len(tree.columns) if isinstance(tree, e.KeyText) else 1
    return own + sum(map(size, e.children(tree)))


def values_of(tree: e.Expr) -> Values | None:
    """The values that a tree can have; None where they cannot be counted."""
    if isinstance(tree, e.Literal):
        return frozenset({tree.value})
    if isinstance(tree, e.Lookup):
        return frozenset({tree.otherwise, *(value for _, value in tree.map)})
    if isinstance(tree, e.Case):
        parts = [values_of(part) for part in (*(then for _, then in tree.whens), tree.otherwise)]
        known = [part for part in parts if part is not None]
        return frozenset().union(*known) if len(known) == len(parts) else None
    if isinstance(tree, e.And | e.Or | e.Not | e.In | e.InBound | e.IsNull | e.Compare | e.Contains):
        return _BOOLEANS
    return None


def negated(tree: e.Expr) -> e.Expr:
    """A boolean tree's opposite."""
    if isinstance(tree, e.Literal):
        return e.FALSE if tree.value else e.TRUE
    return tree.part if isinstance(tree, e.Not) else e.Not(tree)


def member(tree: e.Expr, values: Collection[Any]) -> e.Expr:
    """Whether a tree's value is one of ``values``."""
    if isinstance(tree, e.Literal):
        return e.TRUE if tree.value in values else e.FALSE
    if isinstance(tree, e.Lookup):
        inside = tuple(code for code, value in tree.map if value in values)
        outside = tuple(code for code, value in tree.map if value not in values)
        if tree.otherwise in values:
            return e.Not(e.In(tree.item, outside)) if outside else e.TRUE
        return e.In(tree.item, inside) if inside else e.FALSE
    return _among(tree, values, values_of(tree))


def _among(tree: e.Expr, values: Collection[Any], possible: Values | None) -> e.Expr:
    if possible is None:
        return e.In(tree, tuple(values)) if values else e.FALSE
    wanted = possible & frozenset(values)
    if wanted in (frozenset(), possible):
        return e.TRUE if wanted else e.FALSE
    if possible == _BOOLEANS:
        return tree if True in wanted else negated(tree)
    if len(wanted) == 1:
        return e.Compare("eq", tree, e.Literal(next(iter(wanted))))
    return e.In(tree, tuple(sorted(wanted, key=str)))


def every(parts: Iterable[e.Expr]) -> e.Expr:
    """All parts hold; a part that another one implies is left out."""
    flat = _flat(parts, e.And)
    if e.FALSE in flat:
        return e.FALSE
    kept: list[e.Expr] = [part for part in flat if part != e.TRUE]
    for part in tuple(kept):
        if any(other is not part and _implies(other, part) for other in kept):
            kept.remove(part)
    return kept[0] if len(kept) == 1 else e.And(tuple(kept)) if kept else e.TRUE


def either(parts: Iterable[e.Expr]) -> e.Expr:
    """One part holds; what parts have in common stands once, the largest saving first."""
    flat = [part for part in _flat(parts, e.Or) if part != e.FALSE]
    if e.TRUE in flat:
        return e.TRUE
    uses = Counter(conjunct for part in flat for conjunct in _conjuncts(part))
    shared = [conjunct for conjunct, count in uses.items() if count > 1]
    if not shared:
        return flat[0] if len(flat) == 1 else e.Or(tuple(flat)) if flat else e.FALSE
    best = max(shared, key=lambda conjunct: (uses[conjunct] - 1) * size(conjunct))
    having = [_conjuncts(part) for part in flat if best in _conjuncts(part)]
    rest = either(every(part for part in conjuncts if part != best) for conjuncts in having)
    return either([every([best, rest]), *(part for part in flat if best not in _conjuncts(part))])


def case(whens: Iterable[tuple[e.Expr, e.Expr]], otherwise: e.Expr) -> e.Expr:
    """The value of the first condition that holds; conditions that never hold are left out."""
    kept = []
    for when, then in whens:
        if when == e.TRUE:
            otherwise = then
            break
        if when != e.FALSE:
            kept.append((when, then))
    return e.Case(tuple(kept), otherwise) if kept else otherwise


def _flat(parts: Iterable[e.Expr], kind: type[e.And | e.Or]) -> list[e.Expr]:
    """Parts of nested nodes of a kind in one list, each once."""
    flat: dict[e.Expr, None] = {}
    for part in parts:
        flat.update(dict.fromkeys(_flat(part.parts, kind) if isinstance(part, kind) else [part]))
    return [*flat]


def _conjuncts(tree: e.Expr) -> tuple[e.Expr, ...]:
    return tree.parts if isinstance(tree, e.And) else (tree,)


def _implies(tree: e.Expr, other: e.Expr) -> bool:
    """Whether a tree holds only where ``other``, a membership, holds; False where that is not plain to see."""
    if isinstance(tree, e.And):
        return any(_implies(part, other) for part in tree.parts)
    if isinstance(tree, e.Or):
        return all(_implies(part, other) for part in tree.parts)
    if isinstance(tree, e.In) and isinstance(other, e.In) and tree.item == other.item:
        return frozenset(tree.values) <= frozenset(other.values)
    return tree == other
