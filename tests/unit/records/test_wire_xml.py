"""XML bodies of legacy services: no entities, nothing but what is shown, prefixes as they came."""

from __future__ import annotations

import pytest

from sidecar.records import wire_xml as w
from sidecar.records.wire_json import ABSENT, JUNK, BodyFault

SPACES = {"a": "urn:a"}


def root(text):
    return w.parse(text, 20)


@pytest.mark.parametrize(
    "text",
    [
        '<!DOCTYPE r [<!ENTITY e SYSTEM "file:///etc/passwd">]><r>&e;</r>',
        '<!DOCTYPE r [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><r>&b;</r>',
        '<!DOCTYPE r SYSTEM "http://192.0.2.1/x.dtd"><r/>',
        "<r>&unknown;</r>",
        "<r>",
        "",
        "<r/><r/>",
        "<r>\x00</r>",
        "<" + "r>" + "<a>" * 30 + "</a>" * 30 + "</r>",
        "<r>\udcff</r>",
    ],
)
def test_a_document_with_a_type_or_of_no_meaning_is_a_fault(text):
    with pytest.raises(BodyFault):
        root(text)


def test_the_declared_charset_of_a_document_is_not_believed():
    assert root('<?xml version="1.0" encoding="utf-7"?><r>何</r>').text == "何"


@pytest.mark.parametrize(
    ("inner", "text"),
    [
        ("<x>1</x>", "1"),
        ("<x/>", ""),
        ("", ABSENT),
        ("<x>1</x><x>2</x>", JUNK),
        ("<x><y/></x>", JUNK),
        ('<x xmlns:i="http://www.w3.org/2001/XMLSchema-instance" i:nil="true"/>', None),
    ],
)
def test_a_leaf_is_a_text_null_nothing_or_junk(inner, text):
    assert w.leaf(w.child("x")(root(f"<r>{inner}</r>"))) == text


def test_a_child_is_found_in_any_namespace():
    assert w.leaf(w.child("x")(root('<r xmlns:a="urn:a"><a:x>1</a:x><a:xx>2</a:xx></r>'))) == "1"


@pytest.mark.parametrize("text", ["/r/x", "../x", "ancestor::x", "x/../y", "id('x')", "x["])
def test_a_column_does_not_lead_out_of_its_record(text):
    with pytest.raises(ValueError, match="expected"):
        w.path(text, {}, inside=True)


def test_an_unknown_prefix_is_a_fault_and_no_empty_answer():
    with pytest.raises((ValueError, BodyFault)):
        w.path("zz:x", {})(root("<r/>"))


def test_a_cut_keeps_what_is_shown_and_nothing_else():
    record = root(
        '<r xmlns:a="urn:a" secret="1"><!-- secret --><a:x code="secret">1</a:x>secret<y k="2"><z>3</z><s>secret</s></y><s>secret</s></r>'
    )
    cut = w.cut(record, [w.path("a:x", SPACES), w.path("y/@k", {}), w.path("y/z", {})], ())
    assert w.dump(cut) == '<r xmlns:a="urn:a"><a:x>1</a:x><y k="2"><z>3</z></y></r>'


def test_a_blanked_column_is_there_and_empty():
    cut = w.cut(root("<r><x>1</x><y>2</y><z>3</z></r>"), [w.child("x")], [w.child("y")], [w.child("y")])
    assert w.dump(cut) == "<r><x>1</x><y/></r>"


@pytest.mark.parametrize("text", ["x/text()", "node()", "/r/comment()", "x/processing-instruction('p')"])
def test_a_path_leads_to_an_element_or_an_attribute(text):
    with pytest.raises(ValueError, match="element or an attribute"):
        w.path(text, {})


def test_a_cut_leaves_the_record_as_it_was():
    record = root("<r><x>1</x><y>2</y></r>")
    w.cut(record, [w.child("x")], ())
    assert w.dump(record) == "<r><x>1</x><y>2</y></r>"


def test_flat_tells_equal_documents_by_names_not_by_prefixes():
    one = root('<a:r xmlns:a="urn:a"> <a:x k="1">t</a:x> </a:r>')
    other = root('<r xmlns="urn:a"><x k="1">t</x></r>')
    assert w.flat(one) == w.flat(other)
    assert w.flat(one) != w.flat(root('<r xmlns="urn:a"><x k="1">t</x><x/></r>'))


@pytest.mark.parametrize("form", ["soap11", "soap12"])
def test_a_fault_names_a_code_and_is_seen_as_one(form):
    text = w.fault(form, "letter-missing", "Letter missing")
    assert w.is_fault(root(text), form)
    assert "letter-missing" in text
    other = "soap12" if form == "soap11" else "soap11"
    assert w.is_fault(root(text), other), "an envelope of another version is no answer"


def test_the_declaration_of_a_template_is_kept_as_it_is():
    prolog, rest = w.split('<?xml version="1.0" encoding="GBK"?>\n<r/>\n')
    assert (prolog, rest) == ('<?xml version="1.0" encoding="GBK"?>\n', "<r/>")
