"""The compiled filter: OPA's UCAST answer becomes a closed tree, or is refused (P4, policy rule *open record*).

Only the fragment whose meaning was proven the same in Rego, Python and SQL passes: comparisons of declared attributes
with known scalars, ``in`` over known lists, ``and``, ``or``, ``not``. Everything else is an error, never ignored: a
condition that is lost shows a sealed record.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

from sidecar.errors import ConfigurationError
from sidecar.policy.types import (
    ATTRIBUTE_DOMAINS,
    SENTENCE_LIFE_OR_DEATH,
    SENTENCE_UNKNOWN,
    Attributes,
    Comparison,
    Conjunction,
    Disjunction,
    FilterNode,
    Negation,
)

FIELD_PREFIX = "record."
"""UCAST names a field after the unknown ``input.record``."""

MAX_DEPTH = 16
"""Deeper than any rule a person can read; bounds recursion."""

Scalar = str | bool | int

_COMPARISONS: Mapping[str, str] = {
    "eq": "eq",
    "ne": "ne",
    "lt": "lt",
    "lte": "le",
    "gt": "gt",
    "gte": "ge",
}
_ORDERINGS = frozenset({"lt", "le", "gt", "ge"})
_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
}


class FilterRefused(ConfigurationError):
    """The compiled filter holds something whose meaning is not proven; the revision cannot be used."""


def translate(answer: Any) -> FilterNode:
    """Translate what ``POST /v1/compile`` answered (``application/vnd.opa.ucast.all+json``).

    Args:
        answer: the parsed JSON document, ``{"result": {"query": …}}``.

    Raises:
        FilterRefused: undefined (``{}``), unconditional (an empty query), or anything outside the fragment.
    """
    if not isinstance(answer, dict) or answer.keys() != {"result"}:
        raise FilterRefused("the filter is undefined: expected one key `result`")
    result = answer["result"]
    if not isinstance(result, dict) or result.keys() != {"query"}:
        raise FilterRefused("expected one key `query` in the compiled filter's result")
    if result["query"] in ({}, None):
        raise FilterRefused("the compiled filter has no condition: every record would be open, or none")
    return _node(result["query"], 0)


def _node(node: Any, depth: int) -> FilterNode:
    if depth > MAX_DEPTH:
        raise FilterRefused(f"the compiled filter is deeper than {MAX_DEPTH}")
    kind = node.get("type") if isinstance(node, dict) else None
    if kind == "field":
        return _comparison(node)
    if kind == "compound":
        return _compound(node, depth)
    raise FilterRefused(f"unknown kind of node: {kind!r}")


def _compound(node: dict[str, Any], depth: int) -> FilterNode:
    _keys(node, {"type", "operator", "value"})
    parts = node["value"]
    if not isinstance(parts, list) or not parts:
        raise FilterRefused(f"expected parts of {node['operator']!r}")
    inner = tuple(_node(part, depth + 1) for part in parts)
    if node["operator"] == "and":
        return Conjunction(inner)
    if node["operator"] == "or":
        return Disjunction(inner)
    if node["operator"] == "not" and len(inner) == 1:
        return Negation(inner[0])
    raise FilterRefused(f"unknown compound: {node['operator']!r} of {len(inner)}")


def _comparison(node: dict[str, Any]) -> Comparison:
    _keys(node, {"type", "operator", "field", "value"})
    attribute = _attribute(node["field"])
    if node["operator"] == "in":
        return Comparison(attribute, "in", _values(attribute, node["value"]))
    name = _COMPARISONS.get(node["operator"]) if isinstance(node["operator"], str) else None
    if name is None:
        raise FilterRefused(f"{attribute}: unknown operator {node['operator']!r}")
    if name in _ORDERINGS and ATTRIBUTE_DOMAINS[attribute] is not None:
        raise FilterRefused(f"{attribute}: {name} needs a number")
    return Comparison(attribute, name, _value(attribute, node["value"]))


def _keys(node: dict[str, Any], keys: set[str]) -> None:
    if node.keys() != keys:
        raise FilterRefused(f"expected keys {sorted(keys)}, got {sorted(map(str, node))}")


def _attribute(field: Any) -> str:
    if isinstance(field, str) and field.startswith(FIELD_PREFIX):
        name = field.removeprefix(FIELD_PREFIX)
        if name in ATTRIBUTE_DOMAINS:
            return name
    raise FilterRefused(f"unknown field {field!r}")


def _values(attribute: str, values: Any) -> tuple[Scalar, ...]:
    if not isinstance(values, list) or not values:
        raise FilterRefused(f"{attribute}: `in` needs a list that is not empty")
    return tuple(_value(attribute, value) for value in values)


def _value(attribute: str, value: Any) -> Scalar:
    """A value of the attribute's domain; booleans are no integers and ``1`` is no ``True`` here."""
    domain = ATTRIBUTE_DOMAINS[attribute]
    if domain is None:
        if type(value) is int and SENTENCE_UNKNOWN <= value <= SENTENCE_LIFE_OR_DEATH:
            return value
    elif any(type(value) is type(known) and value == known for known in domain):
        return value  # type: ignore[no-any-return]  # equal to a value of the domain, of its type
    raise FilterRefused(f"{attribute}: the value {value!r} is outside its domain")


def evaluate(node: FilterNode, attributes: Attributes) -> bool:
    """Whether the filter holds for a record: the Python reading, which the parity tests hold equal to Rego and SQL."""
    if isinstance(node, Comparison):
        value = getattr(attributes, node.attribute)
        if isinstance(node.value, tuple):
            return value in node.value
        return _OPERATORS[node.operator](value, node.value)
    if isinstance(node, Conjunction):
        return all(evaluate(part, attributes) for part in node.parts)
    if isinstance(node, Disjunction):
        return any(evaluate(part, attributes) for part in node.parts)
    return not evaluate(node.part, attributes)


def named(node: FilterNode) -> frozenset[str]:
    """The attributes that the filter names; all others have no influence on it."""
    if isinstance(node, Comparison):
        return frozenset({node.attribute})
    if isinstance(node, Negation):
        return named(node.part)
    return frozenset().union(*(named(part) for part in node.parts))
