"""Revisions: everything that decides, by digest, approved by two people, activated with a ledger entry.

A revision's folder holds, flat: ``manifest.json``, ``approval-<name>.jws``, ``catalog-<name>.yaml`` and the artefacts;
an artefact that is not there is taken from the package's baseline if its digest is the one that was approved. Files
are verified against the manifest whenever they are loaded, so that a swapped one denies.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path
from typing import Any

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Engine as Database
from sqlalchemy import Row, func, select
from sqlalchemy.exc import SQLAlchemyError

from sidecar.clock import Clock
from sidecar.codes import Channel, EntryKind
from sidecar.errors import ConfigurationError, RevisionUnapproved
from sidecar.keys.ids import RandomBytes, system_random
from sidecar.ledger.build import EntryBuilder, milliseconds
from sidecar.ledger.types import Effect, EffectRefused, Ledger
from sidecar.policy import artefacts
from sidecar.policy.artefacts import Artefacts, digest
from sidecar.policy.manifest import (
    FORMAT,
    Manifest,
    approver_keys,
    decode_manifest,
    issuers_digest,
    public_bytes,
    security_digest,
    sign,
    verify,
)
from sidecar.policy.tables import REVISIONS
from sidecar.policy.types import FilterNode, LegalParameters
from sidecar.settings import Settings
from sidecar.storage.engine import reading

SHORT_DIGEST = 12
"""Hexadecimal digits of the manifest's digest in a label."""

_APPROVAL = re.compile(r"approval-([a-z0-9][a-z0-9_-]{0,62})\.jws")
_CATALOG = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")

_ACTIVATE = (
    "INSERT INTO revisions (number, digest, label, activated, manifest, approvals) "
    "SELECT CAST(%(number)s AS BIGINT), CAST(%(digest)s AS TEXT), CAST(%(label)s AS TEXT), "
    "CAST(%(activated)s AS BIGINT), CAST(%(manifest)s AS TEXT), CAST(%(approvals)s AS TEXT) "
    "WHERE {guard} AND NOT EXISTS (SELECT 1 FROM revisions WHERE number >= CAST(%(number)s AS BIGINT))"
)


@dataclass(frozen=True, slots=True)
class Revision:
    """A verified revision with everything that decides.

    Attributes:
        number: its number.
        digest: digest of the manifest.
        label: ``<number>@sha256:<short digest>``, in every decision, entry and receipt.
        manifest: what it is.
        params: the legal parameters.
        filter: ``open_record``, compiled.
        catalogs: the catalogs' bytes by name, as approved.
        wasm: the module for the process.
        bundle: the Rego bundle for the OPA server.
        bundle_revision: the revision that an OPA server must name.
        data: the data document for the module.
        folder: where its files are.
    """

    number: int
    digest: str
    label: str
    manifest: Manifest
    params: LegalParameters
    filter: FilterNode
    catalogs: Mapping[str, bytes] = field(repr=False)
    wasm: bytes = field(repr=False)
    bundle: bytes = field(repr=False)
    bundle_revision: str
    data: Mapping[str, Any] = field(repr=False)
    folder: Path


@dataclass(frozen=True, slots=True)
class Candidate:
    """A revision's folder as it was read, nothing of it verified."""

    folder: Path
    manifest: bytes
    approvals: Mapping[str, str]


def label(number: int, manifest_digest: str) -> str:
    """How a revision is named in decisions, entries and receipts."""
    return f"{number}@sha256:{manifest_digest.removeprefix('sha256:')[:SHORT_DIGEST]}"


