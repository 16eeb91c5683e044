"""What is fuzzed, and what must hold of any bytes: only declared errors, one meaning, the same again when written and read.

A target takes bytes and returns; an error that its parser does not declare, or a failed assertion, is a finding. Nothing
here needs atheris: the corpus is replayed by the fast tests too.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import json
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from itertools import pairwise
from typing import Any

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sidecar.codes import Channel, Role
from sidecar.demo.archive_catalog import archive_catalog
from sidecar.demo.catalog import CATALOG
from sidecar.errors import ConfigurationError, RequestInvalid, TokenRejected
from sidecar.gateway import body, cursor, read, stated
from sidecar.gateway.types import Request
from sidecar.identity.keysets import KeySetUnusable, VerificationKey, parse_key_set
from sidecar.identity.tokens import TokenVerifier, TrustedIssuer
from sidecar.law import days, identifiers, terms
from sidecar.ledger import checkpoint, entry, evidence, note, tiles
from sidecar.ledger.types import Entry
from sidecar.papers import parse as letters
from sidecar.records import catalog, wire_json, wire_xml
from sidecar.records.answers import Unmappable
from sidecar.records.calls import Incoming, OpenRoute, match
from sidecar.records.wire_json import BodyFault
from sidecar.web.http import head_fault, read_request

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
TODAY = 20261123
SECONDS = int(NOW.timestamp())
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
LIMITS = read.Limits(65_536, 100, 1000)


@dataclass(frozen=True)
class Target:
    """One fuzzer.

    Attributes:
        run: takes any bytes.
        seeds: where it starts from.
        words: pieces that it is told of.
    """

    run: Callable[[bytes], None]
    seeds: Sequence[bytes]
    words: Sequence[bytes] = ()


def strict(text: bytes) -> Any:
    """JSON by another reader, which notes whatever two readers could take in two ways."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        assert len(found) == len(pairs), "a name twice"
        return found

    def never(word: str) -> Any:
        raise AssertionError(word)

    return json.loads(text, object_pairs_hook=once, parse_constant=never)


def told_by(given: Any, *expected: Any) -> None:
    """A refusal says what refusals of this kind say."""
    assert given in expected, given


# --- requests --------------------------------------------------------------------------------------------------------

INQUIRY = {
    "database": "county", "subject": {"person_id": "339901198507110011"}, "scope": "open", "reason": "侦办盗窃案",
    "basis": {"instrument": "刑事诉讼法", "article": "286"}, "purpose": "case_handling", "case_number": "示公刑立字〔2026〕15号",
}  # fmt: skip
SEARCH = {k: v for k, v in INQUIRY.items() if k != "subject"} | {
    "filter": [{"field": "ZM", "operator": "in", "value": ["盗窃罪", 1]}], "sort": [{"field": "case", "order": "desc"}], "page_size": 2,
}  # fmt: skip
JSON_TYPE = {"content-type": "application/json"}


def inquiry(data: bytes) -> None:
    """A body that is taken has one meaning, as another reader finds it, and a digest."""
    request = Request(Channel.API.value, "POST", "/v1/inquiries", JSON_TYPE, data, "192.0.2.7")
    try:
        found = read.read_inquiry(request, "x", NOW, LIMITS)
    except RequestInvalid as exc:
        told_by(exc.status, 400, 413, 422)
        return
    told = strict(data)
    assert set(told) <= body._MEMBERS
    again = Request(Channel.API.value, "POST", "/v1/inquiries", JSON_TYPE, orjson.dumps(told), "192.0.2.7")
    assert read.request_digest(read.read_inquiry(again, "x", NOW, LIMITS)) == read.request_digest(found)


def head(data: bytes) -> None:
    """Any environment of a request is read; facts in headers are read or refused, and are the same when read again."""
    first, _, rest = data.decode("latin-1").partition("\n")
    method, path, query = [*first.split(" ", 2), "", "", ""][:3]
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "wsgi.input": io.BytesIO(b"{}"),
    }
    environ |= {
        name.upper().replace("-", "_"): value for name, _, value in (line.partition(":") for line in rest.split("\n"))
    }
    request = read_request(environ, Channel.PROXY.value, 100).whole()
    assert len(request.body) <= 101
    assert request.fault == head_fault(environ)
    with contextlib.suppress(RequestInvalid):
        read.idempotency_key(request.headers)
    try:
        facts = stated.read(request.headers)
    except RequestInvalid as exc:
        told_by(exc.status, 422)
        return
    assert facts.scope in {"open", "sealed"}
    assert all(len(part) <= body.MAX_REASON + letters.MAX_LETTER for part in (facts.reason, facts.letter))


