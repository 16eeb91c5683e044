"""The closed sets of codes that clients, ledger entries and policies share (docs/reason-codes.md).

Every value is kebab-case (reason codes) or snake_case (codes of domain values), ASCII, stable for ever.
A code that is not listed here makes an engine's answer malformed, which denies.
"""

from __future__ import annotations

from enum import StrEnum


class Outcome(StrEnum):
    """What was decided about a request; the HTTP status follows from it."""

    ALLOW = "allow"  # 200
    HOLD = "hold"  # 409: something is missing that can still be brought
    REFUSE = "refuse"  # 403
    REVIEW = "review"  # 202: a person decides


class Scope(StrEnum):
    """What the inquirer asks to see."""

    OPEN = "open"
    SEALED = "sealed"


class View(StrEnum):
    """How one record is shown (the disposition)."""

    FULL = "full"
    LIMITED = "limited"
    OMITTED = "omitted"


class FieldClass(StrEnum):
    """Classes of released fields (Q9, R16b)."""

    ADDRESS = "address"
    CRIME = "crime"
    IDENTITY = "identity"
    IMAGE = "image"
    NARRATIVE = "narrative"
    PROCEDURE = "procedure"
    TERM = "term"


class Channel(StrEnum):
    """The door a request came through."""

    API = "api"
    CLI = "cli"
    DESK = "desk"
    PROXY = "proxy"


class EntryKind(StrEnum):
    """Kinds of ledger entries (P6)."""

    ATTEMPTS = "attempts"
    BYPASS = "bypass"
    CASE = "case"
    CERTIFICATE = "certificate"
    DOSSIER = "dossier"
    INQUIRY = "inquiry"
    POLICY = "policy"
    REGISTRY = "registry"
    SCAN = "scan"
    SYSTEM = "system"


class Role(StrEnum):
    """Roles of token holders; each is accepted from the issuers named for it only."""

    APPROVER = "approver"
    ARCHIVE_CLERK = "archive_clerk"
    OFFICER = "officer"
    OPERATOR = "operator"
    PROSECUTOR = "prosecutor"
    REGISTRAR = "registrar"
    SECURITY_OFFICER = "security_officer"
    UNIT_RESPONDENT = "unit_respondent"
    WINDOW = "window"


