"""What clients without entitlement do: a sequence of calls as data, drawn at random, the same for both worlds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

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
class Raw:
    """Bytes that are no inquiry."""

    client: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    door: str = "thin"
    times: int = 1


@dataclass(frozen=True)
class Visit:
    """Any other request."""

    method: str
    path: str
    client: str = "none"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Wait:
    """Time goes by."""

    seconds: int


Call = Ask | More | Again | Raw | Visit | Wait

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
    one = st.one_of(_asks(), _asks(), _asks(), _followers(), _others()).map(lambda call: (call,))
    some = st.lists(st.one_of(one, one, one, _turned()), min_size=2, max_size=most)
    first = st.one_of(_everything(), _everything(), _asks())
    return st.builds(lambda first, rest: (first, *(call for part in rest for call in part)), first, some)