BINDING = cursor.Binding("i|s", b"r", "1")
BOX = cursor.CursorBox(bytes(32))
POSITION = cursor.Position("x", 2, SECONDS + 60, ("AJ0001", 1))
GOOD_CURSOR = BOX.seal(POSITION, BINDING, bytes(cursor.NONCE_BYTES))


def a_cursor(data: bytes) -> None:
    """What opens is what was sealed, and under its own binding only."""
    text = data.decode("utf-8", "surrogateescape")
    try:
        found = BOX.open(text, BINDING, SECONDS)
    except RequestInvalid:
        return
    assert found == POSITION
    assert base64.b64decode(text + "==", b"-_") == base64.b64decode(GOOD_CURSOR + "==", b"-_")
    with contextlib.suppress(RequestInvalid):
        BOX.open(text, cursor.Binding("i|t", b"r", "1"), SECONDS)
        raise AssertionError("another's cursor")


# --- legacy services -------------------------------------------------------------------------------------------------


@cache
def routes() -> Mapping[str, OpenRoute]:
    """The archive's."""
    loaded = catalog.parse(archive_catalog("http://127.0.0.1:1/da"))
    return {route.name: OpenRoute(route, tuple(loaded.columns())) for route in loaded.routes}


def some_json(data: bytes) -> None:
    """What is read is written and read again as it was, in every form; other readers read the same."""
    text = data.decode("utf-8", "surrogateescape")
    try:
        value = wire_json.parse(text, 16)
    except BodyFault:
        return
    flat = wire_json.flat(value)
    with contextlib.suppress(UnicodeEncodeError):
        strict(text.encode())
    for spaced, escaped in ((False, False), (True, False), (False, True), (True, True)):
        again = wire_json.parse(wire_json.dump(value, spaced=spaced, escaped=escaped), 16)
        assert again == value
        assert wire_json.flat(again) == flat
    nothing = wire_json.cut(value, (), ())
    assert nothing in ({}, []) or nothing is wire_json.ABSENT


def some_xml(data: bytes) -> None:
    """What is read has no entities of its own, and is written and read again as it was."""
    text = data.decode("utf-8", "surrogateescape")
    try:
        root = wire_xml.parse(text, 16)
    except BodyFault:
        return
    docinfo = root.getroottree().docinfo
    assert docinfo.internalDTD is None
    assert docinfo.externalDTD is None
    again = wire_xml.parse(wire_xml.dump(root), 16)
    assert wire_xml.flat(again) == wire_xml.flat(root)
    assert len(wire_xml.dump(root)) <= 8 * len(text) + 1000
    for form in wire_xml.SOAP:
        wire_xml.is_fault(root, form)
    empty = wire_xml.cut(root, (), ())
    assert not len(empty)
    assert not empty.text


def an_answer(data: bytes) -> None:
    """Of an answer, what is shown is written again; nothing else is, and it is read again as it was."""
    kinds = tuple(routes().values())
    opened = kinds[data[0] % len(kinds)] if data else kinds[0]
    form, text = opened.form, data[1:].decode(opened.charset, "replace")
    try:
        parsed = form.read(text, 16)
    except BodyFault:
        return
    shown = {"AJBH", "XH", "ZM"}
    told = []
    for record in parsed.records:
        with contextlib.suppress(Unmappable):
            form.leaves(record)
            told.append(form.cut(record, shown))
    numbers = {"total": str(len(told)), "pages": "1", "page": "1", "size": "1", "count": "1"}
    written = form.write(told, numbers)
    for hidden in ("339901198507110011", "何大伟", "示例路"):
        assert hidden not in written or hidden in "".join(_shown_of(form, told))
    assert len(form.read(written, 32).records) == len(told)


def _shown_of(form: Any, told: Sequence[Any]) -> list[str]:
    return [
        str(inner)
        for record in told
        for inner in (
            wire_json.flat(record).values() if isinstance(record, (dict, list)) else [record.xpath("string()")]
        )
    ]


