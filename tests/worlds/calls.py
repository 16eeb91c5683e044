"""What clients without entitlement do: a sequence of calls as data, drawn at random, the same for both worlds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

import orjson
from hypothesis import strategies as st

from sidecar.demo.archive import QUERY, SOAP, SPACE
from sidecar.demo.archive_catalog import ARCHIVE
from sidecar.demo.people import COURT, EMPLOYER, NOTARY, POLICE, SCHOOL, DemoUnit
from sidecar.demo.story import CASE, NO_GROUND, NOTARISING, POLICE_CASE, VETTING, Purpose
from tests.worlds.county import ADULT, CRIMES, FIELDS, PEOPLE, Person

Body = Mapping[str, Any]


@dataclass(frozen=True)
class Client:
    """Who asks, with which lawful ground; ``claims`` change the token, None instead of a unit is no token at all."""

    subject: str
    unit: DemoUnit | None
    ground: Purpose = CASE
    letter: bool = False
    case_number: str = ""
    roles: tuple[str, ...] = ("officer",)
    claims: Mapping[str, Any] = field(default_factory=dict)


SUSPENDED = {"work_certificate": {"number": "浙p1", "status": "suspended", "expires": "2027-12-31"}}
STRANGER = DemoUnit("stranger", "12339901000009099R", "无", "")

CLIENTS: Mapping[str, Client] = {
    "police": Client("p1", POLICE, case_number=POLICE_CASE),
    "another": Client("p2", POLICE, case_number=POLICE_CASE),
    "court": Client("c1", COURT, case_number="（2026）浙0101刑初1号"),
    "school": Client("s1", SCHOOL, VETTING, letter=True),
    "notary": Client("n1", NOTARY, NOTARISING, letter=True),
    "employer": Client("e1", EMPLOYER, NO_GROUND),
    "suspended": Client("p3", POLICE, claims=SUSPENDED, case_number=POLICE_CASE),
    "stranger": Client("x1", STRANGER, VETTING),
    "approver": Client("a1", POLICE, roles=("approver",)),
    "prosecutor": Client("z1", POLICE, roles=("prosecutor",)),
    "clerk": Client("k1", POLICE, roles=("archive_clerk",)),
    "security": Client("o1", POLICE, roles=("security_officer",)),
    "foreign": Client("f1", POLICE, claims={"aud": "elsewhere"}),
    "none": Client("", None),
}
ANSWERED = ("police", "police", "another", "court", "school", "notary")
"""Those whose inquiries are answered; most calls are theirs."""


@dataclass(frozen=True)
class Ask:
    """``POST /v1/inquiries``: ``stated`` is the target and all that differs from the client's plain inquiry."""

    client: str
    stated: Body
    headers: Mapping[str, str] = field(default_factory=dict)
    door: str = "thin"
    letter: str = "own"


@dataclass(frozen=True)
class More:
    """The next page of an earlier inquiry, by whoever and in whatever form."""

    of: int
    client: str = ""
    stated: Body = field(default_factory=dict)
    door: str = "thin"


@dataclass(frozen=True)
class Again:
    """An earlier inquiry once more, letter and all."""

    of: int
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Open:
    """``POST /v1/sessions``: the client's calls to the archive are the session's from now on."""

    client: str
    stated: Body


@dataclass(frozen=True)
class Legacy:
    """A legacy client's own call below ``/proxy/archive``, with the facts as headers or a session's name and password.

    Attributes:
        path: below the database, percent-encoded, with its query.
        kind: of the body.
        session: whether it is the client's session's, where it has opened one.
    """

    client: str
    method: str
    path: str
    body: bytes = b""
    kind: str = "text/plain"
    headers: Mapping[str, str] = field(default_factory=dict)
    session: bool = False


@dataclass(frozen=True)
class Next:
    """The page that an earlier legacy call's answer names."""

    of: int


@dataclass(frozen=True)
class Raw:
    """Bytes that are no inquiry."""

    client: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    door: str = "thin"
    times: int = 1


