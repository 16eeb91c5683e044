"""Answers of an HTTP service: what is found in them, and what is made from the route's template."""

from __future__ import annotations

import pytest

from sidecar.records.answers import Unmappable, open_form
from sidecar.records.calls import Incoming, OpenRoute
from sidecar.records.routes import Answer, Route
from sidecar.records.types import Subject
from sidecar.records.wire_json import JUNK, BodyFault

COLUMNS = ("A", "B", "C")

JSON = {
    "format": "json",
    "template": '{"ok":true,"total":"0","count":0,"next":null,"list":[]}',
    "records": "$.list",
    "total": "$.total",
    "count": "$.count",
    "next": "$.next",
    "succeeded": {"path": "$.ok", "values": ["true"]},
    "columns": {"B": "$.inner.b"},
    "optional": ["C"],
}
XML = {
    "format": "xml",
    "template": '<r ok="1"><total>0</total><list next=""/></r>',
    "records": "/r/list",
    "record": "row",
    "total": "/r/total",
    "next": "/r/list/@next",
    "succeeded": {"path": "/r/@ok", "values": ["1"]},
    "columns": {"B": "inner/@b"},
    "optional": ["C"],
}
BODIES = {
    "json": (
        JSON,
        '{"ok":true,"total":2,"next":"n2","secret":1,"list":[{"A":"1","inner":{"b":2,"s":3},"C":null},{"A":"2"}]}',
        '{"ok":true,"total":"1","count":1,"next":null,"list":[{"A":"1","inner":{"b":2}}]}',
    ),
    "xml": (
        XML,
        '<r ok="1" secret="1"><total>2</total><list next="n2"><row><A>1</A><inner b="2" s="3"/><C/></row><row><A>2</A></row></list></r>',
        '<r ok="1"><total>1</total><list next=""><row><A>1</A><inner b="2"/></row></list></r>',
    ),
}


def form(kind, **change):
    return open_form(Answer.model_validate(BODIES[kind][0] | change), COLUMNS)


@pytest.mark.parametrize("kind", BODIES)
def test_records_total_and_cursor_are_found(kind):
    parsed = form(kind).read(BODIES[kind][1], 10)
    assert (len(parsed.records), parsed.total, parsed.next) == (2, 2, "n2")
    assert form(kind).leaves(parsed.records[0]) == ("1", "2", None if kind == "json" else "")


@pytest.mark.parametrize("kind", BODIES)
def test_a_record_without_a_column_says_which(kind):
    parsed = form(kind).read(BODIES[kind][1], 10)
    with pytest.raises(Unmappable) as caught:
        form(kind).leaves(parsed.records[1])
    assert caught.value.column == "B"


def test_an_optional_column_that_is_not_there_is_null():
    parsed = form("json").read('{"ok":true,"total":1,"list":[{"A":"1","inner":{"b":2}}]}', 10)
    assert form("json").leaves(parsed.records[0]) == ("1", "2", None)
    assert parsed.next == ""


def test_an_empty_element_is_null_only_where_that_is_declared():
    parsed = form("xml").read(BODIES["xml"][1], 10)
    assert form("xml", empty_is_null=True).leaves(parsed.records[0]) == ("1", "2", None)


@pytest.mark.parametrize("kind", BODIES)
def test_an_answer_is_the_template_with_what_may_be_seen(kind):
    read = form(kind).read(BODIES[kind][1], 10)
    cut = form(kind).cut(read.records[0], {"A", "B"})
    assert form(kind).write([cut], {"total": "1", "count": "1"}) == BODIES[kind][2]


@pytest.mark.parametrize(
    ("kind", "expected"), [("json", '[{"A":"1","inner":{"b":null}}]'), ("xml", '<row><A>1</A><inner b=""/></row>')]
)
def test_hidden_columns_are_blank_where_that_is_declared(kind, expected):
    """But for the optional ones: whether one was there is nobody's business."""
    blanking = form(kind, hidden="blank")
    cut = blanking.cut(blanking.read(BODIES[kind][1], 10).records[0], {"A"})
    assert expected in blanking.write([cut], {})


def test_a_hidden_element_does_not_tell_that_it_was_null():
    """``xsi:nil`` and ``xsi:type`` go with the value."""
    space = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
    blanking = form("xml", hidden="blank", columns={}, optional=[])
    found = set()
    for b in ('<B xsi:nil="true"/>', '<B xsi:type="s">x</B>', "<B/>"):
        text = f'<r ok="1" {space}><total>1</total><list><row><A>1</A>{b}<C>3</C></row></list></r>'
        [row] = blanking.read(text, 10).records
        found.add(blanking.write([blanking.cut(row, {"A", "C"})], {}).replace(f" {space}", ""))
    assert found == {'<r ok="1"><total>0</total><list next=""><row><A>1</A><B/><C>3</C></row></list></r>'}