def build(settings: Settings, *, number: int, clock: Clock, built: Artefacts | None = None) -> Path:
    """Make a revision's folder from artefacts and the configured catalogs; it then waits for approvals.

    Args:
        settings: the deployment's settings; their issuers and security settings are part of the revision.
        number: above the last activated one.
        clock: for the date of creation.
        built: the artefacts, by default the package's baseline.

    Raises:
        ConfigurationError: a catalog cannot be read, or the folder holds another revision already.
    """
    chosen = built or artefacts.baseline()
    catalogs = _read_catalogs(settings)
    manifest = Manifest(
        format=FORMAT,
        number=number,
        deployment=settings.deployment.id,
        created=clock.now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        source=chosen.source,
        bundle_revision=chosen.bundle_revision,
        artefacts={name: digest(chosen.files[name]) for name in artefacts.NAMES},
        catalogs={name: digest(data) for name, data in catalogs.items()},
        issuers=issuers_digest(settings),
        security=security_digest(settings),
    ).encode()
    folder = settings.path(settings.policy.revisions) / str(number)
    if any(folder.glob("approval-*.jws")) and (folder / artefacts.MANIFEST).read_bytes() != manifest:
        raise ConfigurationError(f"{folder}: holds approvals of another manifest; build the next number")
    folder.mkdir(parents=True, exist_ok=True)
    files = {artefacts.MANIFEST: manifest, **chosen.files}
    files |= {f"catalog-{name}.yaml": data for name, data in catalogs.items()}
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def _read_catalogs(settings: Settings) -> dict[str, bytes]:
    catalogs: dict[str, bytes] = {}
    for path in settings.policy.catalogs:
        name = path.stem
        if not _CATALOG.fullmatch(name) or name in catalogs:
            raise ConfigurationError(
                f"policy.catalogs: {path}: expected different names of letters a-z, digits, - and _"
            )
        try:
            catalogs[name] = settings.path(path).read_bytes()
        except OSError as exc:
            raise ConfigurationError(f"policy.catalogs: {path}: {exc.strerror}") from exc
    return catalogs


def approve(settings: Settings, number: int, name: str, key: Ed25519PrivateKey) -> Path:
    """Approve a built revision: verify its files, sign its manifest, leave the approval in its folder.

    The approver MUST have looked at what is approved: this only makes sure that the files are those of the manifest.

    Raises:
        ConfigurationError: ``name`` is no approver, or ``key`` is not that approver's.
        RevisionUnapproved: the files or settings are not those of the manifest.
    """
    approver = approver_keys(settings).get(name)
    if approver is None or public_bytes(approver) != public_bytes(key.public_key()):
        raise ConfigurationError(f"policy.approvers: expected {name} with the public key of this private key")
    candidate = read_candidate(settings, number)
    _assemble(candidate, _decoded(candidate, number), settings)
    path = candidate.folder / f"approval-{name}.jws"
    path.write_text(sign(candidate.manifest, name, key), encoding="ascii")
    return path


def read_candidate(settings: Settings, number: int) -> Candidate:
    """A revision's manifest and approvals from its folder ``<revisions>/<number>``, or from a flat ``<revisions>``.

    Raises:
        RevisionUnapproved: there is none, or it cannot be read.
    """
    root = settings.path(settings.policy.revisions)
    folder = root / str(number) if (root / str(number)).is_dir() else root
    try:
        manifest = (folder / artefacts.MANIFEST).read_bytes()
        approvals = {
            match[1]: path.read_text(encoding="ascii").strip()
            for path in sorted(folder.iterdir())
            if (match := _APPROVAL.fullmatch(path.name))
        }
    except (OSError, ValueError) as exc:
        raise RevisionUnapproved(f"{folder}: expected the files of revision {number}") from exc
    return Candidate(folder, manifest, approvals)


def last_number(database: Database) -> int:
    """The last activated number, 0 if there is none.

    Raises:
        RevisionUnapproved: the state database cannot be read.
    """
    try:
        with reading(database).connect() as connection:
            return connection.scalar(select(func.max(REVISIONS.c.number))) or 0
    except SQLAlchemyError as exc:
        raise RevisionUnapproved("the active revision cannot be read from the state database") from exc