@dataclass(frozen=True)
class Visit:
    """Any other request. In ``path``, ``{id}``, ``{inquiry}`` and ``{number}`` stand for what was learned last:
    an application's id, an inquiry's, the newest tile's number."""

    method: str
    path: str
    client: str = "none"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Wait:
    """Time goes by."""

    seconds: int


Call = Ask | More | Again | Open | Legacy | Next | Raw | Visit | Wait

# --- targets ---------------------------------------------------------------------------------------------------------


def by_number(who: Person) -> Body:
    return {"subject": {"person_id": who.SFZH}}


def by_name(who: Person) -> Body:
    return {"subject": {"name": who.XM, "birth_date": who.born}}


def search(*conditions: tuple[str, str, Any], **more: Any) -> Body:
    names = ("field", "operator", "value")
    return {"filter": [dict(zip(names, condition, strict=True)) for condition in conditions], **more}


_VALUES: Mapping[str, tuple[Any, ...]] = {
    "ZM": (*CRIMES, "盗", "盗窃罪 ", "%", "盗%"),
    "case": ("AJ0001", "AJ0002", "AJ0003", "AJ0004", "AJ0008", "AJ", "AJ00"),
    "term": (18, 60, 61, "18", 0, -1, 2**53 - 1),
    "concluded": ("2025-03-01", "20250301", "2025-02-30", "2025-12-31"),
    "sex": ("男", "女", "1"),
}
"""What may be filtered on where everything is shown, with values that fit."""

_ODD = ("", "_", "' OR 1=1 --", ADULT.XM, ADULT.SFZH, "示例县", "示例县示例路1号", "\ud7ff", "𠮷", 10**15)
_OPERATORS = ("eq", "ne", "lt", "le", "gt", "ge")


def _condition() -> st.SearchStrategy[dict[str, Any]]:
    fitting = st.sampled_from(("ZM", "ZM", *_VALUES)).flatmap(
        lambda name: st.builds(
            lambda operator, value: {"field": name, "operator": operator, "value": value},
            st.sampled_from((*_OPERATORS, *(("prefix",) * 3 if name in {"ZM", "case", "sex"} else ()))),
            st.sampled_from(_VALUES[name]),
        )
    )
    several = st.sampled_from(("case", "ZM", "term")).flatmap(
        lambda name: st.lists(st.sampled_from(_VALUES[name]), min_size=1, max_size=3).map(
            lambda values: {"field": name, "operator": "in", "value": values}
        )
    )
    odd = st.builds(
        lambda name, operator, value: {"field": name, "operator": operator, "value": value},
        st.sampled_from(FIELDS),
        st.sampled_from((*_OPERATORS, "prefix", "like", "in")),
        st.sampled_from((*_ODD, *CRIMES)),
    )
    return st.one_of(fitting, fitting, fitting, several, odd)


_ALL = (search(("case", "prefix", "AJ")), search(("case", "ge", "AJ")), search(("ZM", "ne", "无")))
"""Searches that everything matches."""


def _target() -> st.SearchStrategy[Body]:
    people = st.sampled_from(PEOPLE)
    forms = st.sampled_from((str, str, str, str.lower, lambda number: number[:6] + number[8:17]))
    numbers = st.builds(lambda who, form: {"subject": {"person_id": form(who.SFZH)}}, people, forms)
    conditions = st.lists(_condition(), min_size=1, max_size=2).map(lambda found: {"filter": found})
    everything = st.sampled_from(_ALL)
    return st.one_of(everything, everything, numbers, numbers, people.map(by_name), conditions, conditions)


_SORT_FIELDS = ("case", "term", "concluded", "sex") * 3 + ("address", "nothing")


