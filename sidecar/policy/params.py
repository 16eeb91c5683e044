"""Parameters of law that normalisation needs, read from the revision's ``params/data.json`` (P5).

Scalars stand as ``{"value": …, "citation": …, "effective": …}``; organs, purposes, bases and instruments are tables by
key. Nothing has a default here: a parameter that is missing or of another form stops the revision.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sidecar.errors import ConfigurationError
from sidecar.law.identifiers import IdentifierInvalid, normalise
from sidecar.policy.types import LegalParameters

_LEAP_BIRTHDAYS = ("0228", "0301")
_DAY = re.compile(r"[12][0-9]{3}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])")


def legal_parameters(data: Any) -> LegalParameters:
    """The typed parameters.

    Args:
        data: the parsed ``params/data.json``.

    Raises:
        ConfigurationError: a parameter is missing or of another form; the text names it.
    """
    if not isinstance(data, dict):
        raise ConfigurationError(f"params: expected an object, got {type(data).__name__}")
    return LegalParameters(
        majority_years=_years(data),
        leap_birthday=_leap_birthday(data),
        sealing_law_from=_day(data, "sealing_law_from"),
        violation_sealing_from=_day(data, "violation_sealing_from"),
        bases=_bases(data),
        instruments=_instruments(data),
        purposes=frozenset(_table(data, "purposes")),
        organs=frozenset(_table(data, "organs")),
    )


def _value(data: Mapping[str, Any], name: str) -> Any:
    parameter = data.get(name)
    if not isinstance(parameter, dict) or "value" not in parameter:
        raise ConfigurationError(f"params.{name}: expected an object with `value`")
    return parameter["value"]


def _years(data: Mapping[str, Any]) -> int:
    value = _value(data, "majority_years")
    if type(value) is not int or value < 1:
        raise ConfigurationError(f"params.majority_years: expected a number of full years, got {value!r}")
    return value


def _leap_birthday(data: Mapping[str, Any]) -> str:
    value = _value(data, "leap_birthday")
    if value not in _LEAP_BIRTHDAYS:
        raise ConfigurationError(f"params.leap_birthday: expected one of {_LEAP_BIRTHDAYS}, got {value!r}")
    return str(value)


def _day(data: Mapping[str, Any], name: str) -> int:
    value = _value(data, name)
    if type(value) is not int or not _DAY.fullmatch(str(value)):
        raise ConfigurationError(f"params.{name}: expected a day as YYYYMMDD, got {value!r}")
    return value


def _table(data: Mapping[str, Any], name: str) -> dict[str, Any]:
    table = data.get(name)
    if not isinstance(table, dict) or not table or not all(isinstance(row, dict) for row in table.values()):
        raise ConfigurationError(f"params.{name}: expected a table by key")
    return table


def _bases(data: Mapping[str, Any]) -> frozenset[str]:
    instruments = _table(data, "instruments")
    bases = _table(data, "bases")
    for key, basis in bases.items():
        if basis.get("instrument") not in instruments or key != f"{basis['instrument']}/{basis.get('article')}":
            raise ConfigurationError(f"params.bases: {key}: expected <instrument>/<article> of a known instrument")
    return frozenset(bases)


def _instruments(data: Mapping[str, Any]) -> dict[str, str]:
    """Id, title and aliases of each instrument, normalised (R22), bare and in title marks 《》, to its id."""
    names: dict[str, str] = {}
    for identity, instrument in _table(data, "instruments").items():
        for title in (identity, instrument.get("title"), *instrument.get("aliases", ())):
            name = _title(identity, title)
            for form in (name, f"《{name}》"):
                if names.setdefault(form, identity) != identity:
                    raise ConfigurationError(f"params.instruments: {title!r} names two instruments")
    return names


def _title(identity: str, title: Any) -> str:
    try:
        name = normalise(title) if isinstance(title, str) else ""
    except IdentifierInvalid as exc:
        raise ConfigurationError(f"params.instruments: {identity}: {exc}") from exc
    if not name:
        raise ConfigurationError(f"params.instruments: {identity}: expected titles that are not blank")
    return name
