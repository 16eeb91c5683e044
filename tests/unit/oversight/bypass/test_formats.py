"""Lines of audits: what each tells, and that no line, however hostile, breaks a reader or hides a read."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.errors import ConfigurationError
from sidecar.oversight.bypass.access import AccessLog
from sidecar.oversight.bypass.lines import MAX_RECORD, Nothing, Statement, Unreadable, Watched, shape
from sidecar.oversight.bypass.mariadb import MariaDb
from sidecar.oversight.bypass.pgaudit import PgAuditCsv, PgAuditJson, fields, instant
from sidecar.settings import AuditSource

ID = "0193a5f0-0000-7000-8000-000000000001"
WATCHED = Watched(frozenset({"records"}), "x")
SHANGHAI = ZoneInfo("Asia/Shanghai")
COMBINED = AuditSource.model_fields["log_format"].default
AT = datetime(2026, 11, 24, 13, 8, 14, tzinfo=UTC)


def make(kind):
    if kind == "access":
        return AccessLog(COMBINED, "Inquiry-Id", frozenset({"/health"}))
    return {"json": PgAuditJson, "csv": PgAuditCsv, "mariadb": MariaDb}[kind](WATCHED, SHANGHAI)


def quoted(text):
    return '"' + text.replace('"', '""') + '"' if set(text) & set(',"\r\n') else text


def audit(text="select 1", parameters="<none>", *, table="public.records", kind="OBJECT", number="2"):
    line = ",".join([kind, number, "1", "READ", "SELECT", "TABLE", quoted(table), quoted(text), quoted(parameters)])
    return f"AUDIT: {line}"


def record(message, **changes):
    row = {"timestamp": "2026-11-24 21:08:14.443 CST", "user": "u", "dbname": "x", "remote_host": "10.0.0.9",
           "session_id": "6b058c3e.3bdc", "message": message} | changes  # fmt: skip
    return json.dumps(row).encode() + b"\n"


def csv_record(message, user="u"):
    head = ["2026-11-24 21:08:14.443 CST", quoted(user), "x", "1", "10.0.0.9:5123", "6b058c3e.3bdc", "2", "BIND"]
    rest = ["2026-11-24 21:08:14 CST", "3/11", "0", "LOG", "00000", quoted(message)]
    return (",".join([*head, *rest, *[""] * 9]) + "\n").encode()


def maria(event, rest, user="u", query=7):
    return f"20261124 21:08:14,vm,{user},10.0.0.9,4,{query},{event},{rest}\n".encode()


def request(asked="GET /records/1101?x=1 HTTP/1.1", inquiry="-", user="sidecar", agent="sidecar"):
    return f'10.0.0.9 - {user} [24/Nov/2026:21:08:14 +0800] "{asked}" 200 17 "-" "{agent}" "{inquiry}"\n'.encode()


def joined(reader, *lines):
    return reader.join([reader.parse(line) for line in lines])


# --- PostgreSQL ------------------------------------------------------------------------------------------------------


def test_a_bound_id_is_found_among_awkward_parameters():
    parameters = f'1,"a""b,c\nd",{ID}'
    for kind, line in (
        ("json", record(audit("select $1", parameters))),
        ("csv", csv_record(audit("select $1", parameters))),
    ):
        found = make(kind).parse(line)
        assert isinstance(found, Statement)
        assert (found.ids, found.object, found.user, found.client) == ((ID,), "records", "u", "10.0.0.9")
        assert found.time == AT.replace(microsecond=443000)


def test_an_id_in_a_statements_text_or_within_a_parameter_does_not_count():
    for line in (audit(f"select 1 /* {ID} */"), audit("select $1", f"x{ID}"), audit("select $1", f"{ID} {ID}")):
        assert make("json").parse(record(line)).ids == ()


def test_another_table_another_database_and_an_ordinary_record_are_nothing():
    reader = make("json")
    other = audit(table="public.other")
    lines = (record(other), record(audit(), dbname="y"), record("checkpoint starting: time"))
    assert all(isinstance(line, Nothing) for line in joined(reader, *lines))


def test_names_of_tables_are_compared_without_schema_quotes_and_case():
    assert all(make("json").parse(record(audit(table=name))).object == "records" for name in ('a."Records"', "RECORDS"))


def test_a_session_line_without_object_counts_where_the_text_names_a_table():
    told = [record(audit(text, table="", kind="SESSION")) for text in ("select * from Records r", "select recordsx")]
    assert [isinstance(line, Statement) for line in joined(make("json"), *told)] == [True, False]


def test_a_repeated_statement_has_the_parameters_of_its_first_line():
    reader = make("json")
    first = record(audit("select $1", ID, table="public.other"))
    again = record(audit("<previously logged>", "<previously logged>"))
    assert [getattr(line, "ids", None) for line in joined(reader, first, again)] == [None, (ID,)]
    [alone] = joined(reader, again)
    assert alone.ids == ()


def test_switching_the_audit_off_is_told_whatever_table_it_names():
    line = record(audit("SET pgaudit.role = ''", table="", kind="SESSION"))
    [found] = joined(make("json"), line)
    assert found.tampers


@pytest.mark.parametrize(
    "line",
    [b"", b"\n", b"[]", b"{", b'{"message": 5}', record(audit(), timestamp=5), record(audit(), timestamp="now"),
     record("AUDIT: OBJECT,1"), record('AUDIT: "'), record(audit(), timestamp="2026-02-30 00:00:00 UTC")],
)  # fmt: skip
def test_what_is_no_record_of_jsonlog_is_unreadable(line):
    assert make("json").parse(line) == Unreadable()


def test_a_csv_record_ends_where_its_quotes_are_even():
    reader, line = make("csv"), csv_record(audit("select '\n2026-11-24 forged'", ID))
    data = line + csv_record("checkpoint") + b'2026,"open'
    assert list(reader.split(data, final=False)) == [line, csv_record("checkpoint")]
    assert list(reader.split(data, final=True))[-1] == b'2026,"open'
    assert reader.parse(b"1,2\n") == reader.parse(b'"\n') == Unreadable()


@pytest.mark.parametrize(
    ("written", "hour"), [("UTC", 21), ("GMT", 21), ("CST", 13), ("+08", 13), ("+09:30", 12), ("-03", 24)]
)
def test_times_are_read_with_their_zone(written, hour):
    found = instant(f"2026-11-24 21:45:00.5 {written}", SHANGHAI)
    assert found.hour + 24 * (found.day - 24) == hour


def test_times_that_cannot_be_are_none():
    assert instant("0001-01-01 00:00:00 +14", SHANGHAI) is None
    assert instant("2026-11-24T21:45:00", SHANGHAI) is None


@given(st.lists(st.text(), min_size=1))
def test_fields_of_csv_come_back(texts):
    assert fields(",".join('"' + text.replace('"', '""') + '"' for text in texts)) == texts


# --- MariaDB ---------------------------------------------------------------------------------------------------------


def test_a_tables_line_has_its_statements_id_and_shape():
    read, text = maria("READ", "x,records,"), maria("QUERY", f"x,'SELECT \\'{ID}\\' a, 5 FROM v',0")
    [found, nothing] = joined(make("mariadb"), read, text)
    assert (found.ids, found.object, found.action, found.whole, found.time) == ((ID,), "records", "READ", True, AT)
    assert (found.shape, isinstance(nothing, Nothing)) == ("select ? a, ? from v", True)


def test_a_tables_line_without_its_statement_is_a_read_without_id():
    [found] = joined(make("mariadb"), maria("READ", "x,records,"))
    assert (found.ids, found.whole) == ((), False)


def test_other_tables_databases_and_connections_are_nothing():
    lines = [
        maria("READ", "x,other,"),
        maria("READ", "y,records,"),
        maria("CONNECT", "x,,0"),
        maria("QUERY", "x,'a',0"),
    ]
    assert all(isinstance(line, Nothing) for line in joined(make("mariadb"), *lines))


def test_dropping_and_renaming_a_watched_table_are_told():
    lines = [maria("DROP", "x,records,"), maria("RENAME", "x,records|x.hidden,"), maria("RENAME", "x,a|x.records,")]
    assert [isinstance(line, Statement) for line in joined(make("mariadb"), *lines)] == [True, True, False]


def test_switching_the_plugin_off_is_told():
    lines = [
        maria("QUERY", f"x,'{text}',0") for text in ("SET GLOBAL server_audit_logging=OFF", "uninstall soname \\'a\\'")
    ]
    assert all(line.tampers for line in joined(make("mariadb"), *lines))


@pytest.mark.parametrize(
    "line",
    [b"\n", b"20261124 21:08:14,vm,u,h,4,7,READ\n", maria("READ", "x,rec,ords,"), maria("SHOUT", "x,y,"),
     maria("QUERY", "x,'open"), maria("CONNECT", "x"), maria("READ", "x,records,").replace(b"1124", b"1324"),
     # an account whose name says that it only connects
     maria("READ", "x,records,", user="u,h,1,2,CONNECT,"), maria("READ", "x,records,", user="u,h,1,2,QUERY,x,'a',0")],
)  # fmt: skip
def test_what_is_no_line_of_the_plugin_is_unreadable(line):
    assert make("mariadb").parse(line) == Unreadable()


# --- access logs -----------------------------------------------------------------------------------------------------


def test_a_request_has_its_header_and_no_number_of_its_path():
    found = make("access").parse(request(inquiry=ID))
    assert (found.ids, found.user, found.client, found.action) == ((ID,), "sidecar", "10.0.0.9", "GET")
    assert (found.shape, found.time) == ("GET /records/?", AT)


def test_a_request_without_header_or_with_another_text_has_no_id():
    assert make("access").parse(request()).ids == make("access").parse(request(inquiry=ID + "0")).ids == ()


def test_an_unwatched_path_is_exact():
    asked = ("GET /health HTTP/1.1", "GET /health/../records HTTP/1.1", "GET /health?a HTTP/1.1", "-")
    found = [make("access").parse(request(each)) for each in asked]
    assert [isinstance(line, Nothing) for line in found] == [True, False, True, True]


def test_bytes_that_are_no_request_are_told_as_one():
    assert isinstance(make("access").parse(request("\\x16\\x03\\x01")), Statement)


@pytest.mark.parametrize(
    "line",
    [b"\n", request().replace(b"Nov", b"Nox"), request().replace(b"24/", b"32/"), request(agent='a" "b'),
     request(user="a [24/Nov/2026:01:00:00 +0000] b"), request()[:-3]],
)  # fmt: skip
def test_what_is_no_line_of_the_format_is_unreadable(line):
    assert make("access").parse(line) == Unreadable()


def test_iso_times_are_read_and_need_an_offset():
    reader = AccessLog('$time_iso8601 "$request" "$http_x_inquiry"', "X-Inquiry", frozenset())
    assert reader.parse(b'2026-11-24T21:08:14+08:00 "GET / HTTP/1.1" "-"\n').time == AT
    assert reader.parse(b'2026-11-24T21:08:14 "GET / HTTP/1.1" "-"\n') == Unreadable()


@pytest.mark.parametrize(
    ("log_format", "told"),
    [("$request $http_inquiry_id", "the time"), ('[$time_local] "$request"', "missing: http_inquiry_id"),
     ("$time_local$request $http_inquiry_id", "something between")],
)  # fmt: skip
def test_a_format_that_cannot_be_watched_is_refused(log_format, told):
    with pytest.raises(ConfigurationError, match=told):
        AccessLog(log_format, "Inquiry-Id", frozenset())


# --- all -------------------------------------------------------------------------------------------------------------

KINDS = pytest.mark.parametrize("kind", ["json", "csv", "mariadb", "access"])
GOOD = {
    "json": record(audit("select $1", ID)),
    "csv": csv_record(audit("select $1", ID)),
    "mariadb": maria("READ", "x,records,"),
    "access": request(inquiry=ID),
}


@KINDS
@given(data=st.binary(max_size=300))
def test_no_bytes_break_a_reader(kind, data):
    reader = make(kind)
    records = list(reader.split(data, final=True))
    assert b"".join(records) == data
    assert len(reader.join([reader.parse(each) for each in records])) == len(records)


@KINDS
@given(place=st.integers(0, 400), noise=st.binary(max_size=12))
def test_no_noise_in_a_line_breaks_a_reader(kind, place, noise):
    line = GOOD[kind]
    make(kind).parse(line[:place] + noise + line[place:])


@KINDS
def test_what_is_split_is_whole_and_what_is_too_long_is_unreadable(kind):
    reader = make(kind)
    assert list(reader.split(GOOD[kind] * 2 + b"rest", final=False)) == [GOOD[kind]] * 2
    assert reader.parse(b"a" * (MAX_RECORD + 1)) == Unreadable()


@given(user=st.text(st.characters(blacklist_characters='\\\n\r"', blacklist_categories=["Cs", "Cc"])), text=st.text())
def test_no_account_or_agent_of_a_client_forges_an_id(user, text):
    escaped = "".join(c if c.isprintable() and c not in '"\\' else f"\\x{ord(c):02X}" for c in text)
    found = make("access").parse(request(user=user, agent=escaped))
    assert isinstance(found, Unreadable) or found.ids == ()


def test_a_shape_has_no_value_in_it():
    text = """SELECT a FROM "T" WHERE n = '110101200001011234' AND b IN (1, 2.5, 0x1F) -- 张三\n AND c = E'it\\'s' /* x */"""
    assert shape(text) == "select a from ? where n = ? and b in (?, ?, ?) ? and c = e? ?"
    assert shape("select '张三") == "select ?"


@given(st.text(alphabet="'\\\"/*-#0a \n", max_size=400))
def test_a_shape_of_any_text_is_made(text):
    assert "0" not in shape(text)