def a_call(data: bytes) -> None:
    """A call is read or refused; what is read can be sent to the service, or is refused before."""
    first, _, sent = data.partition(b"\n\n")
    lines = first.decode("latin-1").split("\n")
    method, path, query = [*lines[0].split(" ", 2), "", "", ""][:3]
    headers = {name.lower(): value for name, _, value in (line.partition(":") for line in lines[1:])}
    incoming = Incoming(method, path, query, headers, sent)
    found = match(tuple(routes().values()), incoming)
    if found is None:
        return
    opened, in_path = found
    try:
        call = opened.read(incoming, in_path, TODAY)
        outgoing = opened.outgoing(call.values, {"page": "1", "size": "1"})
    except RequestInvalid as exc:
        told_by(exc.status, 400, 415, 422)
        return
    assert outgoing.path.isascii()
    assert outgoing.query.isascii()
    assert not {*outgoing.path, *outgoing.query} & set(" \r\n#?\\")
    assert ".." not in outgoing.path.split("/")
    assert len(outgoing.path.split("/")) == len(opened.segments)
    if opened.route.paging.kind == "link":
        assert "\n" not in opened.link(call, path, "AAAA")
    _same_again(opened, call.target)


def _same_again(opened: OpenRoute, target: Any) -> None:
    """The same question in our own words can be sent too, or is refused."""
    for values in opened.values_for(target):
        with contextlib.suppress(RequestInvalid):
            opened.outgoing(values, {})


# --- credentials -----------------------------------------------------------------------------------------------------

ISSUER = "https://idp.example"
GRANTED = frozenset({Role.OFFICER.value, Role.APPROVER.value})
CLAIMS = {
    "iss": ISSUER, "sub": "p1", "aud": "county", "iat": SECONDS, "nbf": SECONDS, "exp": SECONDS + 300, "jti": "t1",
    "unit": "113399010000010114", "roles": ["officer"],
    "work_certificate": {"number": "浙p1", "status": "valid", "expires": "2027-12-31"},
}  # fmt: skip
LETTER = {
    "iss": "113399010000010114", "aud": "county", "number": "示公函字〔2026〕1号", "officer": "p1", "subjects": ["339901198507110011", "何大伟/1985-07-11"],
    "databases": ["county"], "scope": "open", "basis": {"instrument": "刑事诉讼法", "article": "286"}, "purpose": "case_handling",
    "nbf": SECONDS, "exp": SECONDS + 300, "uses": 1,
}  # fmt: skip


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(header: bytes, claims: bytes) -> str:
    """A compact JWS of any bytes, truly signed."""
    text = f"{encoded(header)}.{encoded(claims)}"
    return f"{text}.{encoded(KEY.sign(text.encode()))}"


class _Keys:
    def key(self, kid: str) -> VerificationKey | None:
        return VERIFICATION if kid == VERIFICATION.kid else None


VERIFICATION = VerificationKey("k1", KEY.public_key(), frozenset({"EdDSA"}))


def a_token(data: bytes) -> None:
    """A token, as it is or truly signed: whoever comes in has what was granted, here and now."""
    header, split, claims = data.partition(b"\n")
    text = signed(header, claims) if split else data.decode("utf-8", "surrogateescape")
    verifier = TokenVerifier(
        issuers=[TrustedIssuer(ISSUER, _Keys(), GRANTED, {})],  # type: ignore[arg-type]
        audience="county", algorithms=["EdDSA", "ES256", "RS256"], max_lifetime=600, leeway=30, cache_size=10, revoked=lambda *_: False,
    )  # fmt: skip
    try:
        officer = verifier.verify(text, NOW)
    except TokenRejected as exc:
        told_by(exc.code[:6], "token-")
        return
    head, said = (orjson.loads(base64.urlsafe_b64decode(part + "==")) for part in text.split(".")[:2])
    assert verifier.verify(text, NOW) == officer
    assert officer.roles <= GRANTED
    assert said["iss"] == ISSUER
    assert "county" in ([said["aud"]] if isinstance(said["aud"], str) else said["aud"])
    assert said["iat"] < said["exp"]
    assert said["exp"] + 30 > SECONDS
    assert "|" not in officer.subject
    assert not head.keys() & {"jwk", "jku", "x5u", "x5c", "crit", "b64", "zip"}


