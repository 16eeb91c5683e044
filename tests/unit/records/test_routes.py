"""Routes of an HTTP service: a catalog says what may be asked, and mistakes in it are errors that name the place."""

from __future__ import annotations

import pytest
import yaml

from sidecar.codes import Code
from sidecar.demo.archive_catalog import archive_catalog
from sidecar.demo.legacy import OPEN, SEALED
from sidecar.errors import ConfigurationError, RequestInvalid
from sidecar.records.calls import Incoming, OpenRoute, accepts_gzip, match, methods, same_charset
from sidecar.records.catalog import parse
from sidecar.records.types import Condition, Search, Subject
from sidecar.settings import load_yaml

TODAY = 20261123
CATALOG = parse(archive_catalog("http://127.0.0.1:1/da"))
ROUTES = [OpenRoute(route, CATALOG.columns()) for route in CATALOG.routes]
BY_NAME = {opened.route.name: opened for opened in ROUTES}
SOAP = BY_NAME["soap"].route.request.template.replace("<a:sfzh/>", f"<a:sfzh>{OPEN.SFZH}</a:sfzh>")


def changed(change) -> str:
    tree = load_yaml(archive_catalog("http://127.0.0.1:1/da"))
    change(tree, {route["name"]: route for route in tree["routes"]})
    return yaml.safe_dump(tree, allow_unicode=True)