def test_what_is_hidden_wins_where_two_paths_lead_to_one_place():
    two = form("xml", columns={"B": "*[2]", "C": "C"})
    [row] = two.read('<r ok="1"><total>1</total><list><row><A>1</A><C>3</C></row></list></r>', 10).records
    assert "<C>" not in two.write([two.cut(row, {"A", "C"})], {})


@pytest.mark.parametrize("columns", [{"B": "$.A"}, {"B": "$.A.b"}, {"B": "$.x", "C": "$.x[0]"}])
def test_no_column_stands_within_another(columns):
    with pytest.raises(ValueError, match="stands at the place of"):
        form("json", columns=columns)


@pytest.mark.parametrize("kind", BODIES)
def test_a_missing_column_that_may_turn_out_to_be_dropped_is_junk(kind):
    parsed = form(kind).read(BODIES[kind][1], 10)
    assert form(kind).leaves(parsed.records[1], {"B"})[1] == JUNK


def test_a_bare_list_is_an_answer():
    bare = open_form(Answer.model_validate({"format": "json", "template": "[]", "records": "$"}), COLUMNS)
    assert len(bare.read('[{"A":1}]', 5).records) == 1
    assert bare.write([{"A": "x"}], {}) == '[{"A":"x"}]'


FAULTS = {
    "json": ['{"ok":false,"total":0,"list":[]}', '{"total":0,"list":[]}', '{"ok":true,"total":0}',
             '{"ok":true,"total":0,"list":null}', '{"ok":true,"total":0,"list":{}}', '{"ok":true,"total":"x","list":[]}',
             '{"ok":true,"total":-1,"list":[]}', '{"ok":true,"list":[]}', '{"ok":true,"total":1,"next":{},"list":[]}', "x"],
    "xml": ['<r ok="0"><total>0</total><list/></r>', '<r ok="1"><total>0</total></r>', '<r ok="1"><total/><list/></r>',
            '<r ok="1"><total>0</total><list/><list/></r>', '<r ok="1"><total>x</total><list/></r>', "<x/>",
            '<r ok="1"><list/></r>', "x"],
}  # fmt: skip


@pytest.mark.parametrize(("kind", "body"), [(kind, body) for kind, bodies in FAULTS.items() for body in bodies])
def test_an_answer_that_is_not_as_declared_is_a_fault(kind, body):
    with pytest.raises(BodyFault):
        form(kind).read(body, 10)


@pytest.mark.parametrize(
    ("kind", "body"), [("json", '{"ok":true,"total":0}'), ("xml", '<r ok="1"><total>0</total></r>')]
)
def test_a_missing_list_is_empty_where_that_is_declared(kind, body):
    assert len(form(kind, absent_is_empty=True).read(body, 10).records) == 0


def test_a_soap_fault_is_no_answer():
    space = "http://www.w3.org/2003/05/soap-envelope"
    answer = f'<s:Envelope xmlns:s="{space}"><s:Body><list/></s:Body></s:Envelope>'
    soap = open_form(
        Answer.model_validate(
            {"format": "soap12", "template": answer, "records": "//list", "record": "row", "absent_is_empty": True}
        ),
        COLUMNS,
    )
    assert soap.read(answer, 10).records == []
    with pytest.raises(BodyFault):
        soap.read(answer.replace("<list/>", "<s:Fault/>"), 10)


POSTED = OpenRoute(
    Route.model_validate({
        "name": "posted", "method": "POST", "path": "/find/{kind}",
        "parameters": [
            {"in": "path", "name": "kind", "is": "passed", "pattern": "[a-z]+"},
            {"in": "json", "name": "$.who.name", "is": "name"},
            {"in": "json", "name": "$.who.born", "is": "birth_date", "format": "YYYY-MM-DD"},
            {"in": "json", "name": "$.page", "is": "page"},
        ],
        "paging": {"kind": "page", "first": 0},
        "request": {"template": '{"who":{"name":"","born":""},"page":0,"all":true}'},
        "answer": {"format": "json", "template": "[]", "records": "$"},
    }),
    COLUMNS,
)  # fmt: skip


def posted(body: str):
    incoming = Incoming("POST", "find/adult", "", {"content-type": "application/json"}, body.encode())
    return POSTED.read(incoming, {"kind": "adult"}, 20261123)


def test_a_json_call_is_read_and_made_anew():
    call = posted('{"all": true, "page": 2, "who": {"born": "1985-07-11", "name": "何大伟"}}')
    assert call.target == Subject(name="何大伟", birth_date="1985-07-11")
    assert call.start == 2 * call.size
    outgoing = call.opened.outgoing(call.values, {"page": "5"})
    assert outgoing.path == "find/adult"
    assert outgoing.body == '{"who":{"name":"何大伟","born":"1985-07-11"},"page":5,"all":true}'.encode()


def test_what_a_json_call_leaves_out_is_as_in_the_template():
    call = posted('{"who": {"born": "1985-07-11", "name": "何大伟"}}')
    assert call.start == 0
    assert b'"all":true' in (call.opened.outgoing(call.values, {}).body or b"")