def a_letter(data: bytes) -> None:
    """A letter has one meaning, and the same when it is stated again as it was read."""
    header, split, claims = data.partition(b"\n")
    text = signed(header, claims) if split else data.decode("utf-8", "surrogateescape")
    letters.is_compact(text)
    try:
        _, said = letters.open_parts(text)
        found = letters.read_claims(said, TODAY)
    except letters.LetterMalformed:
        return
    assert found.first <= found.last
    again = dict(LETTER) | {
        "number": found.number, "officer": found.officer, "subjects": sorted(found.subjects), "databases": sorted(found.databases),
        "scope": found.scope, "basis": {"instrument": found.basis[0], "article": found.basis[1]}, "purpose": found.purpose,
        "nbf": found.first, "exp": found.last, "uses": found.uses,
    }  # fmt: skip
    assert letters.read_claims(again, TODAY) == found


def a_key_set(data: bytes) -> None:
    """Keys that are taken verify, and have no private part."""
    try:
        found = parse_key_set(data)
    except KeySetUnusable:
        return
    assert found
    assert all(key.kid == kid and key.algorithms and not hasattr(key.key, "sign") for kid, key in found.items())


# --- ledger ----------------------------------------------------------------------------------------------------------

ENTRY = entry.encode(
    Entry(
        "01a2076b-4400-763e-9705-bf33f059dab0",
        "2026-11-23T08:00:00.000Z",
        "inquiry",
        "api",
        "AAAA",
        codes=("a",),
        extra={"n": "1"},
    )
)[0]


def a_stored_body(data: bytes) -> None:
    """A body that is taken is the only one with its leaf."""
    try:
        found, leaf = entry.read(data)
    except entry.EntryInvalid:
        return
    assert orjson.loads(leaf.data).keys() - {"pad"} == found.keys() - {"pad"}
    assert len(leaf.data) in entry.SIZES
    front, _, rest = leaf.data.rpartition(b',"pad":"')
    assert data == front + rest[rest.index(b'"') + 1 :]


LOG = note.verifier("county", KEY.public_key())
LOG_KEY = evidence.read_key(str(LOG))
LEAF = hashlib.sha256(b"\0x").digest()
CHECKPOINT = checkpoint.Checkpoint("county", 1, LEAF).signed(KEY).encode()
PROOF = f"{evidence.PROOF_HEADER}\nindex 0\n\n".encode() + CHECKPOINT


def a_note(data: bytes) -> None:
    """Two readers of signed notes, written apart, take the same ones; ``*`` in front: the text is truly signed first."""
    if data.startswith(b"*"):
        text = data[1:].decode("utf-8", "replace")
        data = (
            f"{text}\n\N{EM DASH} county {base64.b64encode(LOG.key_id + KEY.sign(text.encode())).decode()}\n".encode()
        )
    ours: Any = None
    theirs: Any = None
    with contextlib.suppress(note.NoteInvalid):
        ours = checkpoint.open_checkpoint(data, LOG)
    with contextlib.suppress(evidence.EvidenceInvalid):
        theirs = evidence.read_checkpoint(data, LOG_KEY)
    if ours is not None:
        assert theirs is not None
        assert (theirs.origin, theirs.size, theirs.root) == (ours.origin, ours.size, ours.root)
        assert checkpoint.parse(ours.text()) == ours
    with contextlib.suppress(note.NoteInvalid):
        found = note.parse_verifier(data.decode("utf-8", "replace"))
        assert note.parse_verifier(str(found)) == found
    with contextlib.suppress(evidence.EvidenceInvalid):
        evidence.read_key(data.decode("utf-8", "replace"))


def a_proof(data: bytes) -> None:
    """Nothing but the true leaf is proven."""
    with contextlib.suppress(evidence.EvidenceInvalid):
        position, found = evidence.check_proof(data, LEAF, LOG_KEY)
        assert (position, found.size, found.root) == (0, 1, LEAF)
    with contextlib.suppress(evidence.EvidenceInvalid):
        evidence.check_proof(data, bytes(32), LOG_KEY)
        raise AssertionError("another leaf is proven")


def a_bundle(data: bytes) -> None:
    """A bundle is what its entries pack to; a tile's number is written in one way."""
    with contextlib.suppress(tiles.BundleInvalid):
        assert tiles.pack(tiles.unpack(data)) == data
    text = data.decode("latin-1")
    if (found := tiles.read_number(text)) is not None:
        index, width = found
        assert tiles.Bundle(index, width).path == f"tile/entries/{text}"
        for level in (0, 7):
            tiles.held(2**63, level, index, width)


# --- catalogs, identifiers, texts ------------------------------------------------------------------------------------


def a_catalog(data: bytes) -> None:
    """A catalog is taken or refused with a text; taken, it is the same again."""
    text = data.decode("utf-8", "replace")
    try:
        found = catalog.parse(text)
    except ConfigurationError:
        return
    assert catalog.parse(text) == found
    found.columns()
    found.field_classes()