def activate(
    settings: Settings,
    number: int,
    *,
    ledger: Ledger,
    database: Database,
    clock: Clock,
    conformance: Callable[[Revision], None],
    officer: str = "",
    random: RandomBytes = system_random,
) -> Revision:
    """Activate an approved revision, with its ledger entry, at once for all who load it from now on.

    1. verify approvals and number, 2. verify every file and the settings, 3. run the conformance check, 4. commit entry
    and row together. Nothing happens where the same revision is active already.

    Args:
        settings: the deployment's settings.
        number: which revision.
        ledger: where the entry goes.
        database: the state database.
        clock: for the time of activation.
        conformance: refuses by raising; ``policy.grid.conformance`` in production.
        officer: who activates, for the entry.
        random: source of the entry's id and salt.

    Raises:
        RevisionUnapproved: anything about it is not as approved, or its number is not above the last one.
        LedgerUnavailable: the entry could not be made durable; the revision may or may not be active.
    """
    candidate = read_candidate(settings, number)
    last = last_number(database)
    if last == number and (active := load_active(database, settings)).digest == digest(candidate.manifest):
        return active
    manifest = verify(candidate.manifest, candidate.approvals, approver_keys(settings), last_number=last)
    if manifest.number != number:
        raise RevisionUnapproved(f"{candidate.folder}: expected revision {number}, got {manifest.number}")
    revision = _assemble(candidate, manifest, settings)
    conformance(revision)
    _commit(revision, candidate, ledger, clock, officer, random)
    return revision


def _commit(  # noqa: PLR0917  # who, what, when and where
    revision: Revision, candidate: Candidate, ledger: Ledger, clock: Clock, officer: str, random: RandomBytes
) -> None:
    entry = EntryBuilder(clock, random).build(
        EntryKind.POLICY,
        Channel.CLI,
        officer=officer,
        outcome="allow",
        revision=revision.label,
        extra={"action": "activate", "digest": revision.digest, "number": str(revision.number)},
    )
    row = {
        "number": revision.number,
        "digest": revision.digest,
        "label": revision.label,
        "activated": milliseconds(clock.now()),
        "manifest": candidate.manifest.decode(),
        "approvals": orjson.dumps(dict(candidate.approvals), option=orjson.OPT_SORT_KEYS).decode(),
    }
    try:
        ledger.commit(entry, [Effect("activate_revision", _ACTIVATE, row, required=True)])
    except EffectRefused as exc:
        raise RevisionUnapproved(f"revision {revision.number}: a higher number was activated meanwhile") from exc


def load_active(database: Database, settings: Settings) -> Revision:
    """The active revision, verified anew: approvals, every file, the settings.

    Raises:
        RevisionUnapproved: there is none, or anything about it is not as approved.
    """
    try:
        with reading(database).connect() as connection:
            row = connection.execute(select(REVISIONS).order_by(REVISIONS.c.number.desc()).limit(1)).first()
    except SQLAlchemyError as exc:
        raise RevisionUnapproved("the active revision cannot be read from the state database") from exc
    if row is None:
        raise RevisionUnapproved("no revision is active: `sidecar policy build`, `approve` twice, `activate`")
    return _load(row, settings)


def judging(settings: Settings, wanted: str) -> tuple[bytes, Mapping[str, Any]]:
    """Module and data of the revision that a label names, as long as its files are those that the label's digest names.

    For recomputing what an earlier revision decided; nothing is served by it, so that approvals and settings of today
    are not asked for.

    Raises:
        RevisionUnapproved: its files are not at hand, or are others.
    """
    number, _, _ = wanted.partition("@")
    candidate = read_candidate(settings, int(number) if number.isdigit() else 0)
    manifest = _decoded(candidate, int(number) if number.isdigit() else 0)
    if label(manifest.number, digest(candidate.manifest)) != wanted:
        raise RevisionUnapproved(f"{candidate.folder}: expected revision {wanted}")
    files = _read_files(candidate.folder, manifest)
    return files[artefacts.WASM], Artefacts(files, manifest.source, manifest.bundle_revision, "", {}).data()


def _load(row: Row[Any], settings: Settings) -> Revision:
    manifest_bytes = row.manifest.encode()
    approvals = artefacts.parse(row.approvals.encode(), "approvals")
    manifest = verify(manifest_bytes, approvals, approver_keys(settings))
    if (manifest.number, digest(manifest_bytes)) != (row.number, row.digest):
        raise RevisionUnapproved(f"revision {row.number}: expected manifest {row.digest}")
    candidate = read_candidate(settings, row.number)
    if candidate.manifest != manifest_bytes:
        raise RevisionUnapproved(f"{candidate.folder}: holds another manifest than the active one")
    return _assemble(candidate, manifest, settings)


