"""Strict decoding of what an engine answered: whatever is unknown, missing, extra or miscounted denies (P1).

An answer is accepted whole or not at all; nothing is repaired and nothing defaults to allow. Sets come from the engines
in hash order and are sorted here, so that both engines' answers compare equal.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar

from sidecar.codes import Code, FieldClass, Outcome, View
from sidecar.errors import EngineUnavailable
from sidecar.policy.types import (
    NO_VIEWS,
    AlertFinding,
    Classification,
    Decision,
    RecordKind,
    Views,
)

DECISION_ENTRYPOINT = "sidecar/request/decision"
"""Path of the request's decision; its input is ``Facts.as_input()``."""

CLASSIFICATION_ENTRYPOINT = "sidecar/sealing/classification"
"""Path of the records' classification; its input is ``{"records": [Attributes.as_input(), …]}``."""

ALERTS_ENTRYPOINT = "sidecar/alerts/raised"
"""Path of the alerts; its input is ``{"entry": the entry's clear fields}``."""

FILTER_ENTRYPOINT = "sidecar/sealing/open"
"""Path of the rule that is compiled to the filter, with ``input.record`` unknown."""

ENTRYPOINTS = (ALERTS_ENTRYPOINT, CLASSIFICATION_ENTRYPOINT, DECISION_ENTRYPOINT)
"""What is evaluated at run time; the filter is compiled once a revision and is none of them."""

SEVERITIES = ("info", "low", "medium", "high", "critical")
"""Closed set of severities, rising."""

MAX_ITEMS = 64
"""No list in a decision is longer: there are fewer codes, obligations and rules that can apply at once."""

_RULE = re.compile(r"[A-Z]{1,2}[0-9]{1,2}[a-z]?")
_NAME = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*")
_ALERT_TYPE = re.compile(r"[a-z][a-z0-9]*(?:[._-][a-z0-9]+)*")
_CODES = frozenset(code.value for code in Code)
_KINDS = frozenset(kind.value for kind in RecordKind)

T = TypeVar("T")

_DECISION_KEYS = frozenset({"outcome", "codes", "missing", "obligations", "rules", "views"})
_VIEWS_KEYS = frozenset({"open", "sealed", "fields", "joint_dropped", "cover_mark"})
_CLASSIFICATION_KEYS = frozenset({"open", "class", "grounds", "review"})
_ALERT_KEYS = frozenset({"type", "severity", "rules"})


def decision(answer: Any, *, revision: str, engine: str) -> Decision:
    """The decision that an engine answered.

    Args:
        answer: the parsed JSON value of the entry point.
        revision: label of the active revision.
        engine: name of the engine, ``opa`` or ``wasm``.

    Raises:
        EngineUnavailable: the answer has not exactly the shape of a decision, or contradicts itself: an allow with
            codes, another outcome without codes, or with views.
    """
    found = _object(answer, _DECISION_KEYS, "decision")
    outcome = _member(Outcome, found["outcome"], "outcome")
    codes = _codes(found["codes"])
    if (outcome is Outcome.ALLOW) == bool(codes):
        raise EngineUnavailable(f"decision: outcome {outcome.value} with {len(codes)} codes")
    return Decision(
        outcome=outcome,
        codes=codes,
        missing=_names(found["missing"], _NAME, "missing"),
        obligations=_names(found["obligations"], _NAME, "obligations"),
        rules=_names(found["rules"], _RULE, "rules"),
        views=_views(found["views"], allowed=outcome is Outcome.ALLOW),
        revision=revision,
        engine=engine,
    )


def classifications(answer: Any, kinds: tuple[str, ...]) -> list[Classification]:
    """The classifications of records, in order.

    Args:
        answer: the parsed JSON value of the entry point.
        kinds: the kinds of the records that were asked about; each row must be of its record's kind,
            or ``unknown`` where the revision does not know that kind.

    Raises:
        EngineUnavailable: another number of rows than records, or a row of another shape or kind.
    """
    if not isinstance(answer, list) or len(answer) != len(kinds):
        got = len(answer) if isinstance(answer, list) else type(answer).__name__
        raise EngineUnavailable(f"classification: expected {len(kinds)} rows, got {got}")
    return [_classification(row, kind) for row, kind in zip(answer, kinds, strict=True)]


def _classification(row: Any, kind: str) -> Classification:
    found = _object(row, _CLASSIFICATION_KEYS, "classification")
    if found["class"] not in (kind, RecordKind.UNKNOWN):
        raise EngineUnavailable("classification: a row is of another class than its record")
    return Classification(
        is_open=_boolean(found["open"], "classification.open"),
        record_class=str(found["class"]),
        grounds=_names(found["grounds"], _RULE, "grounds"),
        review=_boolean(found["review"], "classification.review"),
    )


