"""JSON bodies of legacy services: read strictly, cut down, written again (RFC 8259; singular queries of RFC 9535).

Numbers keep the text that they came with, so that ``1.50`` stays ``1.50``. A path is a singular query (``$.data.rows[0]``,
``$['two words']``): a body can be rebuilt only at one place.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from json.encoder import encode_basestring, encode_basestring_ascii
from typing import Any, Final

JUNK: Final = "\udcff"
"""Stands for what is no scalar: no code, no date, no number, and no text that could be released."""

ABSENT: Final[Any] = object()
"""What a path leads to where there is nothing, not even null."""

_STEP: Final = re.compile(r"\.([^\W\d][\w$-]*)|\['([^'\\]+)'\]|\[\"([^\"\\]+)\"\]|\[([0-9]{1,6})\]")

Path = tuple[str | int, ...]


class BodyFault(ValueError):
    """A body is not what the catalog says; nothing of it is in the text."""


class Number(str):
    """A number as it was written."""

    __slots__ = ()


def compile_path(text: str) -> Path:
    """The names and indices of a singular query.

    Raises:
        ValueError: it is none.
    """
    if not text.startswith("$"):
        raise ValueError(f"expected a path such as $.data.rows, got {text!r}")
    steps: list[str | int] = []
    place = 1
    while place < len(text):
        found = _STEP.match(text, place)
        if found is None:
            raise ValueError(f"expected names and indices only ($.data.rows[0]), got {text!r}")
        plain, single, double, index = found.groups()
        steps.append(int(index) if index is not None else plain or single or double)
        place = found.end()
    return tuple(steps)


def parse(text: str, max_depth: int) -> Any:
    """The value of a body, if it can be read in one way only.

    Raises:
        BodyFault: no JSON, NaN, a member named twice, or nested too deep.
    """
    try:
        value = json.loads(
            text, object_pairs_hook=_object, parse_int=Number, parse_float=Number, parse_constant=_constant
        )
    except (ValueError, RecursionError):
        raise BodyFault("not JSON of one meaning") from None
    if _deeper(value, max_depth):
        raise BodyFault(f"nested deeper than {max_depth}")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise BodyFault("a member is named twice")
    return found


def _constant(_: str) -> Any:
    raise BodyFault("NaN or Infinity")


def _deeper(value: Any, most: int) -> bool:
    level = [value]
    for _ in range(most + 1):
        level = [
            inner
            for each in level
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return False
    return True


def get(value: Any, path: Path) -> Any:
    """What a path leads to; ``ABSENT`` where there is nothing."""
    for step in path:
        if isinstance(step, str):
            if type(value) is not dict or step not in value:
                return ABSENT
        elif type(value) is not list or step >= len(value):
            return ABSENT
        value = value[step]
    return value


def put(value: Any, path: Path, new: Any) -> None:
    """Set what a path leads to; its caller MUST know that it leads somewhere."""
    holder = get(value, path[:-1])
    holder[path[-1]] = new


def leaf(value: Any) -> str | None:
    """A scalar as text, as the catalog's attributes read it; null is None, and a structure is junk."""
    if value is None:
        return None
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return JUNK


def like(template: Any, text: str) -> Any:
    """A text as the template has its values at the same place: number, boolean or text."""
    if isinstance(template, bool):
        return text == "true"
    return Number(text) if isinstance(template, Number) else text


def flat(value: Any, path: Path = ()) -> dict[Path, str | None]:
    """Every scalar, empty object and empty list with its path."""
    if isinstance(value, dict) and value:
        return {p: v for name, inner in value.items() for p, v in flat(inner, (*path, name)).items()}
    if isinstance(value, list) and value:
        return {p: v for index, inner in enumerate(value) for p, v in flat(inner, (*path, index)).items()}
    return {path: leaf(value)}


def cut(value: Any, shown: Collection[Path], blanked: Collection[Path], path: Path = ()) -> Any:
    """A copy with what stands at the shown paths, null at the blanked ones, and nothing else; ``ABSENT`` if that is nothing.

    Lists are kept in order; their other parts are dropped.
    """
    if path in shown:
        return value
    if path in blanked:
        return None
    if isinstance(value, dict):
        members = {name: cut(inner, shown, blanked, (*path, name)) for name, inner in value.items()}
        kept: Any = {name: inner for name, inner in members.items() if inner is not ABSENT}
    elif isinstance(value, list):
        parts = [cut(inner, shown, blanked, (*path, index)) for index, inner in enumerate(value)]
        kept = [inner for inner in parts if inner is not ABSENT]
    else:
        return ABSENT
    return kept if kept or not path else ABSENT


def dump(value: Any, *, spaced: bool, escaped: bool) -> str:
    """The text of a value.

    Args:
        value: as ``parse`` gives it.
        spaced: a blank follows each comma and colon.
        escaped: only ASCII characters; others are escaped.
    """
    comma, colon = (", ", ": ") if spaced else (",", ":")
    quote = encode_basestring_ascii if escaped else encode_basestring

    def write(inner: Any) -> str:
        if isinstance(inner, Mapping):
            return "{" + comma.join([quote(name) + colon + write(each) for name, each in inner.items()]) + "}"
        if isinstance(inner, list):
            return "[" + comma.join([write(each) for each in inner]) + "]"
        if isinstance(inner, Number):
            return str(inner)
        if isinstance(inner, str):
            return quote(inner)
        return "null" if inner is None else "true" if inner else "false"

    return write(value)
