"""Writes a proposal as a catalog's YAML, each part with its confidence and reason as a comment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import yaml

from sidecar.errors import ConfigurationError
from sidecar.records.propose import SURE, Guess, Proposal

MEANINGS: Mapping[str, str] = {
    "attributes.kind": "map",
    "attributes.joint": "map",
    "attributes.sentence_months": "kinds",
}
"""Part → where its codes stand."""

_MINOR = ("attributes.minor.birth", "attributes.minor.offences")
_PLAIN = (
    "attributes.sentence_months",
    "attributes.kind",
    "attributes.joint",
    "attributes.seal_mark",
    "attributes.concluded",
)


def taken(guess: Guess | None) -> Guess | None:
    """The guess, where it is sure enough."""
    return guess if guess is not None and guess.confidence >= SURE else None


def write(proposal: Proposal, database: str, dsn_file: str, schema: str | None = None) -> str:
    """The catalog's text.

    Args:
        proposal: what is sure in it is written; the rest stands there as comments.
        database: the name that inquiries will use.
        dsn_file: the file with the URL, relative to the catalog.
        schema: of the table.

    Raises:
        ConfigurationError: without a key, or without a way to find a person, there is no catalog.
    """
    if not proposal.key:
        raise ConfigurationError(f"{proposal.table}: no key was found: name one, or give the table one")
    if not _subject(proposal):
        raise ConfigurationError(f"{proposal.table}: no column finds a person: name one with citizen numbers")
    return "\n".join(_lines(proposal, database, dsn_file, schema)) + "\n"


def _lines(proposal: Proposal, database: str, dsn_file: str, schema: str | None) -> Iterator[str]:
    yield "# Proposed from names and shapes: read it against the database before anyone approves it."
    yield "# What is left out is unknown, and what is unknown is withheld."
    yield "catalog: 1"
    yield f"database: {database}"
    yield f"connector: {_flow({'kind': 'sql', 'dsn_file': dsn_file})}"
    yield f"source: {_flow({'table': proposal.table, **({'schema': schema} if schema else {}), 'key': [*proposal.key]})}"
    yield f"subject: {_flow(_subject(proposal))}{_note(proposal.of('subject.person_id'))}"
    parts = [*_attributes(proposal)]
    yield "attributes:" if any(not line.lstrip().startswith("#") for line in parts) else "attributes: {}"
    yield from parts
    yield "released:"
    yield from _released(proposal)
    yield f"filterable: {_flow([*proposal.key])}"
    yield f"sortable: {_flow([*proposal.key])}"


def _subject(proposal: Proposal) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in ("person_id", "name"):
        guess = taken(proposal.of(f"subject.{name}"))
        if guess is not None:
            found[name] = guess.value
    birth = taken(proposal.of(_MINOR[0]))
    if birth is not None and "name" in found:
        found["birth_date"] = birth.value
    elif "person_id" not in found:
        return {}
    return found


def _attributes(proposal: Proposal) -> Iterator[str]:
    birth, offences = (taken(proposal.of(part)) for part in _MINOR)
    if birth is not None and offences is not None:
        yield "  minor:"
        for part in (birth, offences):
            yield f"    {part.part.rpartition('.')[2]}: {_flow(part.value)}{_note(part)}"
    for name in _PLAIN:
        guess = taken(proposal.of(name))
        if guess is not None:
            yield f"  {name.removeprefix('attributes.')}: {_flow(guess.value)}{_note(guess)}"
    for guess in proposal.guesses:
        if taken(guess) is None:
            yield f"  # left out: {guess.part.removeprefix('attributes.')}, perhaps {column(guess)}:{_note(guess)[3:]}"


def _released(proposal: Proposal) -> Iterator[str]:
    for number, column in enumerate(proposal.key, 1):
        yield f"  key{number if number > 1 else ''}: {_flow({'column': column, 'class': 'procedure'})}"
    name, crime = (taken(proposal.of(part)) for part in ("subject.name", "released.crime"))
    if name is not None:
        yield f"  name: {_flow({'column': name.value, 'class': 'identity'})}{_note(name)}"
    if crime is not None:
        yield f"  crime: {_flow(crime.value)}{_note(crime)}"


def column(guess: Guess) -> str:
    """The column that a guess is about."""
    value = guess.value
    return value if isinstance(value, str) else str(value[0]["column"] if isinstance(value, list) else value["column"])


def _note(guess: Guess | None) -> str:
    return "" if guess is None else f"   # {guess.confidence:.0%}: {guess.reason}"


def _flow(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, sort_keys=False, width=10_000).strip()


def document(proposal: Proposal) -> dict[str, Any]:
    """The proposal for programs: parts, confidences, and whether they were taken."""
    return {"table": proposal.table, "key": [*proposal.key], "parts": [*_parts(proposal.guesses)]}


def _parts(guesses: Iterable[Guess]) -> Iterator[dict[str, Any]]:
    for guess in guesses:
        yield {
            "part": guess.part,
            "value": guess.value,
            "confidence": guess.confidence,
            "reason": guess.reason,
            "taken": taken(guess) is not None,
            "codes_not_mapped": len(guess.open),
        }
