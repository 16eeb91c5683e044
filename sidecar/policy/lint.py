"""A lint on the Rego syntax tree for what OPA compiles silently into another filter (P4, S2).

OPA 1.20 negates an ordering comparison whose unknown stands on the right instead of mirroring it: ``60 < r.m`` becomes
``m >= 60`` and opens every record of exactly 60 months. ``in`` over a data object and integers beyond 2^53-1 are as
silent. So the attribute stands on the left, membership is asked of lists, and numbers are small.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sidecar.policy.decode import FILTER_ENTRYPOINT
from sidecar.policy.types import ATTRIBUTE_DOMAINS

MAX_SAFE_INTEGER = 2**53 - 1
"""Beyond it JSON numbers lose digits on the way (RFC 8259 §6)."""

FILTER_PACKAGE = ("data", *FILTER_ENTRYPOINT.split("/")[:-1])
"""The package that is compiled to the filter."""

_ORDERINGS = frozenset({"lt", "lte", "gt", "gte"})
_MEMBERSHIP = "internal.member_2"
_CONSTANTS = frozenset({"number", "string", "boolean", "null"})


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found, and where: ``file:row``."""

    location: str
    text: str

    def __str__(self) -> str:
        return f"{self.location}: {self.text}"


def lint(module: Mapping[str, Any], data: Mapping[str, Any], file: str = "") -> list[Finding]:
    """Findings of one module.

    Args:
        module: its syntax tree, as ``opa parse --format json --json-include locations`` prints it.
        data: the data document, ``{"params": …}``, to tell lists from objects.
        file: name for the locations.
    """
    aliases = _aliases(module)
    strict = _path(module["package"]["path"]) == FILTER_PACKAGE
    found: list[Finding] = []
    for node, row in _nodes(module.get("rules", []), 0):
        if _kind(node) == "number" and abs(node["value"]) > MAX_SAFE_INTEGER:
            found.append(Finding(f"{file}:{row}", f"a number beyond 2^53-1: {node['value']}"))
        found += [Finding(f"{file}:{row}", text) for text in _problems(node, aliases, data, strict=strict)]
    return found


def lint_data(data: Any, path: str = "data") -> list[Finding]:
    """Findings in a data document: numbers that are too large."""
    if isinstance(data, dict):
        return [finding for key, value in data.items() for finding in lint_data(value, f"{path}.{key}")]
    if isinstance(data, list):
        return [finding for value in data for finding in lint_data(value, path)]
    if isinstance(data, int | float) and abs(data) > MAX_SAFE_INTEGER:
        return [Finding(path, f"a number beyond 2^53-1: {data}")]
    return []


def _problems(
    node: Any, aliases: Mapping[str, tuple[str, ...]], data: Mapping[str, Any], *, strict: bool
) -> Iterator[str]:
    """Strict: no constant on the left either, for an attribute may have been handed on under another name."""
    call = _call(node)
    if call is None:
        return
    name, left, right = call
    if name in _ORDERINGS:
        if _attribute(right, aliases):
            yield f"an attribute on the right of {name}; write it on the left"
        elif strict and _known(left, aliases) and not _known(right, aliases):
            yield f"a constant on the left of {name}; write it on the right"
    elif name == _MEMBERSHIP and _attribute(left, aliases):
        path = _data_path(right, aliases)
        if path is not None and not isinstance(_resolve(data, path), list):
            yield f"`in` over {'.'.join(path)}, which is no list in the data"


def _nodes(node: Any, row: int) -> Iterator[tuple[Any, int]]:
    """Every node of the tree with the row of the nearest location."""
    if isinstance(node, list):
        for item in node:
            yield from _nodes(item, row)
    elif isinstance(node, dict):
        row = node.get("location", {}).get("row", row)
        yield node, row
        for key, value in node.items():
            if key not in ("location", "annotations"):
                yield from _nodes(value, row)


def _call(node: Any) -> tuple[str, Any, Any] | None:
    """Name and operands of a call of two operands: an expression's terms, or a call among terms."""
    terms = node.get("terms") if isinstance(node, dict) else None
    if _kind(node) == "call":
        terms = node["value"]
    if not isinstance(terms, list) or len(terms) != 3 or _kind(terms[0]) != "ref":
        return None
    name = ".".join(str(part.get("value")) for part in terms[0]["value"])
    return name, terms[1], terms[2]


def _aliases(module: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Imported name → path below ``data``."""
    found: dict[str, tuple[str, ...]] = {}
    for item in module.get("imports", []):
        path = _path(item["path"]["value"])
        if path[0] == "data":
            found[str(item.get("alias") or path[-1])] = path[1:]
    return found


def _path(parts: list[dict[str, Any]]) -> tuple[str, ...]:
    return tuple(str(part["value"]) for part in parts)


def _kind(node: Any) -> str:
    return str(node.get("type", "")) if isinstance(node, dict) else ""


def _data_path(node: Any, aliases: Mapping[str, tuple[str, ...]]) -> tuple[str, ...] | None:
    """Path below ``data`` that a reference names; None if it is none."""
    if _kind(node) not in ("ref", "var"):
        return None
    parts = node["value"] if _kind(node) == "ref" else [node]
    head, rest = str(parts[0]["value"]), tuple(str(part["value"]) for part in parts[1:])
    if head == "data":
        return rest
    return aliases[head] + rest if head in aliases else None


def _known(node: Any, aliases: Mapping[str, tuple[str, ...]]) -> bool:
    return _kind(node) in _CONSTANTS or _data_path(node, aliases) is not None


def _attribute(node: Any, aliases: Mapping[str, tuple[str, ...]]) -> bool:
    """Whether a reference names an attribute of a record, however the record is called there."""
    if _kind(node) != "ref" or _data_path(node, aliases) is not None:
        return False
    return node["value"][-1]["value"] in ATTRIBUTE_DOMAINS


def _resolve(data: Any, path: tuple[str, ...]) -> Any:
    for part in path:
        if not isinstance(data, dict) or part not in data:
            return None
        data = data[part]
    return data
