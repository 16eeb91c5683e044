"""Tables of the papers: letters and their uses, inquiries, applications, undertakings, seal register (Q5–Q8, R17, P6).

No table holds a subject's number or name in clear: subjects are pseudonyms with the id of the year's key, texts are
sealed blobs. Times are POSIX milliseconds where the name says nothing, POSIX seconds where noted, days YYYYMMDD.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, ForeignKey, Index, LargeBinary, String, Table, Text

from sidecar.storage.metadata import METADATA

OFFICER_LENGTH = 255 + 1 + 128
"""Characters of ``issuer|subject``."""

COUNTER_LENGTH = 18 + 1 + 64
"""Characters of a letter's counter: ``unit|number``."""

LETTERS = Table(
    "letters",
    METADATA,
    Column("unit", String(18), primary_key=True),
    Column("number", String(64), primary_key=True),
    Column("officer", String(128), nullable=False),
    # JSON list of ``<key id> <pseudonym>``.
    Column("subjects", Text, nullable=False),
    # JSON list of names.
    Column("databases", Text, nullable=False),
    Column("scope", String(16), nullable=False),
    Column("instrument", String(255), nullable=False),
    Column("article", String(64), nullable=False),
    Column("purpose", String(64), nullable=False),
    Column("first_day", BigInteger, nullable=False),
    Column("last_day", BigInteger, nullable=False),
    Column("uses", BigInteger, nullable=False),
    Column("registered_by", String(OFFICER_LENGTH), nullable=False),
    Column("registered", BigInteger, nullable=False),
    CheckConstraint("scope IN ('open', 'sealed')", name="scope"),
    CheckConstraint("uses >= 1", name="uses"),
)
"""Paper letters that the window registered; ``officer`` is the ``sub`` it names. Both days are inclusive (R17)."""

REVOKED_LETTERS = Table(
    "revoked_letters",
    METADATA,
    Column("counter", String(COUNTER_LENGTH), primary_key=True),
    Column("revoked", BigInteger, nullable=False),
)
"""Letters taken back, signed ones and paper ones, by ``Letter.counter``."""

LETTER_USES = Table(
    "letter_uses",
    METADATA,
    # In clear: a hash under a year's key would begin to count anew every year.
    Column("counter", String(COUNTER_LENGTH), primary_key=True),
    Column("used", BigInteger, nullable=False),
    CheckConstraint("used >= 1", name="used"),
)
"""Uses by ``Letter.counter``, of every kind of letter; changed with a ledger entry only. Never purged (R17)."""

INQUIRIES = Table(
    "inquiries",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("officer", String(OFFICER_LENGTH), nullable=False),
    # Keyed hash of the request's digest, by the key of the year in the id: a bare digest could be guessed (P6).
    Column("request", String(32), nullable=False),
    # POSIX seconds until which the inquiry has further pages.
    Column("expires", BigInteger, nullable=False, index=True),
    Column("pages", BigInteger, nullable=False),
)
"""Inquiries whose use their following pages and repeated requests share; purged when they are over."""

SESSIONS = Table(
    "inquiry_sessions",
    METADATA,
    # The inquiry's id; its use of the letter is the session's.
    Column("id", String(36), primary_key=True),
    # Keyed by the password, which stands nowhere: HMAC-SHA-256, hex.
    Column("verifier", String(64), nullable=False),
    # Officer and facts, sealed with AES-256-GCM under a key that the password gives.
    Column("content", LargeBinary, nullable=False),
    # POSIX seconds.
    Column("expires", BigInteger, nullable=False, index=True),
)
"""Inquiry sessions of legacy clients, purged when they are over. Without the password nobody can read one (P6)."""

IDEMPOTENCY_KEYS = Table(
    "idempotency_keys",
    METADATA,
    Column("officer", String(OFFICER_LENGTH), primary_key=True),
    # SHA-256 of the key, hex: the client chose its text.
    Column("key", String(64), primary_key=True),
    Column("inquiry", String(36), nullable=False),
    # POSIX seconds until which it is remembered, never longer than the inquiry; then it may be taken again.
    Column("expires", BigInteger, nullable=False, index=True),
)
"""Remembered ``Idempotency-Key`` headers and the inquiries they belong to."""

