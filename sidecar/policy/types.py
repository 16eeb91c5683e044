"""What goes into a policy and what comes out: closed, frozen types (P4, P5).

``Facts`` and ``Attributes`` hold states, kinds and codes only, never a number of a subject, officer, letter or token:
no rule, trace or replay can single a person out, and a decision is a pure function of facts and revision.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from sidecar.codes import FieldClass, Outcome, View

SENTENCE_UNKNOWN = -1
"""``sentence_months`` when the decided term cannot be known (R5): undecidable, hence withheld."""

SENTENCE_LIFE_OR_DEATH = 9999
"""``sentence_months`` of life and death sentences (R5)."""


class Minor(StrEnum):
    """Age at the offence against the age of majority (S1, S5, S6, S14)."""

    YES = "yes"
    NO = "no"
    STRADDLES = "straddles"
    UNKNOWN = "unknown"


class MainActs(StrEnum):
    """A person's finding where acts lie on both sides of majority (S6)."""

    BEFORE = "before"
    AFTER = "after"
    UNKNOWN = "unknown"


class Joint(StrEnum):
    """Joint case with others of whom one was a minor (S10, R8)."""

    NONE = "none"
    SEPARATED = "separated"
    UNSEPARATED = "unseparated"
    UNKNOWN = "unknown"


class Era(StrEnum):
    """When the case was concluded, against the dates of S12 and S15 (parameters of the revision)."""

    BEFORE_SEALING_LAW = "before_sealing_law"  # on or before 2012-12-31 (S12)
    BEFORE_VIOLATION_SEALING = "before_violation_sealing"  # before 2026-01-01 (S15)
    CURRENT = "current"
    UNKNOWN = "unknown"


class RecordKind(StrEnum):
    """Kinds of record; the record's class in the table of views is its kind."""

    ACQUITTAL = "acquittal"
    ACQUITTAL_INSUFFICIENT = "acquittal_insufficient"  # S9
    ADMINISTRATIVE_PENALTY = "administrative_penalty"  # S8
    ASSISTANCE = "assistance"  # S7
    COMPULSORY_MEASURE = "compulsory_measure"  # S7
    CORRECTIVE_EDUCATION = "corrective_education"  # S8
    JUDGMENT = "judgment"  # S1–S6
    JUDICIAL_AID = "judicial_aid"  # S7
    NO_LIABILITY = "no_liability"  # S7
    NON_PROSECUTION = "non_prosecution"  # S7, Q4
    PSYCHOLOGICAL = "psychological"  # S7
    SOCIAL_INVESTIGATION = "social_investigation"  # S7
    UNKNOWN = "unknown"
    VIOLATION = "violation"  # S15


@dataclass(frozen=True, slots=True)
class Attributes:
    """Derived attributes of one record: total, over closed domains, never null (P4).

    Attributes:
        minor: age at the offence.
        sentence_months: decided term in months; stand-alone fine 0; ``SENTENCE_UNKNOWN``; ``SENTENCE_LIFE_OR_DEATH``.
        kind: kind of record.
        main_acts: finding under S6 (``unknown`` also where it does not apply).
        joint: joint case and whether the file was separated.
        seal_mark: the record's own mark or the seal register; an unknown mark code is True (R8).
        exempted: exemption from punishment; unknown is True.
        unsealed: a valid unsealing decision with all its parts (U1, R10).
        disclosure_agreed: S9, all of R7's wishes and the court's agreement are recorded.
        era: when the case was concluded.
    """

    minor: Minor
    sentence_months: int
    kind: RecordKind
    main_acts: MainActs
    joint: Joint
    seal_mark: bool
    exempted: bool
    unsealed: bool
    disclosure_agreed: bool
    era: Era

    def as_input(self) -> dict[str, Any]:
        """The JSON object the policies see as ``input.records[i]`` (``input.record`` in the filter)."""
        return {
            "disclosure_agreed": self.disclosure_agreed,
            "era": self.era.value,
            "exempted": self.exempted,
            "joint": self.joint.value,
            "kind": self.kind.value,
            "main_acts": self.main_acts.value,
            "minor": self.minor.value,
            "seal_mark": self.seal_mark,
            "sentence_months": self.sentence_months,
            "unsealed": self.unsealed,
        }