_NORMAL: Sequence[Callable[[str], str]] = (
    identifiers.normalise, identifiers.citizen_number, identifiers.credit_code, identifiers.case_number, identifiers.letter_number,
    identifiers.person_name,
)  # fmt: skip


def an_identifier(data: bytes) -> None:
    """An identifier is normalised once and for all; numbers are ASCII whatever they were written in."""
    text = data.decode("utf-8", "surrogatepass") if not _broken(data) else data.decode("latin-1")
    for read_one in _NORMAL:
        try:
            value = read_one(text)
        except identifiers.IdentifierInvalid:
            continue
        assert read_one(value) == value
        assert not any(unicodedata.category(char)[0] == "C" for char in value)
        assert read_one is not identifiers.citizen_number or _citizen(value)
        assert read_one is not identifiers.credit_code or (value.isascii() and value.isalnum() and len(value) == 18)
    identifiers.is_court_case_number(text)
    with contextlib.suppress(identifiers.IdentifierInvalid, letters.LetterMalformed):
        name = letters.subject_name(text, TODAY)
        assert letters.subject_name(name, TODAY) == name


def _broken(data: bytes) -> bool:
    try:
        data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return True
    return False


def _citizen(value: str) -> bool:
    forms = identifiers.citizen_number_forms(value)
    assert all(identifiers.citizen_number(form) == value for form in forms)
    return value.isascii() and len(value) == 18 and days.is_day(identifiers.birth_day_of(value))


def a_legacy_text(data: bytes) -> None:
    """A term or day as a text or number of a legacy database: read or not, never an error."""
    text = data.decode("utf-8", "surrogateescape")
    months = terms.parse_months(text)
    assert months is None or 0 < months < 1200
    assert (term := terms.parse_term(text)) is None or term.months == months
    terms.parse_penalty(text)
    number = int.from_bytes(data[:16], "big", signed=True)
    for value in (text, number, -number, number % 10**9):
        day = days.parse_day(value)
        assert day is None or (days.is_day(day) and days.parse_day(days.day_text(day)) == day)
    terms.whole_months(number)


def seeds_of(*texts: Any) -> tuple[bytes, ...]:
    return tuple(
        text if isinstance(text, bytes) else orjson.dumps(text) if isinstance(text, dict) else str(text).encode()
        for text in texts
    )


def _answers() -> tuple[bytes, ...]:
    record = dict.fromkeys(sorted(next(iter(routes().values())).form._columns), "1")  # type: ignore[attr-defined]
    record |= {"SFZH": "339901198507110011", "XM": "何大伟", "JTZZ": "示例路"}
    listed = {"code": 0, "msg": "ok", "data": {"total": 1, "pages": 1, "page": 1, "size": 20, "list": [record]}}
    rows = "".join(f"<a:{name}>{value}</a:{name}>" for name, value in record.items())
    soap = (
        '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><a:getRecordsResponse xmlns:a="urn:archive"><a:total>1</a:total>'
        f"<a:records><a:record>{rows}</a:record></a:records></a:getRecordsResponse></s:Body></s:Envelope>"
    )
    plain = rows.replace("a:", "")
    return (
        b"\0" + orjson.dumps(listed), b"\1" + json.dumps({"rows": [record], "next": "2"}, ensure_ascii=False).encode("gbk"),
        b"\2" + orjson.dumps([record]), b"\3" + f'<result><list total="1"><record>{plain}</record></list></result>'.encode("gb18030"), b"\4" + soap.encode(),
    )  # fmt: skip