class Code(StrEnum):
    """Reason codes, alphabetical. docs/reason-codes.md explains each in both languages; a test holds that."""

    ALREADY_DECIDED = "already-decided"
    APPLICATION_APPROVER_NOT_DISTINCT = "application-approver-not-distinct"
    APPLICATION_EXPIRED = "application-expired"
    APPLICATION_MISMATCH = "application-mismatch"
    APPLICATION_MISSING = "application-missing"
    APPLICATION_NOT_APPROVED = "application-not-approved"
    APPLICATION_REFUSED = "application-refused"
    APPLICATION_UNKNOWN = "application-unknown"
    APPLICATION_WITHDRAWN = "application-withdrawn"
    AUDIT_INCOMPLETE = "audit-incomplete"
    BASIS_LEVEL_INSUFFICIENT = "basis-level-insufficient"
    BASIS_MISSING = "basis-missing"
    BASIS_NOT_FOR_ORGAN = "basis-not-for-organ"
    BASIS_NOT_IN_FORCE = "basis-not-in-force"
    BASIS_NOT_LISTED = "basis-not-listed"
    BODY_INVALID = "body-invalid"
    BODY_TOO_LARGE = "body-too-large"
    CASE_NUMBER_INVALID = "case-number-invalid"
    CASE_NUMBER_MISSING = "case-number-missing"
    CERTIFICATE_EXPIRED = "certificate-expired"
    CERTIFICATE_MISSING = "certificate-missing"
    CERTIFICATE_REVOKED = "certificate-revoked"
    CERTIFICATE_SUSPENDED = "certificate-suspended"
    CHANNEL_NOT_ALLOWED = "channel-not-allowed"
    CLOCK_AWAY = "clock-away"
    CLOCK_BEHIND = "clock-behind"
    CLOCK_FAULT = "clock-fault"
    CONFIGURATION_INVALID = "configuration-invalid"
    COPIES_NOT_APPROVED = "copies-not-approved"
    CURSOR_INVALID = "cursor-invalid"
    DATABASE_CLOSED = "database-closed"
    DATABASE_TIMEOUT = "database-timeout"
    DATABASE_UNAVAILABLE = "database-unavailable"
    DATABASE_UNKNOWN = "database-unknown"
    ENGINE_UNAVAILABLE = "engine-unavailable"
    FIELD_NOT_ALLOWED = "field-not-allowed"
    FIELD_UNKNOWN = "field-unknown"
    IDEMPOTENCY_MISMATCH = "idempotency-mismatch"
    IDENTIFIER_INVALID = "identifier-invalid"
    INTERNAL_ERROR = "internal-error"
    LEDGER_DAMAGED = "ledger-damaged"
    LEDGER_DESTROYED = "ledger-destroyed"
    LEDGER_FORKED = "ledger-forked"
    LEDGER_OPENED = "ledger-opened"
    LEDGER_ROLLED_BACK = "ledger-rolled-back"
    LEDGER_UNAVAILABLE = "ledger-unavailable"
    LETTER_AUDIENCE_MISMATCH = "letter-audience-mismatch"
    LETTER_BASIS_MISMATCH = "letter-basis-mismatch"
    LETTER_DATABASE_MISMATCH = "letter-database-mismatch"
    LETTER_EXPIRED = "letter-expired"
    LETTER_FORGED = "letter-forged"
    LETTER_MALFORMED = "letter-malformed"
    LETTER_MISSING = "letter-missing"
    LETTER_NOT_YET_VALID = "letter-not-yet-valid"
    LETTER_OFFICER_MISMATCH = "letter-officer-mismatch"
    LETTER_PURPOSE_MISMATCH = "letter-purpose-mismatch"
    LETTER_REVOKED = "letter-revoked"
    LETTER_SCOPE_MISMATCH = "letter-scope-mismatch"
    LETTER_SUBJECT_MISMATCH = "letter-subject-mismatch"
    LETTER_UNIT_MISMATCH = "letter-unit-mismatch"
    LETTER_UNKNOWN = "letter-unknown"
    LETTER_USED = "letter-used"
    LOG_UNSIGNED = "log-unsigned"
    METHOD_NOT_ALLOWED = "method-not-allowed"
    NOT_FOUND = "not-found"
    OFFICER_REVOKED = "officer-revoked"
    OFFICER_SUSPENDED = "officer-suspended"
    ORGAN_NEEDS_REVIEW = "organ-needs-review"
    ORGAN_NOT_ENTITLED = "organ-not-entitled"
    PURPOSE_MISSING = "purpose-missing"
    PURPOSE_NOT_ALLOWED = "purpose-not-allowed"
    PURPOSE_UNKNOWN = "purpose-unknown"
    READ_WITHOUT_ENTRY = "read-without-entry"
    READ_WITHOUT_INQUIRY = "read-without-inquiry"
    REASON_MISSING = "reason-missing"
    RESULT_UNBOUNDED = "result-unbounded"
    REVISION_UNAPPROVED = "revision-unapproved"
    ROLE_MISSING = "role-missing"
    SCOPE_NOT_ALLOWED = "scope-not-allowed"
    SEARCH_NOT_ALLOWED = "search-not-allowed"
    SELF_APPROVAL = "self-approval"
    SESSION_MISMATCH = "session-mismatch"
    SESSION_UNKNOWN = "session-unknown"
    STATE_CONFLICT = "state-conflict"
    TOKEN_ALGORITHM = "token-algorithm"  # noqa: S105  # a reason code
    TOKEN_AUDIENCE = "token-audience"  # noqa: S105
    TOKEN_CLAIMS = "token-claims"  # noqa: S105
    TOKEN_EXPIRED = "token-expired"  # noqa: S105
    TOKEN_ISSUER = "token-issuer"  # noqa: S105
    TOKEN_KEY_UNKNOWN = "token-key-unknown"  # noqa: S105
    TOKEN_LIFETIME = "token-lifetime"  # noqa: S105
    TOKEN_MALFORMED = "token-malformed"  # noqa: S105
    TOKEN_MISSING = "token-missing"  # noqa: S105
    TOKEN_NOT_YET_VALID = "token-not-yet-valid"  # noqa: S105
    TOKEN_REVOKED = "token-revoked"  # noqa: S105
    TOKEN_ROLE_ISSUER = "token-role-issuer"  # noqa: S105
    TOKEN_SIGNATURE = "token-signature"  # noqa: S105
    UNDERTAKING_MISSING = "undertaking-missing"
    UNIT_SUSPENDED = "unit-suspended"
    UNIT_UNKNOWN = "unit-unknown"
    WITNESS_SILENT = "witness-silent"