def _order() -> st.SearchStrategy[Body]:
    keys = st.builds(
        lambda name, order: {"field": name, "order": order},
        st.sampled_from(_SORT_FIELDS),
        st.sampled_from(("asc", "desc")),
    )
    sort = st.lists(keys, max_size=2).map(lambda found: {"sort": found} if found else {})
    sort = st.one_of(st.just({}), sort)
    size = st.sampled_from(
        ({"page_size": 1}, {"page_size": 2}, {"page_size": 1}, {"page_size": 3}, {"page_size": 1000}, {})
    )
    return st.builds(lambda *parts: {k: v for part in parts for k, v in part.items()}, sort, size)


_CHANGES: tuple[Body, ...] = (
    {}, {}, {}, {}, {}, {"scope": "sealed"}, {"scope": "all"}, {"purpose": "preventing_reoffending"}, {"purpose": ""},
    {"reason": " "}, {"basis": {"instrument": "刑法", "article": "1"}}, {"database": "nowhere"}, {"page_size": 0},
    {"page_size": 1001}, {"sort": "case"}, {"cursor": "AAAA"}, {"cursor": "A" * 1400}, {"colour": 1},
    {"application_id": "01a2076b-4400-763e-9705-bf33f059dab0"}, {"letter": "a.b.c"}, {"case_number": "1"},
    {"subject": {"person_id": "33010"}}, {"subject": {"name": "无"}}, {"filter": []},
)  # fmt: skip

# --- the rest of a request -------------------------------------------------------------------------------------------

