"""Import of units, their keys and officers: a registrar changes, a second person confirms, the ledger records.

The file (``units.yaml``)::

    registry: 1
    units:
      - code: 113399010000010114          # GB 32100; quote it where it has digits only
        name: 示例县公安局
        organ: public_security            # a kind of organ of the policy's parameters
        region: "330100"                  # GB/T 2260, optional
        state: active                     # active | suspended
        keys:
          - {file: police.pub.pem, valid_from: 2026-01-01, valid_to: 2028-12-31}   # or `jwk:` in place of `file:`
    officers:
      - {issuer: https://idp.example, subject: "330101", state: suspended}          # active | suspended | revoked

What the file does not name stays as it is; ``replace=True`` makes the file the whole registry.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

import jwt
import orjson
import yaml
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from sqlalchemy import Engine, Table, delete, select
from sqlalchemy.exc import SQLAlchemyError

from sidecar.clock import Clock
from sidecar.codes import Channel, Code, EntryKind
from sidecar.errors import CodedError, ConfigurationError, LedgerUnavailable
from sidecar.identity.keysets import KeySetUnusable, parse_key_set
from sidecar.identity.tables import OFFICERS, REGISTRY_REVISIONS, UNIT_KEYS, UNITS
from sidecar.keys.ids import RandomBytes, UuidSource, system_random
from sidecar.keys.jwk import public_jwk, thumbprint
from sidecar.law.days import day_of, parse_day
from sidecar.law.identifiers import credit_code
from sidecar.ledger.build import EntryBuilder
from sidecar.ledger.types import Effect, EffectRefused, Ledger
from sidecar.settings import SettingsInvalid, load_yaml
from sidecar.storage.engine import reading

MAX_FILE_BYTES = 16 * 1024 * 1024
"""Far above any province's registry; a wrong path does not fill the memory."""

_ACTIVATE = (
    "INSERT INTO registry_revisions (number, batch, digest, imported) "
    "SELECT CAST(%(number)s AS BIGINT), CAST(%(batch)s AS TEXT), CAST(%(digest)s AS TEXT), "
    "CAST(%(imported)s AS BIGINT) "
    "WHERE {guard} AND NOT EXISTS (SELECT 1 FROM registry_revisions WHERE number >= CAST(%(number)s AS BIGINT)) "
    "ON CONFLICT DO NOTHING"  # of two at the same moment the second waits, and is then refused
)
_REVOKE = (
    "INSERT INTO revoked_tokens (issuer, token_id, expires) "
    "SELECT CAST(%(issuer)s AS TEXT), CAST(%(token_id)s AS TEXT), CAST(%(expires)s AS BIGINT) "
    "WHERE {guard} ON CONFLICT DO NOTHING"
)


def _day(value: Any) -> int:
    day = day_of(value) if type(value) is date else parse_day(value) if isinstance(value, str | int) else None
    if day is None:
        raise ValueError("expected a date, YYYY-MM-DD")
    return day


def _credit_code(value: Any) -> str:
    # YAML reads a code of digits as a number; no code begins with 0, so its text is the code again
    return credit_code(str(value) if isinstance(value, str | int) else "")


