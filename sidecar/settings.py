"""One settings tree: one YAML file, environment overrides, secrets from files only (twelve-factor config).

Precedence: environment ``SIDECAR_<SECTION>__<FIELD>`` over the file named by ``--config`` over the defaults here.
Relative paths are relative to the folder of the file. docs/settings.md is generated from these definitions.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

MAX_TOKEN_LIFETIME_SECONDS = 600
"""An officer's token lives ten minutes at most."""


class SettingsInvalid(ValueError):
    """The settings file cannot be used; the text says where and what to write instead, without values of secrets."""


class Section(BaseModel):
    """A part of the tree: frozen, no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Deployment(Section):
    """Who this deployment is."""

    id: str = Field(
        "sidecar",
        pattern=r"^[a-z0-9][a-z0-9.-]{0,62}$",
        description="Name of this deployment: audience of tokens and letters, issuer of receipts, origin of the ledger.",
    )
    unit: str = Field("", description="Unified social credit code of the organ that runs it.")


class Server(Section):
    """The HTTP server of the gateway workers."""

    bind: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8443, ge=0, le=65535, description="Port to listen on.")
    workers: int = Field(2, ge=1, le=64, description="Worker processes.")
    threads: int = Field(2, ge=1, le=64, description="Threads a worker; two measured best (docs/performance.md).")
    max_body_bytes: int = Field(65536, ge=1024, description="Largest request body.")
    tls_certificate: Path | None = Field(
        None, description="PEM file of the server's certificate; None where a front terminates TLS."
    )
    tls_key_file: Path | None = Field(None, description="PEM file of the server's key.")
    run_directory: Path = Field(
        Path("run"), description="Folder for what lives as long as the processes: their ids, the workers' metrics."
    )
    thin_lane: bool = Field(
        True, description="Dispatch POST /v1/inquiries in front of Flask's routing: same handler, less time."
    )
    roles: list[Literal["gateway", "desk", "oversight", "workbench"]] = Field(
        ["gateway", "desk", "oversight", "workbench"], description="Which audiences this process serves."
    )


class Storage(Section):
    """The state database (letters' uses, applications, ledger, events)."""

    url: str = Field(
        "sqlite:///state.db",
        description="SQLAlchemy URL: sqlite:///file or postgresql+psycopg://… (password from password_file).",
    )
    password_file: Path | None = Field(None, description="File with the database password.")
    pool_size: int = Field(8, ge=1, le=100, description="Connections a process.")
    statement_timeout_ms: int = Field(5000, ge=100, description="Longest a statement on the state database may take.")


class Keys(Section):
    """Private keys and pseudonym keys, each a 0600 file."""

    directory: Path = Field(
        Path("keys"),
        description="Folder with receipt.pem (Ed25519), cursor.key and pseudonym-<year>.key (32 random bytes, base64).",
    )
    dossier_recipients: list[str] = Field(
        default_factory=list,
        description="age public keys (age1…) of the record organ and the procuratorate, for which dossiers are sealed.",
    )
    data_key_hours: int = Field(8, ge=1, le=24, description="Longest life of the process's data key for dossiers.")


class Issuer(Section):
    """An issuer of tokens that is trusted, and for which roles."""

    issuer: str = Field(description="Exact `iss`.")
    jwks_file: Path | None = Field(None, description="Key set from a file.")
    jwks_url: str | None = Field(
        None, description="Key set from this URL only; `jku` and `x5u` of a token are never followed."
    )
    jwks_insecure: bool = Field(
        False, description="Allow plain http:// to another host for jwks_url; for closed test networks only."
    )
    ca_file: Path | None = Field(None, description="PEM file of the authority that vouches for jwks_url's server.")
    roles: list[str] = Field(description="Roles accepted from this issuer.")
    claims: dict[str, str] = Field(
        default_factory=dict, description="Our claim name → the issuer's claim path, e.g. `unit: org.uscc`."
    )
    max_age_seconds: int = Field(3600, ge=10, description="A key set older than this is not used any more.")
    refresh_seconds: int = Field(30, ge=1, description="Least time between two fetches for an unknown `kid`.")


class Identity(Section):
    """Officers' tokens."""

    issuers: list[Issuer] = Field(default_factory=list, description="Trusted issuers.")
    algorithms: list[Literal["ES256", "EdDSA", "PS256", "RS256"]] = Field(
        ["ES256", "EdDSA", "PS256", "RS256"], description="Accepted signature algorithms."
    )
    max_lifetime_seconds: int = Field(
        MAX_TOKEN_LIFETIME_SECONDS, ge=30, le=MAX_TOKEN_LIFETIME_SECONDS, description="Longest `exp` − `iat`."
    )
    leeway_seconds: int = Field(5, ge=0, le=60, description="Tolerance for clocks.")
    registry_refresh_seconds: float = Field(
        1.0,
        ge=0.1,
        le=60,
        description="A change of the registry (units, keys, officers) takes effect after up to so long, and so does the "
        "revocation of a token or a unit letter; after up to twice that while the state database is slow.",
    )
    token_cache: int = Field(4096, ge=0, description="Verified tokens kept until `exp`; 0 turns the cache off.")
    letter_cache: int = Field(4096, ge=0, description="Verified letters' signatures kept; 0 turns the cache off.")


class Policy(Section):
    """The policy engine and the approved revision."""

    engine: Literal["auto", "opa", "wasm"] = Field(
        "auto",
        description="opa: OPA server; wasm: in process; auto: opa where an OPA 1.x is found, else wasm.",
    )
    approvers: dict[str, Path] = Field(
        default_factory=dict,
        description="Approver's name → PEM file of the public key (Ed25519); two different ones must have signed a revision.",
    )
    catalogs: list[Path] = Field(
        default_factory=list, description="Catalog files; their digests are part of the approved revision."
    )
    revisions: Path = Field(
        Path("revisions"), description="Folder of built revisions (manifest, signatures, artefacts)."
    )
    opa_binary: str = Field("opa", description="OPA executable for the supervised child.")
    opa_socket: Path = Field(Path("run/opa.sock"), description="Unix socket of the OPA server.")
    opa_supervised: bool = Field(True, description="Start OPA as a child; false where it is a neighbour container.")
    opa_token_file: Path | None = Field(
        None, description="Bearer token for the OPA server, where its authorization asks for one."
    )
    timeout_ms: int = Field(1000, ge=10, le=10000, description="Longest a decision may take.")
    decision_memo: int = Field(4096, ge=0, description="Memoised decisions; 0 turns the memo off.")
    classification_cache: int = Field(65536, ge=0, description="Cached classifications; 0 turns the cache off.")
    cross_check_sealed: float = Field(
        1.0,
        ge=0,
        le=1,
        description="Share of sealed-scope decisions compared with the other engine where both are there.",
    )
    cross_check_open: float = Field(0.01, ge=0, le=1, description="The same for open scope.")


class Witness(Section):
    """A witness that cosigns the ledger's checkpoints (C2SP tlog-witness)."""

    url: str = Field(description="Its submission prefix; `/add-checkpoint` is put behind it.")
    verifier_file: Path = Field(description="Its verifier key (`*.vkey`), with which its cosignatures are checked.")
    insecure: bool = Field(False, description="Allow plain http:// to another host; for closed test networks only.")
    ca_file: Path | None = Field(None, description="PEM file of the authority that vouches for its server.")


class Ledger(Section):
    """The ledger and its sequencer."""

    poll_ms: int = Field(200, ge=10, le=5000, description="How often the sequencer looks for new entries.")
    batch: int = Field(1000, ge=1, le=10000, description="Entries given positions in one transaction.")
    log_key: Path = Field(
        Path("keys/log.pem"), description="Log key (Ed25519) that signs checkpoints; no worker reads it."
    )
    signed_file: Path = Field(
        Path("log.signed"),
        description="The last checkpoint that the log key has signed; keep it where a restored database does not reach it.",
    )
    witnesses: list[Witness] = Field(
        default_factory=list, description="Who is asked to cosign each checkpoint, e.g. the procuratorate."
    )
    quorum: int = Field(
        1,
        ge=1,
        le=16,
        description="How many of them must have cosigned; where they have not for `witness_alert_minutes`, an alert is raised.",
    )
    retention_years: int = Field(
        10,
        ge=1,
        le=100,
        description="How many calendar years a closed year's log is kept at least before `ledger destroy` takes it; what "
        "the organ's rules for its archives ask for.",
    )
    witness_alert_minutes: int = Field(
        10, ge=1, le=1440, description="Longest that cosignatures may be missing unnoticed."
    )


class Gateway(Section):
    """Limits of inquiries."""

    page_size: int = Field(50, ge=1, le=500, description="Records a page unless asked otherwise.")
    max_page_size: int = Field(200, ge=1, le=1000, description="Most records a page.")
    idempotency_minutes: int = Field(10, ge=1, le=60, description="How long an Idempotency-Key is the same use.")
    approval_days: int = Field(
        30, ge=1, le=3660, description="How many days an approval is good where the approver states no number."
    )
    draft_days: int = Field(
        30,
        ge=1,
        le=365,
        description="How many days a draft of an application waits to be handed in; then it is erased.",
    )
    register_decisions: int = Field(
        50_000,
        ge=0,
        description="Most decisions of the seal register kept in memory (300 bytes each, a worker); a larger register is "
        "asked at each inquiry. Both ways a decision holds from the next inquiry on.",
    )
    inquiry_minutes: int = Field(15, ge=1, le=60, description="How long an inquiry's cursors are good.")
    session_minutes: int = Field(15, ge=1, le=60, description="How long an inquiry session is good.")


class AuditSource(Section):
    """The audit of one legacy database, or the access log of one legacy service."""

    database: str = Field(description="The database, by its catalog's name.")
    format: Literal["pgaudit-json", "pgaudit-csv", "mariadb", "access"] = Field(
        description="pgaudit-json, pgaudit-csv: pgaudit's lines in PostgreSQL's jsonlog or csvlog; mariadb: the server_audit "
        "plugin's file; access: an HTTP service's access log."
    )
    files: str = Field(
        description="The log's files, rotated ones included: a path whose last part may have * and ?; not the packed ones."
    )
    users: list[str] = Field(
        default_factory=list,
        description="The sidecar's own accounts: an inquiry's id counts in their statements only. None: in anybody's.",
    )
    accounts: list[str] = Field(
        default_factory=list,
        description="Other accounts that the watch does not look at, e.g. that of the system that writes the records.",
    )
    tables: list[str] = Field(
        default_factory=list, description="Tables and views to watch beside those of the catalog, without schema."
    )
    dbname: str = Field("", description="The database's name on its server, where the audit has those of others too.")
    timezone: str = Field("UTC", description="IANA name of the time zone of times without offset, e.g. Asia/Shanghai.")
    log_format: str = Field(
        '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" '
        '"$http_user_agent" "$http_inquiry_id"',
        description="An access log's lines as nginx's log_format writes them; the inquiry's header must be in them.",
    )
    unwatched_paths: list[str] = Field(
        default_factory=list, description="Paths of an access log that hold no records, e.g. /health; exact."
    )


class Bypass(Section):
    """The by-pass watch: reads of legacy databases that did not go through the sidecar."""

    sources: list[AuditSource] = Field(
        default_factory=list, description="The audits to watch; they are part of the approved revision."
    )
    grace_seconds: int = Field(
        60,
        ge=1,
        le=3600,
        description="How long before a read its inquiry may have begun, and how far the watch stays behind the present.",
    )
    window_seconds: int = Field(60, ge=1, le=3600, description="Findings of one such time are one entry.")
    skew_seconds: int = Field(5, ge=1, le=300, description="How far the clocks of database and sidecar may differ.")
    poll_ms: int = Field(2000, ge=50, le=60000, description="How often the audits are looked at.")


class Logging(Section):
    """Logs: structured, without personal data."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level written.")
    format: Literal["json", "text"] = Field("json", description="One JSON object a line, or text for terminals.")


class Settings(BaseSettings):
    """The whole tree."""

    model_config = SettingsConfigDict(env_prefix="SIDECAR_", env_nested_delimiter="__", extra="forbid", frozen=True)

    base: Path = Field(Path(), description="Folder that relative paths start from; the folder of the settings file.")
    deployment: Deployment = Field(default_factory=Deployment)
    server: Server = Field(default_factory=Server)
    storage: Storage = Field(default_factory=Storage)
    keys: Keys = Field(default_factory=Keys)
    identity: Identity = Field(default_factory=Identity)
    policy: Policy = Field(default_factory=Policy)
    ledger: Ledger = Field(default_factory=Ledger)
    gateway: Gateway = Field(default_factory=Gateway)
    bypass: Bypass = Field(default_factory=Bypass)
    logging: Logging = Field(default_factory=Logging)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment over file."""
        del settings_cls, dotenv_settings, file_secret_settings
        return env_settings, init_settings

    def path(self, value: Path) -> Path:
        """A setting's path, absolute."""
        return value if value.is_absolute() else self.base / value


_BOOLEAN = "tag:yaml.org,2002:bool"


class _UniqueLoader(yaml.SafeLoader):
    """YAML without duplicate keys; only ``true`` and ``false`` are booleans, as in YAML 1.2: ``yes`` and ``no`` are text."""


_UniqueLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != _BOOLEAN]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_UniqueLoader.add_implicit_resolver(_BOOLEAN, re.compile(r"true|True|TRUE|false|False|FALSE"), list("tTfF"))


