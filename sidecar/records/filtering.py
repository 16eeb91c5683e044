"""The revision's compiled filter as one condition over the attributes' trees, joined with a request's views (P3, P4).

What must not be seen is not even read: *(open ∧ its class has an open view) ∨ (not open ∧ its class has a sealed view)*.
It is safe because no attribute is ever null.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

from sidecar.codes import FieldClass, View
from sidecar.policy.types import Comparison, Conjunction, Disjunction, FilterNode, Views
from sidecar.records import expr as e
from sidecar.records.simplify import either, every, member, negated, values_of

Trees = Mapping[str, e.Expr]

COMPARE: Mapping[str, Callable[[Any, Any], Any]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
}
"""Operators of a filter's comparison, on Python values."""


def shown_classes(table: Mapping[str, View]) -> tuple[str, ...]:
    """The classes of record that a table of views does not omit, sorted."""
    return tuple(sorted(name for name, view in table.items() if view is not View.OMITTED))


def shown_fields(views: Views) -> frozenset[FieldClass]:
    """The field classes that some view of this request shows: no other column is read."""
    used = {view for table in (views.open, views.sealed) for view in table.values()} - {View.OMITTED}
    return frozenset().union(*(views.fields.get(view, frozenset()) for view in used))


def condition(node: FilterNode, trees: Trees) -> e.Expr:
    """The filter over the attributes' trees, shortened."""
    if isinstance(node, Comparison):
        return _comparison(node, trees[node.attribute])
    if isinstance(node, Conjunction):
        return every(condition(part, trees) for part in node.parts)
    if isinstance(node, Disjunction):
        return either(condition(part, trees) for part in node.parts)
    return negated(condition(node.part, trees))


def _comparison(node: Comparison, tree: e.Expr) -> e.Expr:
    if isinstance(node.value, tuple):
        return member(tree, node.value)
    possible = values_of(tree)
    if possible is None:
        return e.Compare(node.operator, tree, e.Literal(node.value))
    holds = COMPARE[node.operator]
    return member(tree, [value for value in possible if holds(value, node.value)])


def visible(node: FilterNode, open_classes: tuple[str, ...], sealed_classes: tuple[str, ...], trees: Trees) -> e.Expr:
    """What a request may see of the records, by the classes that its views show."""
    is_open = condition(node, trees)
    if_open, if_sealed = member(trees["kind"], open_classes), member(trees["kind"], sealed_classes)
    if if_sealed == e.FALSE:
        return every([if_open, is_open])
    if if_open == e.FALSE:
        return every([if_sealed, negated(is_open)])
    return e.Case(((is_open, if_open),), if_sealed)