APPLICATIONS = Table(
    "applications",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("officer_issuer", String(255), nullable=False),
    Column("officer", String(128), nullable=False),
    Column("unit", String(18), nullable=False),
    Column("subject", String(64), nullable=False),
    Column("subject_key", String(64), nullable=False),
    Column("database", String(64), nullable=False),
    Column("scope", String(16), nullable=False),
    Column("basis", String(512), nullable=False),
    Column("purpose", String(64), nullable=False),
    Column("received", BigInteger, nullable=False),
    # POSIX seconds; of a draft and of an approval.
    Column("valid_to", BigInteger, nullable=True),
    Column("approver", String(OFFICER_LENGTH), nullable=True),
    Column("copies_approved", Boolean, nullable=False),
    Column("undertaking_by", String(OFFICER_LENGTH), nullable=True),
    Column("content", LargeBinary, nullable=False),
    Column("content_key_id", String(36), nullable=False),
    CheckConstraint(
        "state IN ('draft', 'submitted', 'approved', 'refused', 'withdrawn', 'expired')",
        name="state",
    ),
    CheckConstraint("scope IN ('open', 'sealed')", name="scope"),
    Index("ix_applications_unit_state", "unit", "state"),
)
"""Applications. ``subject``: pseudonym under ``subject_key``; ``version`` counts changes (optimistic locking);
``approver`` and ``undertaking_by`` are ``issuer|subject``; ``content``: subject, reason and texts, sealed; of a refused
one the refusal alone, empty where it is withdrawn or over."""

APPLICATION_EVENTS = Table(
    "application_events",
    METADATA,
    Column("application", String(36), ForeignKey("applications.id"), primary_key=True),
    # The application's version after the event.
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("action", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("actor", String(OFFICER_LENGTH), nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("entry_id", String(36), nullable=False),
)
"""What happened to an application, in order; only added to."""

UNDERTAKINGS = Table(
    "undertakings",
    METADATA,
    Column("application", String(36), ForeignKey("applications.id"), primary_key=True),
    Column("officer", String(OFFICER_LENGTH), nullable=False),
    Column("signed", BigInteger, nullable=False),
    # SHA-256 of the wording that was signed.
    Column("wording", LargeBinary(32), nullable=False),
    Column("entry_id", String(36), nullable=False),
)
"""Confidentiality undertakings (Q8): who signed which wording when."""

SEAL_REGISTER = Table(
    "seal_register",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("database", String(64), nullable=False),
    Column("record_key", String(255), nullable=False),
    Column("subject", String(64), nullable=False),
    Column("subject_key", String(64), nullable=False),
    Column("effect", String(8), nullable=False),
    Column("number", String(64), nullable=False),
    Column("authority", String(200), nullable=False),
    Column("date", BigInteger, nullable=False),
    Column("ground", String(64), nullable=False),
    Column("entered_by", String(OFFICER_LENGTH), nullable=False),
    Column("confirmed_by", String(OFFICER_LENGTH), nullable=False),
    Column("created", BigInteger, nullable=False),
    CheckConstraint("effect IN ('seal', 'unseal')", name="effect"),
    CheckConstraint("entered_by <> confirmed_by", name="two_people"),
    Index("ix_seal_register_database_record_key", "database", "record_key"),
    Index("ix_seal_register_subject", "subject_key", "subject"),
)
"""Decisions to seal and unseal that the legacy databases do not hold; ``date``: the day of the decision."""

SEAL_REGISTER_VERSION = Table(
    "seal_register_version",
    METADATA,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    # Another random text after every import: never the same again, not even after the database was set back.
    Column("version", String(36), nullable=False),
    CheckConstraint("id = 1", name="single"),
)
"""One row once there was an import: what is kept in memory of the register is compared with it at every answer."""