ATTRIBUTE_DOMAINS: Mapping[str, tuple[str | bool, ...] | None] = {
    "disclosure_agreed": (False, True),
    "era": tuple(e.value for e in Era),
    "exempted": (False, True),
    "joint": tuple(e.value for e in Joint),
    "kind": tuple(e.value for e in RecordKind),
    "main_acts": tuple(e.value for e in MainActs),
    "minor": tuple(e.value for e in Minor),
    "seal_mark": (False, True),
    "sentence_months": None,  # integers from -1 to 9999
    "unsealed": (False, True),
}
"""Domain of every attribute; the filter translator refuses any field or value outside it."""


@dataclass(frozen=True, slots=True)
class Classification:
    """What the sealing policy says of one record.

    Attributes:
        is_open: True only where ``open_record`` holds; all else is sealed or treated as sealed.
        record_class: row of the table of views; the record's kind.
        grounds: sorted rule IDs that explain (never decide), e.g. ``("S1", "S13")``. For internal use only: P3.
        review: the record's doubt needs a person (R2). For internal use only: P3.
    """

    is_open: bool
    record_class: str
    grounds: tuple[str, ...]
    review: bool


@dataclass(frozen=True, slots=True)
class Views:
    """The table that a request's decision yields: class of record → view, for open and for sealed records.

    Attributes:
        open: view of open records by class; a class that is not named is omitted.
        sealed: view of sealed records by class; a class that is not named is omitted.
        fields: field classes shown by each view.
        joint_dropped: field classes dropped from every record of a joint case or with a cover mark (R16b).
        cover_mark: whether the cover mark (含犯罪记录封存信息) may be released.
    """

    open: Mapping[str, View]
    sealed: Mapping[str, View]
    fields: Mapping[View, frozenset[FieldClass]]
    joint_dropped: frozenset[FieldClass]
    cover_mark: bool

    def view(self, classification: Classification) -> View:
        """The view of a record; omitted unless the table names its class."""
        table = self.open if classification.is_open else self.sealed
        return table.get(classification.record_class, View.OMITTED)


NO_VIEWS = Views(open={}, sealed={}, fields={}, joint_dropped=frozenset(FieldClass), cover_mark=False)
"""Nothing is shown: what every refusal carries."""


@dataclass(frozen=True, slots=True)
class LetterFacts:
    """State of the unit letter and what it matches. ``state``: absent, valid or invalid; ``code`` only when invalid."""

    state: str = "absent"
    code: str = ""
    kind: str = "none"  # none | jws | paper
    unit_match: bool = False
    officer_match: bool = False
    subject_match: bool = False
    database_match: bool = False
    scope_match: bool = False
    basis_match: bool = False
    purpose_match: bool = False


@dataclass(frozen=True, slots=True)
class ApplicationFacts:
    """State of the application (absent, unknown, draft, submitted, approved, refused, withdrawn, expired) and matches."""

    state: str = "absent"
    officer_match: bool = False
    subject_match: bool = False
    database_match: bool = False
    scope_match: bool = False
    basis_match: bool = False
    purpose_match: bool = False
    approver_distinct: bool = False
    copies_approved: bool = False


