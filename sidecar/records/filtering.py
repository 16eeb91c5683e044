"""The revision's compiled filter as an SQL condition over the attribute columns, joined with a request's views (P3, P4).

What must not be seen is not even read: *(open ∧ its class has an open view) ∨ (not open ∧ its class has a sealed view)*.
It is safe because no attribute is ever null.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import ColumnElement, and_, false, not_, or_, true
from sqlalchemy.sql import operators

from sidecar.codes import FieldClass, View
from sidecar.policy.types import Comparison, Conjunction, Disjunction, FilterNode, Views
from sidecar.records.dialect import constant

Columns = Mapping[str, ColumnElement[Any]]

COMPARE: Mapping[str, Callable[[Any, Any], Any]] = {
    "eq": operators.eq,
    "ne": operators.ne,
    "lt": operators.lt,
    "le": operators.le,
    "gt": operators.gt,
    "ge": operators.ge,
}
"""Operators of a filter's comparison, on Python values and SQL columns alike."""


def shown_classes(table: Mapping[str, View]) -> tuple[str, ...]:
    """The classes of record that a table of views does not omit, sorted."""
    return tuple(sorted(name for name, view in table.items() if view is not View.OMITTED))


def shown_fields(views: Views) -> frozenset[FieldClass]:
    """The field classes that some view of this request shows: no other column is read."""
    used = {view for table in (views.open, views.sealed) for view in table.values()} - {View.OMITTED}
    return frozenset().union(*(views.fields.get(view, frozenset()) for view in used))


def condition(node: FilterNode, columns: Columns) -> ColumnElement[bool]:
    """The filter over attribute columns (booleans as 1 and 0)."""
    if isinstance(node, Comparison):
        return _comparison(node, columns)
    if isinstance(node, Conjunction):
        return and_(true(), *(condition(part, columns) for part in node.parts))
    if isinstance(node, Disjunction):
        return or_(false(), *(condition(part, columns) for part in node.parts))
    return not_(condition(node.part, columns))


def _comparison(node: Comparison, columns: Columns) -> ColumnElement[bool]:
    column = columns[node.attribute]
    if isinstance(node.value, tuple):
        return column.in_([constant(value) for value in node.value]) if node.value else false()
    return COMPARE[node.operator](column, constant(node.value))  # type: ignore[no-any-return]


def visible(
    node: FilterNode, open_classes: tuple[str, ...], sealed_classes: tuple[str, ...], columns: Columns
) -> ColumnElement[bool]:
    """What a request may see of the records, by the classes that its views show."""
    is_open = condition(node, columns)
    parts = []
    if open_classes:
        parts.append(and_(is_open, columns["kind"].in_([constant(name) for name in open_classes])))
    if sealed_classes:
        parts.append(and_(not_(is_open), columns["kind"].in_([constant(name) for name in sealed_classes])))
    return or_(false(), *parts)