_Day = Annotated[int, BeforeValidator(_day)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _KeyPart(_Part):
    file: Path | None = None
    jwk: dict[str, Any] | None = None
    kid: str | None = Field(None, min_length=1, max_length=128)
    valid_from: _Day
    valid_to: _Day


class _UnitPart(_Part):
    code: Annotated[str, BeforeValidator(_credit_code)]
    name: str = Field(min_length=1, max_length=200)
    organ: str
    region: str = Field("", pattern=r"^([0-9]{6})?$")
    state: Literal["active", "suspended"] = "active"
    keys: list[_KeyPart] = Field(default_factory=list)


class _OfficerPart(_Part):
    issuer: str = Field(min_length=1, max_length=255)
    subject: str = Field(min_length=1, max_length=128)
    state: Literal["active", "suspended", "revoked"]


class _File(_Part):
    registry: Literal[1]
    units: list[_UnitPart] = Field(default_factory=list)
    officers: list[_OfficerPart] = Field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Summary:
    """What an import did: the current revision afterwards, what the file held, whether anything changed."""

    revision: int
    units: int
    keys: int
    officers: int
    changed: bool
    digest: str


Rows = dict[tuple[str, ...], dict[str, Any]]
"""Rows of one table by their key, without the batch."""

_TABLES: Mapping[str, tuple[Table, tuple[str, ...]]] = {
    "units": (UNITS, ("code",)),
    "keys": (UNIT_KEYS, ("unit", "kid")),
    "officers": (OFFICERS, ("issuer", "subject")),
}
"""In the order in which rows are inserted: a key's unit is there before it."""


def import_units(
    path: Path,
    *,
    engine: Engine,
    ledger: Ledger,
    clock: Clock,
    organs: AbstractSet[str],
    registrar: str,
    confirmed_by: str,
    replace: bool = False,
    random: RandomBytes = system_random,
) -> Summary:
    """Import a file: stage the new revision's rows, then make it the current one together with its ledger entry.

    A crash before the commit leaves rows that nothing points to; gateways see the change within
    ``identity.registry_refresh_seconds``. Importing the same again changes and records nothing.

    Args:
        path: the file.
        engine: the state database.
        ledger: where the entry of kind ``registry`` goes.
        clock: for the entry's time.
        organs: kinds of organ of the active revision's parameters.
        registrar: who imports.
        confirmed_by: the second person who has compared the file.
        replace: whether the file is the whole registry.
        random: source of the batch's id and the entry's salt.

    Raises:
        ConfigurationError: the file cannot be used; the text names the place.
        CodedError: ``self-approval`` where registrar and second person are one; ``state-conflict`` where another
            import came first.
        LedgerUnavailable: nothing, or only the whole, was imported.
    """
    check_two_people(registrar, confirmed_by)
    data = _read(path)
    found = _rows(_parse(path, data), path, organs)
    digest = hashlib.sha256(data).hexdigest()
    number, current = _current(engine)
    merged = {name: rows if replace else {**current[name], **rows} for name, rows in found.items()}
    _check_references(path, merged)
    counts = {name: len(rows) for name, rows in found.items()}
    if number and merged == current:
        return Summary(number, **counts, changed=False, digest=digest)
    batch = UuidSource(clock, random).new()
    extra = {"action": "import", "confirmed_by": confirmed_by, "digest": digest, "number": str(number + 1)}
    entry = EntryBuilder(clock, random).build(
        EntryKind.REGISTRY, Channel.CLI, officer=registrar, outcome="allow", extra=extra
    )
    row = {"number": number + 1, "batch": batch, "digest": digest, "imported": int(clock.now().timestamp())}
    _stage(engine, batch, merged)
    try:
        ledger.commit(entry, [Effect("activate_registry", _ACTIVATE, row, required=True)])
    except EffectRefused as exc:
        _unstage(engine, batch)
        raise CodedError(Code.STATE_CONFLICT, "another import came first; run it again", status=409) from exc
    return Summary(number + 1, **counts, changed=True, digest=digest)


def revoke_token(
    *, ledger: Ledger, clock: Clock, issuer: str, token_id: str, expires: int, registrar: str, confirmed_by: str
) -> None:
    """Take a token back before its ``exp`` (POSIX seconds), with its ledger entry; again: recorded, else no change.

    Raises:
        CodedError: ``self-approval`` where registrar and second person are one.
        LedgerUnavailable: the revocation may or may not hold.
    """
    check_two_people(registrar, confirmed_by)
    extra = {"action": "revoke_token", "confirmed_by": confirmed_by, "issuer": issuer, "token_id": token_id}
    entry = EntryBuilder(clock).build(EntryKind.REGISTRY, Channel.CLI, officer=registrar, outcome="allow", extra=extra)
    row = {"issuer": issuer, "token_id": token_id, "expires": expires}
    ledger.commit(entry, [Effect("revoke_token", _REVOKE, row)])


def check_two_people(registrar: str, confirmed_by: str) -> None:
    """Registry changes need four eyes: two names that differ in more than case, width and spaces.

    Raises:
        CodedError: ``self-approval``.
    """
    names = {"".join(unicodedata.normalize("NFKC", name).casefold().split()) for name in (registrar, confirmed_by)}
    if len(names) != 2 or "" in names:
        raise CodedError(Code.SELF_APPROVAL, "expected a registrar and another person who confirms", status=403)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as exc:
        raise ConfigurationError(f"{path}: cannot be read: {exc.strerror}") from exc
    if len(data) > MAX_FILE_BYTES:
        raise ConfigurationError(f"{path}: expected at most {MAX_FILE_BYTES} bytes")
    return data


def _parse(path: Path, data: bytes) -> _File:
    try:
        content = load_yaml(data.decode("utf-8"))
        return _File.model_validate(content)
    except (UnicodeDecodeError, yaml.YAMLError, SettingsInvalid) as exc:
        raise ConfigurationError(f"{path}: cannot be read as YAML: {exc}") from exc
    except ValidationError as exc:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in exc.errors(include_input=False))
        raise ConfigurationError(f"{path}: {problems}") from exc


