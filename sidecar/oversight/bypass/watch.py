"""The watch: reads each audit as far as entries can be expected, and records what was found (A1d, E3).

One look at a source:

1. How far: what is younger than ``grace_seconds`` is left for later, and what the sequencer has not seen yet.
2. Read on where the last look ended, record by record; put together what several records tell of one statement.
3. Ask the ledger for the ids that were read under; judge.
4. Commit one entry a window of time, together with the position behind it. A crash in between leaves both or neither:
   nothing is told twice and nothing is lost.
5. Where there were inquiries and none of their reads is in the audit, the audit is silent: that is told once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from sidecar.clock import Clock
from sidecar.codes import Channel, Code, EntryKind
from sidecar.ledger.build import EntryBuilder, milliseconds
from sidecar.ledger.types import EffectRefused, Ledger
from sidecar.oversight.bypass.entries import Entries, Known
from sidecar.oversight.bypass.findings import SILENT, TORN, Group, Hash, Rules, Window
from sidecar.oversight.bypass.lines import Format, Line, Nothing, Statement, Unreadable
from sidecar.oversight.bypass.position import Position, Positions
from sidecar.oversight.bypass.tail import MAX_READ, Log, logs

SILENT_INQUIRIES: Final = 3
"""So many inquiries without one read in the audit mean that it is not written; one may have been a session's opening."""


@dataclass(frozen=True, slots=True)
class Source:
    """One audit.

    Attributes:
        name: of its position; database and format.
        pattern: its files.
        format: reads them.
        rules: what counts as ours.
    """

    name: str
    pattern: Path
    format: Format
    rules: Rules


@dataclass(frozen=True, slots=True)
class Times:
    """Bounds of waiting: behind the present, of one entry, between clocks."""

    grace: timedelta
    window: timedelta
    skew: timedelta


@dataclass(slots=True)
class Report:
    """One look at one source, for people; no account or table is in it that is not in the entries.

    Attributes:
        records: records read; own: reads of our own among them; findings: statements that are findings.
        entries: ids of the entries made; found: what they say.
        until: up to when the audit was judged.
    """

    database: str
    source: str
    until: datetime
    records: int = 0
    own: int = 0
    findings: int = 0
    entries: list[str] = field(default_factory=list)
    found: list[dict[str, str]] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "database": self.database,
            "entries": self.entries,
            "findings": self.findings,
            "found": self.found,
            "own": self.own,
            "records": self.records,
            "source": self.source,
            "until": f"{self.until.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        }


@dataclass(slots=True)
class _Look:
    """One look on its way: where it is, up to when it judges, what it has found."""

    source: Source
    position: Position
    now: datetime
    horizon: datetime
    report: Report
    dirty: bool = False


