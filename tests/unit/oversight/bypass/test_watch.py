"""The watch: what is ours, what is a finding, once each, whatever is killed; nothing of a value is kept (A1d, P6)."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from sidecar.clock import FixedClock
from sidecar.errors import LedgerUnavailable
from sidecar.ledger.build import EntryBuilder, timestamp, uuid7
from sidecar.ledger.entry import decode
from sidecar.ledger.open import open_ledger
from sidecar.ledger.sequencer import Sequencer
from sidecar.ledger.tables import ENTRIES
from sidecar.oversight.bypass import watch as module
from sidecar.oversight.bypass.entries import Entries
from sidecar.oversight.bypass.findings import MAX_GROUPS, NAMED_GROUPS, Rules
from sidecar.oversight.bypass.lines import Watched
from sidecar.oversight.bypass.mariadb import MariaDb
from sidecar.oversight.bypass.pgaudit import PgAuditJson
from sidecar.oversight.bypass.position import Positions
from sidecar.oversight.bypass.watch import BypassWatch, Source, Times
from tests.support.state import NOW, new_state, settings_for

PERSON = "110101200001011234"
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)


class Bench:
    """A ledger with its sequencer, an audit file, a watch and a clock."""

    def __init__(self, folder):
        self.folder, self.clock = folder, FixedClock(NOW)
        self.settings = settings_for(folder)
        self.engine = new_state(self.settings)
        self.ledger = open_ledger(self.settings, self.clock, engine=self.engine)
        self.sequencer = Sequencer(self.engine, self.ledger, self.clock, [])
        self.log = folder / "audit.json"
        self.log.touch()
        self.format, self.number = PgAuditJson(Watched(frozenset({"records"})), UTC), 0
        self.users = frozenset({"sidecar"})

    def close(self):
        self.sequencer.release()
        self.ledger.close()
        self.engine.dispose()

    def watch(self, ledger=None):
        rules = Rules("county", self.users, frozenset({"clerk"}), MINUTE, 5 * SECOND)
        return BypassWatch(
            [Source("county/pgaudit-json", self.folder / "audit.json*", self.format, rules)],
            ledger=ledger or self.ledger,
            positions=Positions(self.engine),
            entries=Entries(self.engine, 12 * MINUTE),
            clock=self.clock,
            keyed=lambda kind, value: f"keyed-{kind}-{len(value)}",
            times=Times(MINUTE, MINUTE, 5 * SECOND),
        )

    def write(self, identifier=None, *, user="intruder", at=None, text="SELECT * FROM records WHERE n = $1", many=1):
        parameters = f"{PERSON},{identifier}" if identifier else PERSON
        for _ in range(many):
            self.number += 1
            message = f'AUDIT: OBJECT,{self.number},1,READ,SELECT,TABLE,public.records,"{text}","{parameters}"'
            written = f"{(at or self.clock.now()):%Y-%m-%d %H:%M:%S.000} UTC"
            line = {"timestamp": written, "user": user, "dbname": "x", "remote_host": "10.1.2.3",
                    "session_id": "s", "message": message}  # fmt: skip
            self.raw(json.dumps(line).encode() + b"\n")

    def raw(self, data):
        with self.log.open("ab") as file:
            file.write(data)

    def inquiry(self, *, at=None, database="county", kind="inquiry", identifier="", extra=None, outcome="allow"):
        """An entry of an inquiry; its id."""
        clock = FixedClock(at or self.clock.now())
        made = EntryBuilder(clock).build(kind, "api", outcome=outcome, extra=extra)
        made = replace(made, database=database, id=identifier or made.id)
        self.ledger.commit(made)
        return made.id

    def later(self, seconds=180):
        self.clock.set(self.clock.now() + seconds * SECOND)
        while self.sequencer.step():
            pass

    def look(self, **options):
        [report] = self.watch().look(**options)
        return report

    def entries(self):
        with self.engine.connect() as connection:
            bodies = connection.execute(select(ENTRIES.c.body)).scalars().all()
        return [found for found in map(decode, bodies) if found["kind"] == "bypass"]

    def codes(self):
        return [(entry["codes"], entry["extra"]["count"]) for entry in self.entries()]


@pytest.fixture
def bench(tmp_path):
    made = Bench(tmp_path)
    made.later(0)
    made.look()
    made.later(60)
    yield made
    made.close()


def test_a_read_of_an_inquiry_is_no_finding(bench):
    bench.write(bench.inquiry(), user="sidecar")
    bench.later()
    report = bench.look()
    assert (report.own, report.findings, bench.entries()) == (1, 0, [])


def test_a_read_without_id_becomes_one_entry(bench):
    bench.write()
    bench.later()
    assert (bench.look().findings, bench.look().findings) == (1, 0)
    [entry] = bench.entries()
    assert (entry["codes"], entry["database"], entry["outcome"]) == (["read-without-inquiry"], "county", "error")


def test_what_an_entry_says_has_no_value_and_no_text_of_a_statement(bench):
    bench.write(text=f"SELECT * FROM records WHERE n = '{PERSON}' -- 张三")
    bench.later()
    report = bench.look()
    [entry] = bench.entries()
    assert entry["extra"] == {
        "count": "1", "from": "2026-11-23T08:01:00Z", "groups": "1", "source": "county/pgaudit-json",
        "found_00": "read-without-inquiry user=intruder net=10.1.2.0/24 client=keyed-audit_client-8 action=READ "
        "table=records statement=keyed-audit_statement-35 count=1 first=2026-11-23T08:01:00Z",
    }  # fmt: skip
    told = json.dumps([entry, report.document()], ensure_ascii=False)
    assert not [word for word in (PERSON, "SELECT", "select", "张三", "10.1.2.3") if word in told]


def test_an_account_that_is_no_plain_name_is_told_by_its_keyed_hash(bench):
    bench.write(user="张三 110101")
    bench.later()
    bench.look()
    assert "user=#keyed-audit_account-9 " in bench.entries()[0]["extra"]["found_00"]


def test_an_id_without_entry_is_told_a_crash_after_the_read(bench):
    bench.write(uuid7(bench.clock.now()), user="sidecar")
    bench.later()
    bench.look()
    assert bench.codes() == [(["read-without-entry"], "1")]


def test_an_id_with_an_entry_does_not_count_in_anothers_statement(bench):
    bench.write(bench.inquiry(), user="intruder")
    bench.later()
    bench.look()
    assert bench.codes() == [(["read-without-inquiry"], "1")]


@pytest.mark.parametrize(
    "entry",
    [{"database": "other"}, {"kind": "attempts"}, {"at": NOW - 10 * MINUTE}, {"at": NOW + 10 * MINUTE}],
    ids=["another-database", "no-inquiry", "used-again-later", "used-before"],
)
def test_an_entry_accounts_for_reads_of_its_database_and_time_only(bench, entry):
    bench.write(bench.inquiry(**entry), user="sidecar")
    bench.later()
    bench.look()
    assert bench.codes() == [(["read-without-entry"], "1")]


def test_an_id_counts_with_any_account_where_none_is_named(bench):
    bench.users = frozenset()
    bench.write(bench.inquiry(), user="anybody")
    bench.later()
    assert bench.look().own == 1


def test_an_account_that_is_not_looked_at_is_neither_ours_nor_found(bench):
    bench.write(user="clerk")
    bench.later()
    report = bench.look()
    assert (report.own, report.findings, report.records) == (0, 0, 1)


def test_a_read_whose_records_were_counted_to_its_twin_is_accounted_for(bench):
    first = uuid7(bench.clock.now())
    twin = bench.inquiry(at=bench.clock.now() - 9 * MINUTE)
    bench.inquiry(identifier=twin, extra={"read": first})
    bench.write(first, user="sidecar")
    bench.later()
    assert (bench.look().own, bench.entries()) == (1, [])


def test_an_entry_that_has_no_position_yet_accounts_for_its_read(bench):
    bench.later()
    bench.write(bench.inquiry(at=bench.clock.now() - 3 * MINUTE), at=bench.clock.now() - 3 * MINUTE, user="sidecar")
    assert (bench.look().own, bench.entries()) == (1, [])


def test_nothing_is_judged_before_its_time_nor_beyond_what_the_sequencer_has_seen(bench):
    bench.write()
    assert bench.look().records == 0
    bench.clock.set(bench.clock.now() + 10 * MINUTE)  # and no sequencer
    assert bench.look().records == 0
    bench.later(0)
    assert bench.look().findings == 1


def test_a_time_in_the_future_is_not_waited_for(bench):
    bench.write(at=bench.clock.now() + timedelta(days=1))
    assert bench.look().findings == 1


def test_a_flood_is_one_entry_a_minute_with_its_numbers(bench):
    start = bench.clock.now()
    bench.write(at=start, many=300)
    bench.write(at=start + MINUTE, many=5)
    bench.write(at=start, many=2)  # late lines do not make a window of their own
    bench.later(300)
    bench.look()
    assert bench.codes() == [(["read-without-inquiry"], "300"), (["read-without-inquiry"], "7")]


def test_a_flood_that_changes_its_values_is_one_finding(bench):
    for number in range(50):
        bench.write(text=f"SELECT * FROM records WHERE n = '{number}' LIMIT {number}")
    bench.later()
    bench.look()
    [entry] = bench.entries()
    assert (entry["extra"]["groups"], entry["extra"]["count"]) == ("1", "50")


def test_a_flood_of_different_findings_is_bounded(bench, monkeypatch):
    monkeypatch.setattr("sidecar.oversight.bypass.findings.MAX_GROUPS", 30)
    for number in range(60):
        bench.write(user=f"user{number}-" + "x" * 50)
    bench.later()
    bench.look()
    [entry] = bench.entries()
    assert (entry["extra"]["groups"], entry["extra"]["count"]) == ("31", "60")
    assert sum(name.startswith("found_") for name in entry["extra"]) == NAMED_GROUPS < MAX_GROUPS


def test_a_statement_that_reads_two_tables_counts_once(bench):
    bench.write()
    bench.raw(bench.log.read_bytes())
    bench.later()
    assert bench.look().findings == 1


def test_lines_that_cannot_be_read_are_told(bench):
    bench.raw(b"{\n" * 7)
    bench.later()
    bench.look()
    assert bench.codes() == [(["audit-incomplete"], "7")]
    assert "statement=unreadable count=7" in bench.entries()[0]["extra"]["found_00"]


def test_a_line_longer_than_what_is_read_at_once_is_told_and_what_follows_is_read(bench, monkeypatch):
    monkeypatch.setattr(module, "MAX_READ", 4096)
    monkeypatch.setattr("sidecar.oversight.bypass.tail.MAX_READ", 4096)
    bench.raw(b"x" * 9000 + b"\n")
    bench.write()
    bench.later()
    bench.look()
    assert (
        sum(int(entry["extra"]["count"]) for entry in bench.entries() if "read-without-inquiry" in entry["codes"]) >= 1
    )
    assert any("audit-incomplete" in entry["codes"] for entry in bench.entries())


def test_switching_the_audit_off_is_told_whoever_does_it(bench):
    bench.write(user="clerk", text="SET pgaudit.role = ''")
    bench.later()
    bench.look()
    assert bench.codes() == [(["audit-incomplete"], "1")]
    assert "user=clerk" in bench.entries()[0]["extra"]["found_00"]


def test_an_audit_that_was_cut_off_is_told(bench):
    bench.write()
    bench.look()
    bench.log.write_bytes(b"")
    bench.later()
    bench.look()
    assert "statement=torn" in bench.entries()[0]["extra"]["found_00"]


def test_an_audit_without_the_reads_of_inquiries_is_told_once(bench):
    for _ in range(3):
        bench.inquiry()
    bench.later()
    assert [bench.look().findings, bench.look().findings] == [1, 0]
    assert "statement=silent" in bench.entries()[0]["extra"]["found_00"]
    bench.write(bench.inquiry(), user="sidecar")
    bench.later()
    assert bench.look().findings == 0
    for _ in range(3):
        bench.inquiry()
    bench.later()
    assert bench.look().findings == 1


def test_refused_inquiries_and_single_ones_are_no_silence(bench):
    for _ in range(5):
        bench.inquiry(outcome="refuse")
        bench.inquiry(database="other")
    bench.inquiry()
    bench.later()
    assert bench.look().findings == 0


def test_rotation_loses_nothing_and_tells_nothing_twice(bench):
    bench.write(many=2)
    bench.later()
    bench.look()
    bench.write(at=bench.clock.now())
    bench.log.rename(bench.folder / "audit.json.1")
    bench.write(at=bench.clock.now() + MINUTE)
    bench.later(300)
    bench.look()
    bench.look()
    assert [count for _, count in bench.codes()] == ["2", "1", "1"]


def test_a_first_look_begins_at_the_end_unless_told_otherwise(tmp_path):
    for options, found in (({}, 0), ({"from_start": True}, 1)):
        folder = tmp_path / str(found)
        folder.mkdir()
        made = Bench(folder)
        made.write()
        made.later()
        made.look(**options)
        made.write()
        made.later()
        assert made.look().findings == 1
        assert len(made.entries()) == found + 1
        made.close()


class Failing:
    """A ledger that breaks before or after it has committed, as a killed process would."""

    def __init__(self, ledger, *, after):
        self.ledger, self.after = ledger, after

    def commit(self, entry, effects=(), meanwhile=None):
        if self.after:
            self.ledger.commit(entry, effects, meanwhile)
        raise LedgerUnavailable("gone")


@pytest.mark.parametrize("after", [False, True], ids=["before-the-commit", "after-the-commit"])
def test_a_watch_that_dies_tells_nothing_twice_and_loses_nothing(bench, after):
    start = bench.clock.now()
    for minute in range(3):
        bench.write(at=start + minute * MINUTE, many=minute + 1)
    bench.later(600)
    for _ in range(2):
        with pytest.raises(LedgerUnavailable):
            list(bench.watch(Failing(bench.ledger, after=after)).look())
    bench.look()
    assert [count for _, count in bench.codes()] == ["1", "2", "3"]


def test_two_watches_of_one_audit_tell_each_finding_once(bench):
    bench.write()
    bench.later()
    entries = module.Entries.find
    second = []

    def racing(self, *arguments):
        if not second:
            second.append(None)
            second[0] = bench.look()
        return entries(self, *arguments)

    bench.write(uuid7(bench.clock.now() - 3 * MINUTE), at=bench.clock.now() - 3 * MINUTE, user="sidecar")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module.Entries, "find", racing)
        first = bench.look()
    assert (first.findings, second[0].findings, len(bench.entries())) == (0, 2, 1)


def test_a_mariadb_statement_is_put_together_across_portions(bench, monkeypatch):
    bench.format = MariaDb(Watched(frozenset({"records"})), UTC)
    monkeypatch.setattr(module, "MAX_READ", 700)
    monkeypatch.setattr("sidecar.oversight.bypass.tail.MAX_READ", 700)
    at = f"{bench.clock.now():%Y%m%d %H:%M:%S}"
    for number in range(40):
        head = f"{at},vm,sidecar,localhost,4,{number}"
        bench.raw(f"{head},READ,x,records,\n{head},QUERY,x,'SELECT \\'{bench.inquiry()}\\'',0\n".encode())
    bench.later()
    report = bench.look()
    assert (report.own, report.findings, report.records) == (40, 0, 80)


def test_a_mariadb_statement_is_put_together_across_a_rotation(bench):
    bench.format = MariaDb(Watched(frozenset({"records"})), UTC)
    head = f"{bench.clock.now():%Y%m%d %H:%M:%S},vm,sidecar,localhost,4,5"
    bench.raw(f"{head},READ,x,records,\n".encode())
    os.utime(bench.log, (bench.clock.now().timestamp() - 9,) * 2)
    bench.log.rename(bench.folder / "audit.json.1")
    bench.raw(f"{head},QUERY,x,'SELECT \\'{bench.inquiry()}\\'',0\n".encode())
    bench.later()
    report = bench.look()
    assert (report.own, report.findings, report.records) == (1, 0, 2)


def test_an_unfinished_line_waits_until_the_file_is_quiet(bench):
    bench.write()
    whole = bench.log.read_bytes()
    bench.log.write_bytes(whole[:-1])
    bench.later()
    os.utime(bench.log, (bench.clock.now().timestamp(),) * 2)
    assert bench.look().findings == 0
    bench.later()
    assert bench.look().findings == 1


def test_times_of_entries_are_read_as_they_are_written():
    assert datetime.fromisoformat(timestamp(NOW)) == NOW