def _rows(file: _File, path: Path, organs: AbstractSet[str]) -> dict[str, Rows]:
    units = [unit.model_dump(exclude={"keys"}) for unit in file.units]
    for unit in units:
        if unit["organ"] not in organs:
            raise ConfigurationError(f"{path}: {unit['code']}: expected an organ of {sorted(organs)}")
    keys = [_key_row(path, unit.code, key) for unit in file.units for key in unit.keys]
    officers = [officer.model_dump() for officer in file.officers]
    listed: dict[str, Sequence[dict[str, Any]]] = {"units": units, "keys": keys, "officers": officers}
    return {name: _unique(path, name, rows) for name, rows in listed.items()}


def _unique(path: Path, name: str, rows: Sequence[dict[str, Any]]) -> Rows:
    found: Rows = {}
    for row in rows:
        key = tuple(row[column] for column in _TABLES[name][1])
        if key in found:
            raise ConfigurationError(f"{path}: {name}: expected {'/'.join(key)} once, got it twice")
        found[key] = row
    return found


def _key_row(path: Path, unit: str, part: _KeyPart) -> dict[str, Any]:
    place = f"{path}: key of {unit}"
    if part.valid_from > part.valid_to:
        raise ConfigurationError(f"{place}: expected valid_from before valid_to")
    if (part.file is None) == (part.jwk is None):
        raise ConfigurationError(f"{place}: expected exactly one of file and jwk")
    jwk: dict[str, Any] = (
        dict(part.jwk) if part.jwk is not None else _jwk_of_file(place, path.parent / (part.file or Path()))
    )
    jwk["kid"] = part.kid or jwk.get("kid") or "?"
    try:
        (key,) = parse_key_set(orjson.dumps({"keys": [jwk]})).values()
    except (KeySetUnusable, orjson.JSONEncodeError) as exc:
        raise ConfigurationError(f"{place}: expected a public Ed25519, P-256 or RSA (2048 bits or more) key") from exc
    kid = thumbprint(public_jwk(key.key)) if key.kid == "?" else key.kid
    if len(kid) > 128:
        raise ConfigurationError(f"{place}: expected a kid of at most 128 characters, got {len(kid)}")
    algorithm = {"alg": jwk["alg"]} if "alg" in jwk else {}
    stored = {name: value for name, value in public_jwk(key.key, kid).items() if name != "alg"} | algorithm
    text = orjson.dumps(stored, option=orjson.OPT_SORT_KEYS).decode()
    return {"unit": unit, "kid": kid, "jwk": text, "valid_from": part.valid_from, "valid_to": part.valid_to}


def _jwk_of_file(place: str, file: Path) -> dict[str, Any]:
    try:
        key: Any = load_pem_public_key(file.read_bytes())
        jwk = public_jwk(key)
    except OSError as exc:
        raise ConfigurationError(f"{place}: {file}: cannot be read: {exc.strerror}") from exc
    except (ValueError, TypeError, AttributeError, UnsupportedAlgorithm, jwt.PyJWTError) as exc:
        raise ConfigurationError(f"{place}: {file}: expected a public key in PEM") from exc
    del jwk["alg"]  # an RSA key may be used for both of its algorithms
    return jwk


def _check_references(path: Path, merged: Mapping[str, Rows]) -> None:
    orphans = sorted({unit for unit, _ in merged["keys"]} - {code for (code,) in merged["units"]})
    if orphans:
        raise ConfigurationError(f"{path}: expected the units of all keys, got none for {orphans}")


def _current(engine: Engine) -> tuple[int, dict[str, Rows]]:
    newest = select(REGISTRY_REVISIONS).order_by(REGISTRY_REVISIONS.c.number.desc()).limit(1)
    try:
        with reading(engine).connect() as connection:
            head = connection.execute(newest).first()
            found: dict[str, Rows] = {name: {} for name in _TABLES}
            if head is None:
                return 0, found
            for name, (table, key) in _TABLES.items():
                columns = [column for column in table.c if column.name != "batch"]
                rows = connection.execute(select(*columns).where(table.c.batch == head.batch)).mappings()
                found[name] = {tuple(row[column] for column in key): dict(row) for row in rows}
            return head.number, found
    except SQLAlchemyError as exc:
        raise LedgerUnavailable("the registry cannot be read; has `sidecar db upgrade` run?") from exc


def _stage(engine: Engine, batch: str, merged: Mapping[str, Rows]) -> None:
    try:
        with engine.begin() as connection:
            for name, (table, _) in _TABLES.items():
                rows = [{"batch": batch, **row} for row in merged[name].values()]
                if rows:
                    connection.execute(table.insert(), rows)
    except SQLAlchemyError as exc:
        raise LedgerUnavailable("the registry cannot be written to the state database") from exc


def _unstage(engine: Engine, batch: str) -> None:
    try:
        with engine.begin() as connection:
            for table, _ in reversed(list(_TABLES.values())):
                connection.execute(delete(table).where(table.c.batch == batch))
    except SQLAlchemyError as exc:
        raise LedgerUnavailable("the refused revision of the registry cannot be removed") from exc