MISTAKES = {
    "a method that writes": (lambda t, r: r["soap"].update(method="PUT"), "method"),
    "user in the address": (lambda t, r: t["connector"].update(base_url="http://u:p@h/"), "login"),
    "other scheme": (lambda t, r: t["connector"].update(base_url="ftp://h/"), "base_url"),
    "key without certificate": (lambda t, r: t["connector"].update(tls={"key_file": "k"}), "belong together"),
    "a table": (lambda t, r: t["source"].update(table="T"), "no table"),
    "no routes": (lambda t, r: t.update(routes=[]), "expected routes"),
    "one name twice": (lambda t, r: r["soap"].update(name="query"), "two have one name"),
    "one call twice": (lambda t, r: t["routes"].append(r["feed"] | {"name": "feed2"}), "two have one name"),
    "path and parameters": (lambda t, r: r["persons"].update(path="/persons/records"), "name others"),
    "dots in a path": (lambda t, r: r["feed"].update(path="/../feed"), "path"),
    "a place twice": (lambda t, r: r["feed"]["parameters"].append(r["feed"]["parameters"][0]), "named twice"),
    "nobody asked about": (lambda t, r: r["feed"]["parameters"].pop(0), "expected person_id"),
    "name without birth": (lambda t, r: r["query"]["parameters"].pop(1), "belong together"),
    "paging without parameter": (lambda t, r: r["persons"]["parameters"].pop(1), "do not fit"),
    "cursor without place": (lambda t, r: r["crimes"]["answer"].pop("next"), "answer.next"),
    "body with GET": (lambda t, r: r["query"].update(method="GET"), "with POST"),
    "no template of the body": (lambda t, r: r["soap"].pop("request"), "request.template"),
    "template without the place": (
        lambda t, r: r["soap"]["request"].update(template="<x/>"), "request.template"
    ),
    "own header": (lambda t, r: r["soap"]["parameters"][1].update(name="Authorization"), "never passed"),
    "header about the body": (lambda t, r: r["feed"]["answer"].update(headers=["ETag"]), "never passed"),
    "header that counts": (lambda t, r: r["feed"]["answer"].update(headers=["X-Total-Count"]), "never passed"),
    "filter on the cover mark": (lambda t, r: t.update(filterable=["covered"]), "R16b"),
    "filter on the joint case": (lambda t, r: t.update(filterable=["GTFZ"]), "R16b"),
    "records elsewhere": (lambda t, r: r["persons"]["answer"].update(records="$.rows"), "empty list"),
    "records in the template": (
        lambda t, r: r["persons"]["answer"].update(template='{"code":0,"data":{"list":[1]}}'), "empty list"
    ),
    "total elsewhere": (lambda t, r: r["persons"]["answer"].update(total="$.total"), "value at total"),
    "xml total elsewhere": (lambda t, r: r["query"]["answer"].update(total="/result/@total"), "at total"),
    "xml records elsewhere": (lambda t, r: r["query"]["answer"].update(records="/other"), "one element"),
    "no record path": (lambda t, r: r["query"]["answer"].pop("record"), "record: expected"),
    "unknown column": (lambda t, r: r["feed"]["answer"].update(columns={"X": "$.x"}), "does not use"),
    "condition not filterable": (lambda t, r: t.update(filterable=[]), "not filterable"),
    "passed without limits": (lambda t, r: r["soap"]["parameters"][1].pop("values"), "values or a pattern"),
    "bad pattern": (
        lambda t, r: r["feed"]["parameters"].append({"in": "query", "name": "x", "is": "passed", "pattern": "("}),
        "no regular expression",
    ),
    "field encoding": (lambda t, r: t["released"]["story"].update(encoding="gb18030"), "the charset is the route's"),
    "recorded nothing": (lambda t, r: r["feed"]["answer"].update(recorded=[{"body": "[]"}]), "keys of its records"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_a_catalog_is_named(name):
    change, text = MISTAKES[name]
    with pytest.raises(ConfigurationError, match=text):
        parse(changed(change))


def get(path, query="", **headers):
    return Incoming("GET", path, query, headers, b"")


def read(incoming):
    found = match(ROUTES, incoming)
    assert found is not None
    return found[0].read(incoming, found[1], TODAY)


def refused(incoming) -> RequestInvalid:
    with pytest.raises(RequestInvalid) as caught:
        read(incoming)
    return caught.value


def test_a_route_is_found_by_method_and_path():
    found = match(ROUTES, get(f"persons/{OPEN.SFZH}/records"))
    assert found is not None
    assert (found[0].route.name, found[1]) == ("persons", {"sfzh": OPEN.SFZH})


@pytest.mark.parametrize(
    "path",
    [
        "",
        "persons",
        "persons//records",
        "persons/../records",
        "persons/x/records/",
        "PERSONS/x/records",
        "feed/",
        "\xff",
    ],
)
def test_what_is_not_declared_is_not_there(path):
    assert match(ROUTES, get(path)) is None
    assert methods(ROUTES, path) == ()


def test_the_declared_methods_of_a_path_are_known():
    assert methods(ROUTES, "soap") == ("POST",)


def test_a_call_says_whom_it_is_about_and_which_page():
    call = read(get(f"persons/{OPEN.SFZH}/records", "page=3&size=7"))
    assert (call.target, call.start, call.size) == (Subject(person_id=OPEN.SFZH), 14, 7)


def test_a_number_is_normalised_and_sent_as_it_came():
    call = read(get(f"persons/{OPEN.SFZH[:6]}{OPEN.SFZH[8:17]}/records"))
    assert call.target == Subject(person_id=OPEN.SFZH)
    assert OPEN.SFZH[:6] + OPEN.SFZH[8:17] in call.opened.outgoing(call.values, {}).path


def test_a_query_is_read_in_the_routes_charset():
    call = read(get("crimes", "zm=%B5%C1%C7%D4%D7%EF"))
    assert call.target == Search((Condition("crime", "eq", "盗窃罪"),))
    assert call.opened.outgoing(call.values, {"size": "9"}).query == "zm=%B5%C1%C7%D4%D7%EF&limit=9"


def test_a_form_is_read_in_the_routes_charset():
    body = b"xm=%BA%CE%B4%F3%CE%B0&csrq=19850711&start=5&limit=10"
    headers = {"content-type": "application/x-www-form-urlencoded"}
    call = read(Incoming("POST", "query", "", headers, body))
    assert (call.target, call.start, call.size) == (Subject(name="何大伟", birth_date="1985-07-11"), 5, 10)


def soap(body, content_type="text/xml; charset=utf-8", **headers):
    return Incoming("POST", "soap", "", {"content-type": content_type, **headers}, body.encode())


def test_a_soap_body_is_read_whatever_its_prefixes():
    other = SOAP.replace("a:", "q:").replace("xmlns:a", "xmlns:q").replace("><", ">\n <")
    for body in (SOAP, other):
        assert read(soap(body)).target == Subject(person_id=OPEN.SFZH)


def test_what_goes_out_is_made_from_the_declaration():
    call = read(
        soap(
            SOAP.replace("<s:", "<e:").replace("</s:", "</e:").replace("xmlns:s=", "xmlns:e="),
            soapaction="urn:archive#getRecords",
        )
    )
    outgoing = call.opened.outgoing(call.values, {})
    assert outgoing.body == SOAP.encode()
    assert outgoing.headers == {"SOAPAction": "urn:archive#getRecords", "Content-Type": "text/xml; charset=utf-8"}


BAD_CALLS = {
    "undeclared parameter": (get("feed", f"id={OPEN.SFZH}&x=1"), 422, Code.FIELD_UNKNOWN),
    "parameter twice": (get("feed", f"id={OPEN.SFZH}&id={SEALED.SFZH}"), 422, Code.BODY_INVALID),
    "no subject": (get("feed"), 422, Code.BODY_INVALID),
    "no number": (get("feed", "id=12"), 422, Code.IDENTIFIER_INVALID),
    "not in the charset": (get("crimes", "zm=%FF"), 422, Code.BODY_INVALID),
    "no name and value": (get("feed", "id"), 422, Code.BODY_INVALID),
    "condition missing": (get("crimes"), 422, Code.BODY_INVALID),
    "page zero": (get(f"persons/{OPEN.SFZH}/records", "page=0"), 422, Code.BODY_INVALID),
    "page too large": (get(f"persons/{OPEN.SFZH}/records", "size=101"), 422, Code.BODY_INVALID),
    "page of Arabic digits": (get(f"persons/{OPEN.SFZH}/records", "page=%D9%A1"), 422, Code.BODY_INVALID),
    "a body with GET": (Incoming("GET", "feed", f"id={OPEN.SFZH}", {}, b"x"), 422, Code.FIELD_UNKNOWN),
    "form of another type": (Incoming("POST", "query", "", {"content-type": "text/plain"}, b"xm=x"), 415, Code.BODY_INVALID),
    "form of another charset": (
        Incoming("POST", "query", "", {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}, b"xm=x"),
        415, Code.BODY_INVALID,
    ),
    "form in bytes": (
        Incoming("POST", "query", "", {"content-type": "application/x-www-form-urlencoded"}, "xm=何".encode("gbk")),
        422, Code.BODY_INVALID,
    ),
    "impossible day": (
        Incoming("POST", "query", "", {"content-type": "application/x-www-form-urlencoded"}, b"xm=%BA%CE&csrq=19850231"),
        422, Code.BODY_INVALID,
    ),
    "soap with an entity": (soap('<!DOCTYPE x [<!ENTITY e "1">]>' + SOAP), 400, Code.BODY_INVALID),
    "soap with more in it": (soap(SOAP.replace("</a:sfzh>", "</a:sfzh><a:all>1</a:all>")), 422, Code.FIELD_UNKNOWN),
    "soap with a header": (soap(SOAP.replace("<s:Body>", "<s:Header><x/></s:Header><s:Body>")), 422, Code.FIELD_UNKNOWN),
    "soap with two subjects": (soap(SOAP.replace("</a:sfzh>", "</a:sfzh><a:sfzh>1</a:sfzh>")), 422, Code.BODY_INVALID),
    "soap with an attribute": (soap(SOAP.replace("<a:sfzh>", '<a:sfzh x="1">')), 422, Code.FIELD_UNKNOWN),
    "another action": (soap(SOAP, soapaction="urn:archive#delete"), 422, Code.BODY_INVALID),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_CALLS)
def test_a_call_that_says_more_or_less_than_declared_is_refused(name):
    incoming, status, code = BAD_CALLS[name]
    found = refused(incoming)
    assert (found.status, found.code) == (status, code)


def test_a_refusal_quotes_nothing_that_was_sent():
    for incoming, _, _ in BAD_CALLS.values():
        text = str(refused(incoming))
        assert not any(part in text for part in (OPEN.SFZH, SEALED.SFZH, "delete", "entity"))


def test_every_legal_form_of_a_number_is_asked_for_by_the_api():
    asked = BY_NAME["feed"].values_for(Subject(person_id=OPEN.SFZH))
    assert {text for values in asked for text in values.values()} >= {OPEN.SFZH, OPEN.SFZH[:6] + OPEN.SFZH[8:17]}
    assert BY_NAME["query"].values_for(Subject(person_id=OPEN.SFZH)) == ()
    assert len(BY_NAME["query"].values_for(Subject(name="何大伟", birth_date="1985-07-11"))) == 1
    assert BY_NAME["crimes"].values_for(Search((Condition("crime", "prefix", "盗"),))) == ()


@pytest.mark.parametrize(
    ("header", "takes"),
    [
        ("gzip", True),
        ("deflate, gzip;q=0.5", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("", False),
        ("br", False),
    ],
)
def test_gzip_is_for_who_takes_it(header, takes):
    assert accepts_gzip(header) is takes


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("UTF8", "utf-8", True),
        ("GB2312", "gbk", True),
        ("gb2312", "gb18030", True),
        ("gbk", "utf-8", False),
        ("no-such", "gbk", False),
    ],
)
def test_names_of_a_charset_are_compared_by_what_they_mean(one, other, same):
    assert same_charset(one, other) is same
