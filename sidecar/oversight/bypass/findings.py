"""Which statements are findings, and how many of a kind make one line of an entry (A1d). Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from sidecar.codes import Code, EntryKind
from sidecar.ledger.attempts import network
from sidecar.oversight.bypass.entries import Known
from sidecar.oversight.bypass.lines import Line, Nothing, Statement, Unreadable, name

MAX_GROUPS: Final = 4096
"""Kinds of findings counted apart in one window; the rest share one."""

NAMED_GROUPS: Final = 12
"""Kinds that an entry names, the most frequent first: with them it fits the larger size class."""

TAMPERED, UNREADABLE, SILENT, TORN = "audit-changed", "unreadable", "silent", "torn"
"""What is wrong with an audit that is incomplete."""

Hash = Callable[[str, str], str]
"""Keyed hash of (kind, value) under the year's key."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What counts as ours.

    Attributes:
        database: the catalog's name.
        users: accounts of the sidecar; none means any.
        accounts: accounts that are not looked at.
        before: how long before a read its inquiry may have begun; skew: how far clocks differ.
    """

    database: str
    users: frozenset[str]
    accounts: frozenset[str]
    before: timedelta
    skew: timedelta

    def judge(self, line: Statement, entries: Mapping[str, Sequence[Known]]) -> Code | None:
        """Why a statement is a finding; None for our own reads and those of accounts that are not looked at."""
        if line.tampers:
            return Code.AUDIT_INCOMPLETE
        if line.user in self.accounts:
            return None
        if not line.ids or (self.users and line.user not in self.users):
            return Code.READ_WITHOUT_INQUIRY
        if any(self._accounts_for(entry, line.time) for one in line.ids for entry in entries.get(one, ())):
            return None
        return Code.READ_WITHOUT_ENTRY

    def _accounts_for(self, entry: Known, time: datetime) -> bool:
        """An entry's id counts for the time of its inquiry only: whoever learns it later cannot read with it."""
        if entry.database != self.database or entry.kind not in {EntryKind.INQUIRY, EntryKind.SYSTEM}:
            return False
        return entry.time - self.skew <= time <= entry.time + self.before + self.skew


@dataclass(frozen=True, slots=True, order=True)
class Group:
    """What findings have in common that are counted together."""

    code: Code
    user: str
    client: str
    action: str
    object: str
    shape: str


@dataclass(slots=True)
class Counted:
    """How many, and since when."""

    first: datetime
    count: int = 0


@dataclass(slots=True)
class Window:
    """The findings of one window of time."""

    start: datetime
    groups: dict[Group, Counted] = field(default_factory=dict)
    _statements: set[tuple[str, Group]] = field(default_factory=set)

    def add(self, group: Group, time: datetime, key: str = "") -> None:
        """Count a finding; the lines of one statement (``key``) count once."""
        if group not in self.groups and len(self.groups) >= MAX_GROUPS:
            group = Group(group.code, "", "", "", "", "other")
        if key:
            if (key, group) in self._statements:
                return
            if len(self._statements) < MAX_GROUPS * 16:
                self._statements.add((key, group))
        counted = self.groups.setdefault(group, Counted(time))
        counted.count += 1

    def note(self, line: Line, rules: Rules, entries: Mapping[str, Sequence[Known]]) -> bool:
        """Judge a line; whether it was a read of our own."""
        if isinstance(line, Nothing):
            return False
        if isinstance(line, Unreadable):
            self.add(Group(Code.AUDIT_INCOMPLETE, "", "", "", "", UNREADABLE), self.start)
            return False
        code = rules.judge(line, entries)
        if code is None:
            return line.user not in rules.accounts
        shape = TAMPERED if line.tampers else line.shape
        self.add(Group(code, line.user, line.client, line.action, line.object, shape), line.time, line.key)
        return False

    @property
    def codes(self) -> tuple[str, ...]:
        """Reason codes of what was found."""
        return tuple(sorted({group.code.value for group in self.groups}))

    @property
    def count(self) -> int:
        """How many statements were found."""
        return sum(counted.count for counted in self.groups.values())

    def told(self, source: str, keyed: Hash) -> dict[str, str]:
        """What the entry says: counts, accounts, tables, times; no value of a statement, and no text of one (P6)."""
        said = {
            "count": str(self.count),
            "from": f"{self.start.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
            "groups": str(len(self.groups)),
            "source": source,
        }
        most = sorted(self.groups.items(), key=lambda item: (-item[1].count, item[0]))[:NAMED_GROUPS]
        return said | {f"found_{rank:02d}": _said(group, counted, keyed) for rank, (group, counted) in enumerate(most)}


def _said(group: Group, counted: Counted, keyed: Hash) -> str:
    """One group in words without blanks: code, account, network and client, action, table, statement, count, first time."""
    reasons = {TAMPERED, UNREADABLE, SILENT, TORN, "other"}
    words = (
        group.code.value,
        f"user={_account(group.user, keyed)}",
        f"net={network(group.client) if group.client else '-'}",
        f"client={keyed('audit_client', group.client) if group.client else '-'}",
        f"action={name(group.action) or '-'}",
        f"table={group.object or '-'}",
        f"statement={group.shape if group.shape in reasons else keyed('audit_statement', group.shape)}",
        f"count={counted.count}",
        f"first={counted.first.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
    )
    return " ".join(words)


def _account(user: str, keyed: Hash) -> str:
    """An account by its name, as the log is about whoever asks; a name that is none by its keyed hash."""
    if not user:
        return "-"
    return name(user) or f"#{keyed('audit_account', user)}"