def _mapping(loader: _UniqueLoader, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=deep)
        if key in seen:
            raise SettingsInvalid(f"duplicate key {key!r} at line {key_node.start_mark.line + 1}")
        seen.add(key)
    return loader.construct_mapping(node, deep)


_UniqueLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def load_yaml(text: str) -> Any:
    """Parse YAML safely; duplicate keys and values that cannot be (a 30 February) raise ``SettingsInvalid``."""
    try:
        return yaml.load(text, Loader=_UniqueLoader)  # noqa: S506  # a SafeLoader
    except SettingsInvalid:
        raise
    except (ValueError, TypeError, RecursionError) as exc:
        raise SettingsInvalid(f"a key or value cannot be read: {exc}") from exc


def load(file: Path | None) -> Settings:
    """Read the settings file (None: defaults and environment only).

    Raises:
        SettingsInvalid: unreadable, not a mapping, unknown or wrong keys; the text names the place.
    """
    data: dict[str, Any] = {}
    if file is not None:
        try:
            data = load_yaml(file.read_text(encoding="utf-8")) or {}
        except (OSError, yaml.YAMLError) as exc:
            raise SettingsInvalid(f"{file}: cannot be read as YAML: {exc}") from exc
        if not isinstance(data, dict):
            raise SettingsInvalid(f"{file}: expected a mapping of sections, got {type(data).__name__}")
    data.setdefault("base", str(file.parent.resolve()) if file else str(Path.cwd()))
    try:
        return Settings(**data)
    except ValidationError as exc:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in exc.errors(include_input=False))
        raise SettingsInvalid(f"{file or 'environment'}: {problems}") from exc