def alerts(answer: Any) -> list[AlertFinding]:
    """The alerts raised, in stable order.

    Raises:
        EngineUnavailable: not a list of alerts of known shape and severity, or one type twice.
    """
    if not isinstance(answer, list) or len(answer) > MAX_ITEMS:
        raise EngineUnavailable(f"alerts: expected a list of at most {MAX_ITEMS}")
    found = sorted((_alert(item) for item in answer), key=lambda alert: alert.type)
    if len({alert.type for alert in found}) != len(found):
        raise EngineUnavailable("alerts: a type is raised twice")
    return found


def _alert(item: Any) -> AlertFinding:
    found = _object(item, _ALERT_KEYS, "alert")
    kind, severity = found["type"], found["severity"]
    if not isinstance(kind, str) or not _ALERT_TYPE.fullmatch(kind):
        raise EngineUnavailable("alert: malformed type")
    if severity not in SEVERITIES:
        raise EngineUnavailable("alert: unknown severity")
    return AlertFinding(type=kind, severity=severity, rules=_names(found["rules"], _RULE, "alert.rules"))


def _views(answer: Any, *, allowed: bool) -> Views:
    found = _object(answer, _VIEWS_KEYS, "views")
    if not allowed:
        if found["open"] or found["sealed"] or found["fields"] or found["cover_mark"] is not False:
            raise EngineUnavailable("decision: views without allow")
        return NO_VIEWS
    views = Views(
        open=_table(found["open"], "views.open"),
        sealed=_table(found["sealed"], "views.sealed"),
        fields=_fields(found["fields"]),
        joint_dropped=frozenset(_members(FieldClass, found["joint_dropped"], "joint_dropped")),
        cover_mark=_boolean(found["cover_mark"], "cover_mark"),
    )
    used = {*views.open.values(), *views.sealed.values()} - {View.OMITTED}
    if used - set(views.fields):
        raise EngineUnavailable("views: a view is used whose fields are not named")
    return views


def _table(answer: Any, where: str) -> Mapping[str, View]:
    table = _mapping(answer, where)
    if not table.keys() <= _KINDS:
        raise EngineUnavailable(f"{where}: unknown class")
    return {kind: _member(View, table[kind], where) for kind in sorted(table)}


def _fields(answer: Any) -> Mapping[View, frozenset[FieldClass]]:
    fields = {
        _member(View, view, "views.fields"): frozenset(_members(FieldClass, classes, "views.fields"))
        for view, classes in _mapping(answer, "views.fields").items()
    }
    if fields.get(View.OMITTED):
        raise EngineUnavailable("views: an omitted record shows fields")
    return fields


def _codes(answer: Any) -> tuple[str, ...]:
    codes = _strings(answer, "codes")
    if not _CODES.issuperset(codes):
        raise EngineUnavailable("decision: unknown code")
    return codes


def _names(answer: Any, pattern: re.Pattern[str], where: str) -> tuple[str, ...]:
    names = _strings(answer, where)
    if not all(pattern.fullmatch(name) for name in names):
        raise EngineUnavailable(f"{where}: malformed name")
    return names


def _strings(answer: Any, where: str) -> tuple[str, ...]:
    if not isinstance(answer, list) or len(answer) > MAX_ITEMS:
        raise EngineUnavailable(f"{where}: expected a list of at most {MAX_ITEMS}")
    if not all(isinstance(item, str) for item in answer) or len(set(answer)) != len(answer):
        raise EngineUnavailable(f"{where}: expected different strings")
    return tuple(sorted(answer))


def _members(members: type[T], answer: Any, where: str) -> list[T]:
    return [_member(members, item, where) for item in _strings(answer, where)]


def _member(members: type[T], value: Any, where: str) -> T:
    if not isinstance(value, str):
        raise EngineUnavailable(f"{where}: expected a string, got {type(value).__name__}")
    try:
        return members(value)  # type: ignore[call-arg]  # the StrEnums of sidecar.codes look their members up so
    except ValueError as exc:
        raise EngineUnavailable(f"{where}: unknown value") from exc


def _boolean(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise EngineUnavailable(f"{where}: expected a boolean, got {type(value).__name__}")
    return value


def _mapping(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise EngineUnavailable(f"{where}: expected an object, got {type(value).__name__}")
    return value


def _object(value: Any, keys: frozenset[str], where: str) -> dict[str, Any]:
    found = _mapping(value, where)
    if found.keys() != keys:
        missing, extra = len(keys - found.keys()), len(found.keys() - keys)
        raise EngineUnavailable(f"{where}: {missing} keys missing, {extra} unknown")
    return found