HEADERS: tuple[Mapping[str, str], ...] = (
    {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {"Range": "bytes=0-0"}, {"Range": "bytes=-1"}, {"If-Range": '"x"', "Range": "bytes=0-9"},
    {"If-None-Match": "*"}, {"If-None-Match": '"0"'}, {"If-Match": '"0"'}, {"If-Modified-Since": "Thu, 01 Jan 1970 00:00:00 GMT"},
    {"If-Unmodified-Since": "Thu, 01 Jan 1970 00:00:00 GMT"}, {"Accept-Encoding": "gzip, deflate, br, zstd"},
    {"Accept-Encoding": "identity;q=0"}, {"Accept": "text/html"}, {"Accept-Language": "zh-CN"}, {"TE": "trailers"},
    {"Expect": "100-continue"}, {"Content-Encoding": "gzip"}, {"Cookie": "a=b"}, {"Origin": "https://elsewhere.invalid"},
    {"Prefer": "count=exact"}, {"Idempotency-Key": "k1"}, {"Idempotency-Key": "k2"}, {"Content-Type": "text/plain"},
    {"X-HTTP-Method-Override": "GET"}, {"Cache-Control": "only-if-cached"}, {"Connection": "close"},
)  # fmt: skip

_RAW = (
    b"", b"{", b"[]", b"null", b"NaN", b'{"database": "county", "database": "county"}', b"\xff", b"[" * 100,
    b'{"subject": {"person_id": 1}}', b'{"database": 1e400}', b"\x1f\x8b\x08\x00",
)  # fmt: skip

PATHS = (
    "/v1/inquiries", "/v1/inquiries/", "/v1/databases", "/v1/keys", "/v1/applications", "/v1/letters", "/healthz", "/readyz",
    "/metrics", "/openapi.json", "/docs", "/docs/reason-codes", "/oversight/v1/events", "/policy/v1/revisions",
    "/proxy/county/persons/1", "/v1/inquiries?count=1", "/v1/databases?x=1", "/v1/applications/01a2076b-4400-763e-9705-bf33f059dab0",
    "/v1/records/AJ0001", "//v1/databases", "/",
)  # fmt: skip
_METHODS = ("GET", "GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "POST", "QUERY")


# --- every operation once --------------------------------------------------------------------------------------------

APPLICATION = {
    "database": "county", "subject": {"person_id": PEOPLE[-1].SFZH}, "scope": "sealed", "reason": CASE.reason,
    "basis": CASE.basis, "purpose": CASE.code, "case_number": POLICE_CASE,
}  # fmt: skip
PAPER_LETTER = {
    "unit": NOTARY.code, "number": "示公函字〔2026〕1号", "officer": "n1", "subjects": [ADULT.SFZH], "databases": ["county"],
    "scope": "open", "basis": NOTARISING.basis, "purpose": NOTARISING.code, "valid_from": "2026-11-01", "valid_to": "2026-12-01",
}  # fmt: skip


def at_desk(action: str, client: str = "police", body: Body | None = None) -> Visit:
    """A step of an application."""
    path = f"/v1/applications/{{id}}/{action}" if action else "/v1/applications"
    return Visit("POST", path, client, body=b"" if body is None else orjson.dumps(body))


def drafted(*steps: Visit) -> tuple[Call, ...]:
    """An application, and what becomes of it."""
    return (at_desk("", body=APPLICATION), *steps, Visit("GET", "/v1/applications/{id}", "police"))


def seen(path: str, client: str = "none") -> tuple[Call, ...]:
    return (Visit("GET", path, client), Visit("HEAD", path, client), Visit("OPTIONS", path, client))


def persons(client: str, who: Person, query: str = "", **more: Any) -> Legacy:
    """JSON, by page number."""
    return Legacy(client, "GET", f"/persons/{who.SFZH}/records{query}", **more)


def crimes(client: str, crime: str, **page: int) -> Legacy:
    """JSON in GBK, by cursor."""
    words = urlencode({"zm": crime}, encoding="gbk") + "".join(f"&{name}={value}" for name, value in page.items())
    return Legacy(client, "GET", f"/crimes?{words}")


def feed(client: str, who: Person, **more: Any) -> Legacy:
    """A list, by Link header."""
    return Legacy(client, "GET", f"/feed?id={who.SFZH}", **more)


def form(client: str, who: Person, **page: int) -> Legacy:
    """A form in GB18030, answered by XML, by offset."""
    text = f"xm={quote(who.XM, encoding='gb18030')}&csrq={who.CSRQ}" + "".join(f"&{n}={v}" for n, v in page.items())
    return Legacy(client, "POST", "/query", text.encode(), "application/x-www-form-urlencoded")


def soap(client: str, who: Person, **more: Any) -> Legacy:
    """SOAP 1.1."""
    text = QUERY.format(soap=SOAP, space=SPACE, number=who.SFZH)
    action = {"SOAPAction": '"urn:archive#getRecords"'}
    return Legacy(client, "POST", "/soap", text.encode(), "text/xml; charset=utf-8", action, **more)


def opened(client: str, who: Person) -> tuple[Call, ...]:
    """A session, and calls of it: about its subject, and about another one."""
    other = PEOPLE[PEOPLE.index(who) - 1]
    return (
        Open(client, by_number(who)),
        *(persons(client, each, "?size=2", session=True) for each in (who, other)),
        feed(client, who, session=True),
        Next(-1),
        soap(client, who, session=True),
    )


TOURS: Sequence[tuple[Call, ...]] = (
    drafted(at_desk("submit"), at_desk("approve", "approver", {"valid_days": 1}), at_desk("undertaking", body={})),
    drafted(at_desk("submit"), at_desk("refuse", "approver", {"codes": ["purpose-not-allowed"], "text": "不予许可"})),
    drafted(at_desk("withdraw")),
    (Visit("POST", "/v1/letters", "clerk", body=orjson.dumps(PAPER_LETTER)), *seen("/v1/databases", "police")),
    (
        Ask("police", by_number(ADULT)), Ask("police", by_number(PEOPLE[-1])), Wait(120), *seen("/log/checkpoint", "prosecutor"),
        *seen("/log/tile/entries/{number}", "prosecutor"), *seen("/log/tile/0/{number}", "prosecutor"),
        *seen("/log/origins", "prosecutor"),
        *seen("/log/proof/{inquiry}", "prosecutor"), *seen("/oversight/v1/events", "prosecutor"),
    ),
    (
        Wait(120), *seen("/log/checkpoint", "prosecutor"), *seen("/log/2026/checkpoint", "prosecutor"),
        *seen("/log/2026/tile/entries/{number}", "prosecutor"), *seen("/log/2026/tile/0/{number}", "prosecutor"),
    ),
    (*seen("/policy/v1/revisions", "security"), *seen("/v1/keys"), *seen("/healthz"), *seen("/readyz")),
    (*seen("/metrics"), *seen("/openapi.json"), *seen("/docs"), *seen("/docs/reason-codes")),
    *(opened(client, who) for client in ("police", "school") for who in (ADULT, PEOPLE[-1], PEOPLE[2])),
    tuple(persons(client, who, "?page=1&size=2") for client in ("police", "court") for who in PEOPLE),
    tuple(call(client, who) for call in (form, soap, feed) for client in ("police", "notary") for who in PEOPLE),
    *((crimes("police", crime, limit=2), Next(-1), Next(-1)) for crime in CRIMES),
)  # fmt: skip
"""Every operation with an answer that is no refusal, in an order that makes it so."""


def operation(call: Call) -> tuple[str, str] | None:
    """Method and path of a call's operation; None where nothing is sent."""
    if isinstance(call, Visit):
        return call.method.lower(), call.path.partition("?")[0]
    if isinstance(call, (Legacy, Next)):
        return "", f"/proxy/{ARCHIVE}"
    if isinstance(call, Wait):
        return None
    return "post", "/v1/sessions" if isinstance(call, Open) else "/v1/inquiries"


def _toured() -> st.SearchStrategy[tuple[Call, ...]]:
    """A tour, or some of it in another order."""
    whole = st.sampled_from(TOURS)
    some = whole.flatmap(lambda tour: st.lists(st.sampled_from(tour), min_size=1, max_size=4).map(tuple))
    return st.one_of(some, whole.map(lambda tour: tour[:6]))


_PAGES = (
    "",
    "",
    "?page=1&size=1",
    "?page=2&size=1",
    "?page=2&size=2",
    "?page=3&size=2",
    "?page=0",
    "?size=101",
    "?x=1",
)
_NO_ROUTE = (
    ("GET", "/persons//records"), ("GET", "/persons/%2e%2e/records"), ("DELETE", "/persons/1/records"), ("HEAD", "/feed?id=1"),
    ("OPTIONS", "/query"), ("PUT", "/soap"), ("GET", "/crimes?zm=%FF"), ("GET", "/crimes"), ("POST", "/query"), ("POST", "/soap"),
    ("GET", "/feed?id=1&id=2"), ("GET", "/feed?id=' OR 1=1"), ("TRACE", "/feed"), ("GET", "/nothing"),
)  # fmt: skip


def _legacies() -> st.SearchStrategy[Call]:
    clients = st.sampled_from((*ANSWERED, *ANSWERED, *CLIENTS))
    people = st.sampled_from(PEOPLE)
    packed = st.sampled_from(({}, {}, {}, *HEADERS))
    session = st.booleans()
    small = st.sampled_from(({}, {"limit": 1}, {"limit": 2}))
    wrong = st.builds(lambda client, parts: Legacy(client, *parts), clients, st.sampled_from(_NO_ROUTE))
    return st.one_of(
        st.builds(
            lambda client, who, page, headers, own: persons(client, who, page, headers=headers, session=own),
            clients, people, st.sampled_from(_PAGES), packed, session,
        ),
        st.builds(lambda client, who, own: feed(client, who, session=own), clients, people, session),
        st.builds(lambda client, who, page: form(client, who, **page), clients, people, small),
        st.builds(lambda client, who, own: soap(client, who, session=own), clients, people, session),
        st.builds(lambda client, crime, page: crimes(client, crime, **page), clients, st.sampled_from(CRIMES), small),
        st.builds(Next, st.integers(0, 3)),
        st.builds(lambda client, who: Open(client, by_number(who)), clients, people),
        wrong,
    )  # fmt: skip


def _from_archive() -> st.SearchStrategy[Call]:
    """Inquiries of ours that the archive's service answers."""
    targets = st.one_of(
        st.sampled_from(PEOPLE).map(by_number),
        st.sampled_from(PEOPLE).map(by_name),
        st.sampled_from(CRIMES).map(lambda crime: search(("crime", "eq", crime))),
    )
    stated = st.builds(lambda target, order: {**target, **order, "database": ARCHIVE}, targets, _order())
    return st.builds(Ask, st.sampled_from((*ANSWERED, *ANSWERED, *CLIENTS)), stated, _headers(), _door())


# --- drawn -----------------------------------------------------------------------------------------------------------


def _headers() -> st.SearchStrategy[Mapping[str, str]]:
    return st.sampled_from(HEADERS)


def _door() -> st.SearchStrategy[str]:
    return st.sampled_from(("thin", "flask"))


def _asks() -> st.SearchStrategy[Call]:
    stated = st.builds(lambda *parts: {k: v for part in parts for k, v in part.items()}, _target(), _order())
    wrong = st.builds(lambda plain, change: {**plain, **change}, stated, st.sampled_from(_CHANGES))
    clients = st.sampled_from((*ANSWERED, *ANSWERED, *CLIENTS))
    searchers = st.sampled_from(("police", "police", "another", "court"))
    letters = st.sampled_from(("own",) * 4 + ("none", "another's", "last"))
    lawful = st.builds(Ask, searchers, stated, _headers(), _door())
    return st.one_of(lawful, lawful, st.builds(Ask, clients, st.one_of(stated, wrong), _headers(), _door(), letters))


def _everything() -> st.SearchStrategy[Call]:
    """Who may search asks for all there is: whatever is sealed of it would have been in the answer."""
    stated = st.builds(lambda target, order: {**target, **order}, st.sampled_from(_ALL), _order())
    return st.builds(Ask, st.sampled_from(("police", "court")), stated, _headers(), _door())


def _followers() -> st.SearchStrategy[Call]:
    index = st.integers(0, 7)
    changes: tuple[Body, ...] = (
        {},
        {},
        {},
        {},
        {},
        {},
        {},
        {"page_size": 1},
        {"sort": [{"field": "case", "order": "desc"}]},
        {"reason": "他"},
    )
    pages = st.builds(More, index, st.sampled_from(("",) * 9 + ("another", "court")), st.sampled_from(changes), _door())
    return st.one_of(pages, pages, st.builds(Again, index, _headers()))


def _others() -> st.SearchStrategy[Call]:
    clients = st.sampled_from(sorted(CLIENTS))
    visits = st.builds(
        Visit, st.sampled_from(_METHODS), st.sampled_from(PATHS), clients, _headers(), st.sampled_from((b"", b"{}"))
    )
    raw = st.builds(Raw, clients, st.sampled_from(_RAW), _headers(), _door(), st.sampled_from((1, 1, 70_000)))
    waits = st.builds(Wait, st.sampled_from((1, 59, 61, 299, 601, 7200)))
    return st.one_of(visits, visits, raw, waits)


def _turned() -> st.SearchStrategy[tuple[Call, ...]]:
    """A search of small pages, turned to the end."""
    sizes = st.sampled_from((1, 2, 3))
    first = st.builds(
        lambda client, target, order, size, door: Ask(client, {**target, **order, "page_size": size}, door=door),
        st.sampled_from(("police", "court")),
        st.sampled_from(_ALL),
        _order(),
        sizes,
        _door(),
    )
    return st.builds(
        lambda ask, pages: (ask, *(More(-1, door=ask.door) for _ in range(pages))), first, st.integers(1, 3)
    )


def calls(most: int = 8) -> st.SearchStrategy[tuple[Call, ...]]:
    """A sequence of calls: inquiries first of all, their pages and repetitions, and everything else."""
    one = st.one_of(_asks(), _asks(), _asks(), _followers(), _others(), _legacies(), _from_archive())
    alone = one.map(lambda call: (call,))
    some = st.lists(st.one_of(alone, alone, _turned(), _toured()), min_size=2, max_size=most)
    first = st.one_of(_everything(), _everything(), _asks())
    return st.builds(lambda first, rest: (first, *(call for part in rest for call in part)), first, some)