class BypassWatch:
    """Looks at audits. One thread; several processes may watch the same: what one has recorded the others do not."""

    def __init__(
        self,
        sources: Sequence[Source],
        *,
        ledger: Ledger,
        positions: Positions,
        entries: Entries,
        clock: Clock,
        keyed: Hash,
        times: Times,
    ) -> None:
        self._sources = sources
        self._ledger = ledger
        self._positions = positions
        self._entries = entries
        self._clock = clock
        self._keyed = keyed
        self._times = times
        self._builder = EntryBuilder(clock)

    def look(self, *, from_start: bool = False) -> Iterator[Report]:
        """Look at every source once.

        Args:
            from_start: a source that was never looked at is read from its start, not from its present end.

        Raises:
            ConfigurationError: an audit's files are not there or cannot be read.
            LedgerUnavailable: state database or ledger do not answer; the next look goes on where this one stood.
        """
        for source in self._sources:
            yield self._source(source, from_start=from_start)

    def _source(self, source: Source, *, from_start: bool) -> Report:
        now = self._clock.now()
        horizon = _floor(min(now, self._entries.beat()) - self._times.grace, self._times.window)  # 1
        report = Report(source.rules.database, source.name, horizon)
        position = self._positions.load(source.name)
        if position is None:
            position = self._begin(source, now, from_start=from_start)
        if position is None:
            return report
        look = _Look(source, position, now, horizon, report)
        try:
            self._read(look)
        except EffectRefused:  # another watch was first: what it recorded is not ours to record
            return report
        return report

    def _begin(self, source: Source, now: datetime, *, from_start: bool) -> Position | None:
        """A first look: what was read before there was a watch is not its business, unless it is told so."""
        position = Position(source.name, 0, milliseconds(now))
        for log in logs(source.pattern, {}):
            position = position.at(log.key, log.place(0 if from_start else log.size))
        return position if self._positions.begin(position) else None

    def _read(self, look: _Look) -> None:
        present = set()
        for log in logs(look.source.pattern, look.position.files):
            present.add(log.key)
            self._log(look, log)
        kept = {key: place for key, place in look.position.files.items() if key in present}
        if kept != dict(look.position.files):
            look.position, look.dirty = replace(look.position, files=kept), True
        self._listen(look)  # 5
        if look.dirty and self._positions.store(look.position):
            look.position = look.position.moved()

    def _log(self, look: _Look, log: Log) -> None:
        """2 to 4 for one file."""
        offset, window = log.start, None
        if log.torn:
            window = Window(look.horizon)
            window.add(Group(Code.AUDIT_INCOMPLETE, "", "", "", "", TORN), look.horizon)
        while lines := self._portion(look, log, offset):
            found = self._known([line for line, _ in lines])
            for line, length in lines:
                start = self._start(line)
                if window is None or (start is not None and start > window.start):
                    self._commit(look, log, window, offset)
                    window = Window(start or look.horizon)
                if window.note(line, look.source.rules, found) and isinstance(line, Statement):
                    self._own(look, line)
                offset += length
            look.report.records += len(lines)
        self._commit(look, log, window, offset)

    def _start(self, line: Line) -> datetime | None:
        time = line.time if isinstance(line, Statement | Nothing) else None
        return None if time is None else _floor(time, self._times.window)

    def _own(self, look: _Look, line: Statement) -> None:
        look.report.own += 1
        last = max(look.position.own, milliseconds(line.time))
        look.position = replace(look.position, own=last, silent=False)

    def _portion(self, look: _Look, log: Log, offset: int) -> list[tuple[Line, int]]:
        """The next lines that can be judged, with their lengths."""
        data = log.read(offset)
        quiet = log.changed < (look.horizon - self._times.grace).timestamp()
        end = len(data) < MAX_READ
        records = list(look.source.format.split(data, final=end and quiet))
        if not records:
            return [] if end or not data else [(Unreadable(), len(data))]
        lines = self._joined(look.source.format, records, log if end else None)
        young = next((i for i, line in enumerate(lines) if self._young(look, line)), len(lines))
        if not end:  # what the next portion has the rest of waits for it, but never for ever
            half = len(lines) // 2
            parted = (i for i, line in enumerate(lines) if i > half and isinstance(line, Statement) and not line.whole)
            young = min(young, next(parted, len(lines)))
        return [(line, len(record)) for line, record in zip(lines[:young], records, strict=False)]

    def _joined(self, form: Format, records: Sequence[bytes], log: Log | None) -> list[Line]:
        """Records put together, at a file's end with what the following file begins with."""
        parsed = [form.parse(record) for record in records]
        lines = form.join(parsed)
        if log is None or all(line.whole for line in lines if isinstance(line, Statement)):
            return lines
        further = [form.parse(record) for record in form.split(log.ahead(), final=False)]
        return form.join([*parsed, *further])[: len(parsed)]

    def _young(self, look: _Look, line: Line) -> bool:
        """Whether a line's entry may still be made. A time in the future is a clock that is wrong: waiting helps nobody."""
        time = line.time if isinstance(line, Statement | Nothing) else None
        return time is not None and look.horizon <= time <= look.now + self._times.skew

    def _known(self, lines: Sequence[Line]) -> Mapping[str, list[Known]]:
        """3."""
        statements = [line for line in lines if isinstance(line, Statement) and line.ids]
        if not statements:
            return {}
        times = [line.time for line in statements]
        return self._entries.find({one for line in statements for one in line.ids}, min(times), max(times))

    def _commit(self, look: _Look, log: Log, window: Window | None, offset: int) -> None:
        """4."""
        place = log.place(offset)
        if look.position.files.get(log.key) != place:
            look.position, look.dirty = look.position.at(log.key, place), True
        if window is not None and window.groups:
            self._record(look, window)

    def _record(self, look: _Look, window: Window) -> None:
        extra = window.told(look.source.name, self._keyed)
        entry = replace(
            self._builder.build(EntryKind.BYPASS, Channel.CLI, outcome="error", codes=window.codes, extra=extra),
            database=look.source.rules.database,
        )
        self._ledger.commit(entry, [look.position.effect()])
        look.position, look.dirty = look.position.moved(), False
        look.report.findings += window.count
        look.report.entries.append(entry.id)
        look.report.found.append(extra)

    def _listen(self, look: _Look) -> None:
        """5."""
        position = look.position
        if position.silent:
            return
        after = datetime.fromtimestamp(max(position.own, position.started) / 1000, UTC) + self._times.skew
        if after < look.horizon:
            missed = self._entries.newest(look.source.rules.database, after, look.horizon)
            if missed >= SILENT_INQUIRIES:
                window = Window(look.horizon)
                window.add(Group(Code.AUDIT_INCOMPLETE, "", "", "", "", SILENT), look.horizon)
                look.position = replace(position, silent=True)
                self._record(look, window)


def _floor(instant: datetime, window: timedelta) -> datetime:
    """The start of an instant's window."""
    seconds = int(window.total_seconds())
    return datetime.fromtimestamp(int(instant.timestamp()) // seconds * seconds, UTC)
