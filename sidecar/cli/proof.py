"""``sidecar ledger prove``: from a receipt to a proof that it stands in the signed ledger, and the check of one."""

from __future__ import annotations

import base64
import binascii
import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import jwt
from sqlalchemy.exc import SQLAlchemyError

from sidecar.cli.context import State, json_option, pass_state, print_json
from sidecar.cli.database import database
from sidecar.codes import Code
from sidecar.errors import CodedError, ConfigurationError, LedgerUnavailable
from sidecar.ledger.evidence import EvidenceInvalid, Key, check_proof, read_key
from sidecar.ledger.merkle import HASH_BYTES
from sidecar.ledger.proof import find, prove_entry

RECEIPT_TYPE = "receipt+jwt"


class NotProven(CodedError):
    """What was named is not in the signed ledger, as far as was shown."""


@dataclass(frozen=True, slots=True)
class _Named:
    """What is to be proven: an inquiry's id, its leaf hash, or both (a receipt)."""

    inquiry: str
    leaf: bytes | None


_file = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command("prove")
@click.argument("what", metavar="RECEIPT|INQUIRY|LEAF")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="File for the proof; else printed.")
@click.option("--check", "proof", type=_file, help="Check this proof instead; needs neither database nor settings.")
@click.option("--verifier", type=_file, help="With --check: the log's verifier key (*.vkey).")
@click.option("--witness", "witnesses", type=_file, multiple=True, help="With --check: a witness's verifier key.")
@click.option("--keys", type=_file, help="Public keys (GET /v1/keys) with which the receipt itself is verified.")
@json_option
@pass_state
def prove(
    state: State,
    *,
    what: str,
    output: Path | None,
    proof: Path | None,
    verifier: Path | None,
    witnesses: tuple[Path, ...],
    keys: Path | None,
    as_json: bool,
) -> None:
    """Prove that an entry stands in the signed ledger (C2SP tlog-proof), or check such a proof.

    The entry is named by its receipt (a compact JWS, or a file that holds one), by the inquiry's id, or by its leaf
    hash (hex or base64url).
    """
    named = _named(what, keys)
    if proof is None:
        _make(state, named, output)
    elif verifier is None or named.leaf is None:
        raise click.UsageError("--check needs --verifier, and a receipt or leaf hash")
    else:
        _check(proof, named.leaf, verifier_key(verifier), [verifier_key(file) for file in witnesses], as_json)


def _make(state: State, named: _Named, output: Path | None) -> None:
    with database(state) as engine:
        try:
            with engine.connect() as connection:
                found = find(connection, named.inquiry, named.leaf)
                if found is None:
                    raise NotProven(Code.NOT_FOUND, "the ledger has no such entry")
                log, index = found
                made = prove_entry(log, index, state.settings.ledger.quorum)
        except SQLAlchemyError as exc:
            raise LedgerUnavailable("the state database does not answer, or `sidecar db upgrade` has not run") from exc
    if made is None:
        raise NotProven(Code.LOG_UNSIGNED, f"the entry is at position {index}, but no signed checkpoint holds it yet")
    if output is None:
        click.echo(made.decode(), nl=False)
    else:
        output.write_bytes(made)
        click.echo(f"position {index}: {output}")


def _check(proof: Path, leaf: bytes, log: Key, witnesses: list[Key], as_json: bool) -> None:
    try:
        index, statement = check_proof(proof.read_bytes(), leaf, log, witnesses)
    except EvidenceInvalid as exc:
        raise NotProven(Code.NOT_FOUND, f"{proof}: {exc}") from exc
    seen = {name: datetime.fromtimestamp(seconds, UTC).isoformat() for name, seconds in statement.witnesses}
    if as_json:
        root = base64.b64encode(statement.root).decode("ascii")
        facts = {"origin": statement.origin, "position": index, "size": statement.size, "root": root}
        print_json({**facts, "witnesses": seen})
        return
    click.echo(f"{statement.origin}: the entry stands at position {index} of the {statement.size} that are signed")
    for name, time in seen.items():
        click.echo(f"seen by {name} at {time}")


def verifier_key(file: Path) -> Key:
    """The key of a ``*.vkey`` file.

    Raises:
        ConfigurationError: it cannot be read as one.
    """
    try:
        return read_key(file.read_text(encoding="utf-8"))
    except (EvidenceInvalid, UnicodeDecodeError) as exc:
        raise ConfigurationError(f"{file}: {exc}") from exc


def _named(what: str, keys: Path | None) -> _Named:
    """What the argument names."""
    if "." not in what:
        return _by_id(what) or _Named("", _hash(what))
    file = Path(what)
    text = what if what.count(".") == 2 and what.startswith("ey") else file.read_text(encoding="utf-8").strip()
    claims = _claims(text, keys)
    return _Named(str(claims.get("inquiry", "")), _hash(str(claims.get("leaf", ""))))


def _by_id(what: str) -> _Named | None:
    try:
        return _Named(str(uuid.UUID(what)), None) if len(what) == len(str(uuid.UUID(int=0))) else None
    except ValueError:
        return None


def _hash(text: str) -> bytes:
    try:
        found = bytes.fromhex(text) if len(text) == HASH_BYTES * 2 else base64.urlsafe_b64decode(f"{text}=")
    except (ValueError, binascii.Error):
        found = b""
    if len(found) != HASH_BYTES:
        raise click.UsageError("expected a receipt, an inquiry's id, or a leaf hash in hex or base64url")
    return found


def _claims(text: str, keys: Path | None) -> dict[str, Any]:
    """The receipt's claims; its own signature is verified where keys are given, the ledger's proof always is."""
    try:
        if jwt.get_unverified_header(text).get("typ") != RECEIPT_TYPE:
            raise NotProven(Code.IDENTIFIER_INVALID, f"expected a JWS of type {RECEIPT_TYPE}")
        if keys is None:
            found: dict[str, Any] = jwt.decode(text, options={"verify_signature": False})
            return found
        known = jwt.PyJWKSet.from_json(keys.read_text(encoding="utf-8"))
        key = known[str(jwt.get_unverified_header(text).get("kid"))]
        found = jwt.decode(text, key, ["EdDSA"], options={"verify_aud": False})
    except (jwt.PyJWTError, KeyError, json.JSONDecodeError) as exc:
        raise NotProven(
            Code.IDENTIFIER_INVALID, "the receipt is not one of the deployment whose keys were given"
        ) from exc
    return found