@dataclass(frozen=True, slots=True)
class UndertakingFacts:
    """State of the confidentiality undertaking (保密承诺书): absent or signed, and by this officer."""

    state: str = "absent"
    officer_match: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """*The* policy input for one request. JSON schema: policies/schemas/facts.json.

    Attributes:
        channel: ``api`` | ``proxy`` | ``desk``.
        today: the Beijing day, YYYYMMDD as an integer (R3).
        roles: sorted roles of the officer's token, already limited to what its issuer may grant.
        certificate: work certificate: valid | expired | suspended | revoked | missing.
        officer: registry state: active | suspended | revoked.
        organ: kind of organ of the officer's unit, from the registry (a key of ``params.organs``); "" if unknown.
        unit: active | suspended | unknown.
        database: known | unknown.
        target: subject | search.
        scope: open | sealed.
        reason: stated | missing.
        basis: ``<instrument>/<article>`` as a key of ``params.bases``; "" when ``basis_state`` is not ``listed``.
        basis_state: listed | unlisted | missing.
        purpose: a key of ``params.purposes``; "" when ``purpose_state`` is not ``known``.
        purpose_state: known | unknown | missing.
        case_number: missing | malformed | free_form (R12) | court_form (E7).
        documents: whether copies of documents are asked for (Q9); False until a channel offers them.
        letter, application, undertaking: the papers.
    """

    channel: str
    today: int
    roles: tuple[str, ...]
    certificate: str
    officer: str
    organ: str
    unit: str
    database: str
    target: str
    scope: str
    reason: str
    basis: str
    basis_state: str
    purpose: str
    purpose_state: str
    case_number: str
    letter: LetterFacts
    application: ApplicationFacts
    undertaking: UndertakingFacts
    documents: bool = False

    def as_input(self) -> dict[str, Any]:
        """The JSON object that the policies see as ``input``."""
        from dataclasses import asdict  # noqa: PLC0415  # only on a memo miss

        return asdict(self)


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided about a request (P1).

    Attributes:
        outcome: allow, hold, refuse or review.
        codes: sorted reason codes; empty only on allow.
        missing: sorted names of what is missing and should be brought (``letter``, ``undertaking`` …).
        obligations: sorted codes of what must be done with the answer (``keep-to-purpose`` …).
        rules: sorted rule IDs of domain.md that carried the decision, for people and the dossier.
        views: the table of views; ``NO_VIEWS`` unless the outcome is allow.
        revision: label of the revision that decided, e.g. ``7@sha256:ab12…``.
        engine: ``opa`` or ``wasm``.
    """

    outcome: Outcome
    codes: tuple[str, ...]
    missing: tuple[str, ...]
    obligations: tuple[str, ...]
    rules: tuple[str, ...]
    views: Views
    revision: str
    engine: str


@dataclass(frozen=True, slots=True)
class AlertFinding:
    """One alert that the alerts policy raises from an entry: CloudEvents type, severity, rules."""

    type: str
    severity: str  # info | low | medium | high | critical
    rules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LegalParameters:
    """Parameters of law that normalisation needs, read from ``params/data.json`` of the revision (P5).

    Attributes:
        majority_years: full years at which a person is grown up (S1).
        leap_birthday: ``0301`` or ``0228``: birthday in common years of a person born on 29 February (R4).
        sealing_law_from: first conclusion day of the era after S12, YYYYMMDD.
        violation_sealing_from: first day of S15, YYYYMMDD.
        bases: known legal bases, keys ``<instrument>/<article>``.
        instruments: normalised title or alias of an instrument → its id.
        purposes: known purpose codes.
        organs: known kinds of organ.
    """

    majority_years: int
    leap_birthday: str
    sealing_law_from: int
    violation_sealing_from: int
    bases: frozenset[str]
    instruments: Mapping[str, str]
    purposes: frozenset[str]
    organs: frozenset[str]


@dataclass(frozen=True, slots=True)
class Comparison:
    """A leaf of the compiled filter: ``attribute operator value``; operator is one of eq ne lt le gt ge in."""

    attribute: str
    operator: str
    value: str | bool | int | tuple[str | bool | int, ...]


@dataclass(frozen=True, slots=True)
class Conjunction:
    """All parts hold; an empty one is true."""

    parts: tuple[FilterNode, ...]


@dataclass(frozen=True, slots=True)
class Disjunction:
    """At least one part holds; an empty one is false."""

    parts: tuple[FilterNode, ...]


@dataclass(frozen=True, slots=True)
class Negation:
    """The part does not hold (safe: no attribute is ever null)."""

    part: FilterNode


FilterNode = Comparison | Conjunction | Disjunction | Negation
"""``open_record`` of a revision, compiled by OPA (UCAST) and translated; the same for every request."""


class Engine(Protocol):
    """Decides by the active revision. Implementations are thread-safe and never default to allow.

    Every method raises ``EngineUnavailable`` on an error, a time-out, an undefined or malformed answer, a wrong row
    count or an unknown code, and ``RevisionUnapproved`` when the answer comes from another revision than the active one.
    """

    name: str
    revision: str

    @property
    def available(self) -> bool:
        """Whether the engine is there, without asking it; nothing remembered is given while it is not."""

    def decide(self, facts: Facts) -> Decision:
        """Decide a request (step 4). Memoised by the digest of the canonical facts."""

    def classify(self, records: Sequence[Attributes]) -> list[Classification]:
        """Classify records, in order (step 7). Cached by attribute tuple and revision."""

    def alerts(self, entry: Mapping[str, Any]) -> list[AlertFinding]:
        """Alerts that an entry's clear fields (kind, channel, scope, outcome, codes) raise, in stable order."""

    def close(self) -> None:
        """Release what the engine holds; a later call raises ``EngineUnavailable``."""