_CALLS = (
    b"GET /persons/339901198507110011/records page=1&size=2\naccept-encoding:gzip\n\n",
    b"GET /crimes zm=%B5%C1%C7%D4%D7%EF&from=AAAA&limit=2\n\n", b"GET /feed id=339901850711001&after=AAAA\n\n",
    b"POST /query \ncontent-type:application/x-www-form-urlencoded\n\nxm=%BA%CE&csrq=19850711&start=1&limit=2",
    (
        b'POST /soap \ncontent-type:text/xml; charset=utf-8\nsoapaction:"urn:archive#getRecords"\n\n<s:Envelope xmlns:s="http://schemas.xmlsoap.org/'
        b'soap/envelope/"><s:Body><a:getRecords xmlns:a="urn:archive"><a:sfzh>339901198507110011</a:sfzh></a:getRecords></s:Body></s:Envelope>'
    ),
)  # fmt: skip
_HEAD = (
    b"POST /v1/inquiries x=1\nHTTP_HOST:x\nSERVER_PROTOCOL:HTTP/1.1\nCONTENT_LENGTH:2\nCONTENT_TYPE:application/json\n"
    b"HTTP_INQUIRY_REASON:%E4%BE%A6\nHTTP_INQUIRY_SCOPE:open\nHTTP_IDEMPOTENCY_KEY:k\nHTTP_TRANSFER_ENCODING:chunked"
)
_HEADER = b'{"alg":"EdDSA","kid":"k1","typ":"JWT"}\n'
_KEYS = {"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "a", "x": encoded(KEY.public_key().public_bytes_raw())},
                  {"kty": "EC", "crv": "P-256", "kid": "b", "x": encoded(bytes(32)), "y": encoded(bytes(32))},
                  {"kty": "RSA", "kid": "c", "e": "AQAB", "n": encoded(b"\xff" * 256), "use": "sig", "alg": "RS256"}]}  # fmt: skip
_TEXTS = seeds_of(
    "有期徒刑三年六个月，缓刑五年", "18个月", "罚金五千元", "20230601", "2023-06-01", "数罪并罚，决定执行有期徒刑二十年"
)
_NAMES = seeds_of(
    "339901198507110011", "339901850711001", "３３９９０１１９８５０７１１００１１", "113399010000010114", "（2026）浙0101刑初1号之一", "京公法字〔2022〕337号",
    "何大伟/1985-07-11", "\u202e何\u200b大伟", "\u212b\u0301\ufb01",
)  # fmt: skip

TARGETS: Mapping[str, Target] = {
    "answer": Target(an_answer, _answers(), (b'"total"', b"<!DOCTYPE", b"]]>", b"xsi:nil")),
    "bundle": Target(a_bundle, seeds_of(tiles.pack([b"abc", b""]), "x001/234.p/5", "000")),
    "call": Target(a_call, _CALLS, (b"%2e%2e", b"%2f", b"&", b"%FF")),
    "catalog": Target(a_catalog, seeds_of(CATALOG, archive_catalog("http://127.0.0.1:1/da")), (b"&a", b"*a", b"!!", b"<<:", b"{{")),
    "cursor": Target(a_cursor, seeds_of(GOOD_CURSOR)),
    "entry": Target(a_stored_body, seeds_of(ENTRY), (b'"pad":""', b',"pad":""', b"1e400")),
    "head": Target(head, (_HEAD,), (b"HTTP_INQUIRY_LETTER:", b"HTTP_CONTENT_TYPE:", b"%F0%9F")),
    "identifier": Target(an_identifier, _NAMES),
    "inquiry": Target(inquiry, seeds_of(INQUIRY, SEARCH), (b'"cursor":', b"1e400", b"\\ud800", b'"letter":"', b"9" * 30)),
    "json": Target(some_json, seeds_of({"a": [1, {"b": "x"}]}, '[1.50,-0,1e400,"\\ud800",null,true]'), (b"NaN", b"1e999")),
    "keyset": Target(a_key_set, seeds_of(_KEYS), (b'"d":', b'"alg":"none"')),
    "legacy-text": Target(a_legacy_text, _TEXTS),
    "letter": Target(a_letter, (b'{"alg":"EdDSA","typ":"unit-letter+jws"}\n' + orjson.dumps(LETTER), signed(b"{}", b"{}").encode())),
    "note": Target(a_note, (CHECKPOINT, b"*county\n1\n" + base64.b64encode(LEAF) + b"\n", str(LOG).encode())),
    "proof": Target(a_proof, (PROOF,), (b"extra AAAA\n", b"index 1\n")),
    "token": Target(a_token, (_HEADER + orjson.dumps(CLAIMS), signed(_HEADER.strip(), orjson.dumps(CLAIMS)).encode()), (b'"crit":["b64"]', b'"alg":"none"')),
    "xml": Target(some_xml, seeds_of('<?xml version="1.0"?><a b="c">d<e/>f<!-- g --><h xmlns="i">&lt;</h></a>'), (b"<!DOCTYPE", b"<!ENTITY", b"&#0;", b"xmlns:", b"<![CDATA[")),
}  # fmt: skip
"""By name."""

assert all(one < two for one, two in pairwise(TARGETS)), "in order"