def _decoded(candidate: Candidate, number: int) -> Manifest:
    manifest = decode_manifest(candidate.manifest)
    if manifest.number != number:
        raise RevisionUnapproved(f"{candidate.folder}: expected revision {number}, got {manifest.number}")
    return manifest


def _assemble(candidate: Candidate, manifest: Manifest, settings: Settings) -> Revision:
    """Load every file, each verified, and compare the settings."""
    _check_settings(manifest, settings)
    files = _read_files(candidate.folder, manifest)
    catalogs = {name: _verified(candidate.folder / f"catalog-{name}.yaml", d) for name, d in manifest.catalogs.items()}
    built = Artefacts(files, manifest.source, manifest.bundle_revision, "", {})
    try:
        manifest_digest = digest(candidate.manifest)
        return Revision(
            number=manifest.number,
            digest=manifest_digest,
            label=label(manifest.number, manifest_digest),
            manifest=manifest,
            params=built.params(),
            filter=built.filter(),
            catalogs=catalogs,
            wasm=files[artefacts.WASM],
            bundle=files[artefacts.BUNDLE],
            bundle_revision=manifest.bundle_revision,
            data=built.data(),
            folder=candidate.folder,
        )
    except ConfigurationError as exc:
        raise RevisionUnapproved(f"revision {manifest.number}: {exc}") from exc


def _check_settings(manifest: Manifest, settings: Settings) -> None:
    found = {
        "deployment.id": (manifest.deployment, settings.deployment.id),
        "identity.issuers": (manifest.issuers, issuers_digest(settings)),
        "security settings": (manifest.security, security_digest(settings)),
    }
    for name, (approved, present) in found.items():
        if approved != present:
            raise RevisionUnapproved(
                f"{name}: expected {approved}, got {present}; changed settings need a new approved revision"
            )


def _read_files(folder: Path, manifest: Manifest) -> dict[str, bytes]:
    """The artefacts of a folder; one that is not there is the baseline's, if that is what was approved."""
    files: dict[str, bytes] = {}
    for name, expected in manifest.artefacts.items():
        if (folder / name).exists():
            files[name] = _verified(folder / name, expected)
            continue
        files[name] = artefacts.baseline().files[name]
        if digest(files[name]) != expected:
            raise RevisionUnapproved(f"{folder / name}: expected {expected}; it is neither there nor in the baseline")
    return files


def _verified(path: Path, expected: str) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as exc:
        raise RevisionUnapproved(f"{path}: expected {expected}: {exc.strerror}") from exc
    if digest(data) != expected:
        raise RevisionUnapproved(f"{path}: expected {expected}, got {digest(data)}")
    return data


class Guard:
    """Watches an active revision's files: once one is swapped, nothing is decided until it is as approved again.

    What runs was verified when it was loaded; the guard makes tampering with the files visible at once. Thread-safe.
    """

    INTERVAL_SECONDS = 1.0

    def __init__(self, revision: Revision, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._expected = _expected(revision)
        self._stamps: tuple[Any, ...] | None = None
        self._fault = ""
        self._next = 0.0
        self.check()

    def check(self) -> None:
        """Look at the files, at most once a second.

        Raises:
            RevisionUnapproved: one is not as approved.
        """
        now = self._clock.monotonic()
        if now >= self._next:
            with self._lock:
                self._next = now + self.INTERVAL_SECONDS
                self._look()
        if self._fault:
            raise RevisionUnapproved(self._fault)

    def _look(self) -> None:
        stamps = tuple(_stamp(path) for path in self._expected)
        if stamps == self._stamps:
            return
        self._stamps, self._fault = stamps, ""
        try:
            for path, expected in self._expected.items():
                _verified(path, expected)
        except RevisionUnapproved as exc:
            self._fault = str(exc)


def _expected(revision: Revision) -> dict[Path, str]:
    folder = revision.folder
    files = {folder / artefacts.MANIFEST: revision.digest}
    files |= {folder / f"catalog-{name}.yaml": d for name, d in revision.manifest.catalogs.items()}
    files |= {folder / name: d for name, d in revision.manifest.artefacts.items() if (folder / name).exists()}
    return files


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
