"""The HTTP connector: walks a service's whole result within B, derives and classifies every record itself (P3, P4, P7).

A service cannot be given a filter. So every inquiry reads the same way to the end, whoever asks: beyond B it is the fixed 503.
What is released, counted and paged is what the policy lets through.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import structlog

from sidecar.clock import Clock, SystemClock
from sidecar.codes import FieldClass, View
from sidecar.errors import ConfigurationError, DatabaseClosed, DatabaseUnavailable, ResultUnbounded
from sidecar.policy.types import Classification, Joint, LegalParameters, Views
from sidecar.records import catalog as c
from sidecar.records.answers import Parsed, Unmappable
from sidecar.records.attributes import SEALED_KEYS, UNSEALED_KEYS, cover_mark, derivation, expressions
from sidecar.records.calls import Call, OpenRoute, Outgoing, Values
from sidecar.records.canary import Classify
from sidecar.records.connectors.upstream import Reply, Upstream
from sidecar.records.decode import Undecodable, decoder
from sidecar.records.redaction import redact
from sidecar.records.routes import HttpSource
from sidecar.records.types import Fetched, PageRequest, RegisterMarks, Row, Search, Subject
from sidecar.records.wire_json import BodyFault

log = structlog.get_logger(__name__)

OK: Final = 200

_LINK: Final = re.compile(r"<([^<>]*)>([^<]*)")
_REL: Final = re.compile(r';\s*rel\s*=\s*"?([^";,]*)"?', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Faulty:
    """A record that cannot be released because it does not fit the catalog: the key's text, and what is wrong with it.

    Attributes:
        key: canonical text of the record's key; "" where it has none. Its caller MUST NOT log or show it.
        name: the column that is missing, or the released field that cannot be decoded.
    """

    key: str
    name: str


@dataclass(frozen=True, slots=True)
class Walked:
    """Everything that a service has about a target, in its order.

    Attributes:
        rows: records that fit the catalog; raw: the same as they came, in the same order.
        faulty: those that do not.
        headers: of the first answer.
    """

    rows: tuple[Row, ...]
    raw: tuple[Any, ...]
    faulty: tuple[Faulty, ...]
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Page:
    """An answer for a legacy client, not packed yet: bytes, type, further headers."""

    body: bytes
    content_type: str
    headers: tuple[tuple[str, str], ...]


class HttpConnector:
    """Reads one legacy HTTP service. See ``records.types.Connector``; ``walk`` and ``page`` are for the proxy."""

    def __init__(
        self,
        catalog: c.Catalog,
        source: HttpSource,
        upstream: Upstream,
        *,
        parameters: LegalParameters,
        classify: Classify,
        clock: Clock,
    ) -> None:
        self.database = catalog.database
        self.catalog = catalog
        self.classes: Mapping[str, FieldClass] = catalog.field_classes()
        self._covering = catalog.covering()
        parts = (catalog.source, catalog.subject, catalog.attributes)
        self._needed = frozenset(name for part in parts for name in c.columns_of(part))
        self._source, self._upstream, self._classify = source, upstream, classify
        self._clock = clock
        columns = catalog.columns()
        self.routes = tuple(OpenRoute(route, columns) for route in catalog.routes)
        index = {name: i for i, name in enumerate(columns)}
        self._derive = derivation(expressions(catalog, parameters), cover_mark(catalog), index)
        self._keys = tuple(index[name] for name in catalog.source.key)
        self._decoders = tuple((n, index[f.column], decoder(f)) for n, f in catalog.released.items())

    # --- Connector -----------------------------------------------------------------------------------------------

    def fetch(
        self, target: Subject | Search, views: Views, page: PageRequest, marks: RegisterMarks, inquiry_id: str
    ) -> Fetched:
        """See ``Connector``. Everything is read, for there is no filter; positions count visible records."""
        route, asked = self._ask(target)
        rows: list[Row] = []
        keys: set[str] = set()
        for values in asked:
            found = self._walk(route, values, marks, inquiry_id, views.joint_dropped)
            rows += [row for row in found.rows if row.key not in keys]
            keys |= {row.key for row in found.rows}
            self._bound(len(rows))
        classified = self._classify([row.attributes for row in rows])
        if len(classified) != len(rows):
            raise DatabaseUnavailable(f"expected {len(rows)} classifications, got {len(classified)}")
        seen = [r for r, word in zip(rows, classified, strict=True) if views.view(word) is not View.OMITTED]
        start = int(page.after[0]) if page.after else 0
        part = tuple(seen[start : start + page.size])
        more = len(seen) > start + page.size
        end = (start + len(part),) if part else None
        return Fetched(part, len(seen), more, self.classes, 0, end, self._covering)

    def _ask(self, target: Subject | Search) -> tuple[OpenRoute, tuple[Values, ...]]:
        for route in self.routes:
            if asked := route.values_for(target):
                return route, asked
        raise DatabaseClosed(f"{self.database}: no route asks about such a target without more")

    def canary(self) -> None:
        """See ``Connector``: recorded answers must be read and classified as is known of them."""
        for opened in self.routes:
            for recorded in opened.route.answer.recorded:
                try:
                    parsed = opened.form.read(recorded.body, self._source.max_depth)
                except BodyFault as exc:
                    raise DatabaseClosed(f"{self.database}: {opened.route.name}: a recorded answer: {exc}") from exc
                found = self._derived(opened, parsed.records, RegisterMarks(), frozenset())
                words = self._classify([row.attributes for row in found.rows])
                opened_keys = {row.key for row, word in zip(found.rows, words, strict=True) if word.is_open}
                sealed_keys = {row.key for row in found.rows} - opened_keys
                if found.faulty or opened_keys != {*recorded.open} or sealed_keys != {*recorded.sealed}:
                    raise DatabaseClosed(
                        f"{self.database}: {opened.route.name}: a recorded answer is classified otherwise"
                    )

    def close(self) -> None:
        """See ``Connector``."""
        self._upstream.close()

    # --- for the proxy -------------------------------------------------------------------------------------------

    def walk(
        self, call: Call, marks: RegisterMarks, inquiry_id: str, joint_dropped: frozenset[FieldClass] = frozenset()
    ) -> Walked:
        """Everything that the service has to a call.

        Args:
            call: the call.
            marks: of the seal register.
            inquiry_id: goes along.
            joint_dropped: classes that the decision's views drop from joint cases; a fault in them shows nowhere (R16b).

        Raises:
            DatabaseUnavailable, DatabaseTimeout: the service failed, or answered what it should not.
            ResultUnbounded: more than B.
        """
        return self._walk(call.opened, call.values, marks, inquiry_id, joint_dropped)

    def released(
        self, walked: Walked, classified: Sequence[Classification], views: Views
    ) -> list[tuple[Any, frozenset[str]]]:
        """The records that may be seen as they came, each with the columns that may be.

        A column that stands for several fields is shown where all of them are.
        """
        kept = []
        for row, raw, word in zip(walked.rows, walked.raw, classified, strict=True):
            fetched = Fetched((row,), 1, more=False, classes=self.classes, covering=self._covering)
            dropped = views.joint_dropped if row.joint else frozenset()
            for record in redact(fetched, (word,), views).records:
                hidden = {n for n, of in self.classes.items() if n not in record or of in dropped}
                kept.append((raw, self._shown(frozenset(hidden))))
        return kept

    def _shown(self, hidden: frozenset[str]) -> frozenset[str]:
        fields = self.catalog.released
        secret = {fields[name].column for name in hidden}
        return frozenset(field.column for field in fields.values()) - secret

    def page(
        self,
        call: Call,
        released: Sequence[tuple[Any, frozenset[str]]],
        start: int,
        following: str,
        passed: Mapping[str, str],
    ) -> Page:
        """The answer to a call in the service's own form.

        Args:
            call: the call.
            released: all records that may be seen.
            start: how many of them are before the page.
            following: cursor of the next page, used where the service pages by cursor or link.
            passed: headers of the service.
        """
        opened, answer = call.opened, call.opened.route.answer
        form, size, total = opened.form, call.size, len(released)
        paged = opened.route.paging.kind != "none"
        part = released[start : start + size] if paged else released
        numbers = {
            "total": str(total),
            "pages": str(-(-total // size)),
            "count": str(len(part)),
            "size": str(size),
            "page": str(start if opened.route.paging.kind == "offset" else start // size + opened.route.paging.first),
        } | ({"next": following} if following else {})
        cut = [form.cut(raw, shown) for raw, shown in part]
        try:
            body = form.write(cut, numbers).encode(opened.charset, _UNWRITABLE[answer.format == "json"])
        except UnicodeEncodeError:
            body = form.write(cut, numbers, escaped=True).encode(opened.charset)
        headers = [(name, passed[name]) for name in answer.headers if name in passed]
        headers += [(answer.total_header, str(total))] if answer.total_header else []
        return Page(body, content_type(opened), tuple(headers))

    # --- the walk ------------------------------------------------------------------------------------------------

    def _walk(
        self,
        opened: OpenRoute,
        values: Values,
        marks: RegisterMarks,
        inquiry_id: str,
        joint_dropped: frozenset[FieldClass],
    ) -> Walked:
        deadline = self._clock.monotonic() + self._source.deadline_ms / 1000
        rows: list[Row] = []
        raw: list[Any] = []
        faulty: list[Faulty] = []
        keys: set[str] = set()
        headers: Mapping[str, str] | None = None
        count = 0
        for reply, parsed in self._pages(opened, values, inquiry_id, deadline):
            headers = reply.headers if headers is None else headers
            count += len(parsed.records)
            self._bound(max(count, parsed.total or 0))
            found = self._derived(opened, parsed.records, marks, joint_dropped)
            new = {row.key for row in found.rows} - {""}
            if keys & new:
                raise self._failed("its pages overlap")
            keys |= new
            rows += found.rows
            raw += found.raw
            faulty += found.faulty
        return Walked(tuple(rows), tuple(raw), tuple(faulty), headers or {})

    def _bound(self, count: int) -> None:
        if count > self._source.max_rows:
            # An operator's alarm; the threat model names what it tells him.
            log.error("result-unbounded", database=self.database)
            raise ResultUnbounded("a result has more records than the catalog's bound")

    def _pages(
        self, opened: OpenRoute, values: Values, inquiry_id: str, deadline: float
    ) -> Iterator[tuple[Reply, Parsed]]:
        """The service's answers to the end of its result."""
        kind, walk = opened.route.paging.kind, opened.route.paging.walk
        number, gathered, cursor, query = opened.route.paging.first, 0, "", ""
        while True:
            paging = {"page": str(number), "offset": str(gathered), "size": str(walk)} | (
                {"cursor": cursor} if cursor else {}
            )
            outgoing = opened.outgoing(values, paging, query)
            reply, parsed = self._one(opened, outgoing, inquiry_id, deadline)
            yield reply, parsed
            number, gathered = number + 1, gathered + len(parsed.records)
            if kind == "cursor":
                if parsed.next == cursor and cursor:
                    raise self._failed("its cursor does not move")
                cursor = parsed.next
                over = not cursor
            elif kind == "link":
                query = self._next_query(reply, outgoing)
                over = not query
            else:
                over = self._over(kind, gathered, parsed)
            if over:
                return

    def _over(self, kind: str, gathered: int, parsed: Parsed) -> bool:
        """Whether a result was read to the end; a total that does not fit is a fault, or records would be lost."""
        if parsed.total is None:
            return kind == "none" or not parsed.records
        if gathered < parsed.total and (kind == "none" or not parsed.records):
            raise self._failed("fewer records than its total says")
        return gathered >= parsed.total

    def _one(self, opened: OpenRoute, outgoing: Outgoing, inquiry_id: str, deadline: float) -> tuple[Reply, Parsed]:
        reply = self._upstream.call(outgoing, inquiry_id, deadline)
        answer = opened.route.answer
        if reply.status in answer.empty_statuses:
            return reply, Parsed((), 0 if answer.total else None, "")
        if reply.status != OK:
            raise self._failed(f"status {reply.status}" if reply.status >= 300 else "another status than 200")
        try:
            return reply, opened.form.read(reply.body.decode(opened.charset), self._source.max_depth)
        except (BodyFault, UnicodeDecodeError):
            raise self._failed("a body that is not as declared") from None

    def _failed(self, text: str) -> DatabaseUnavailable:
        return DatabaseUnavailable(f"{self.database}: the service answered with {text}")

    def _next_query(self, reply: Reply, asked: Outgoing) -> str:
        """The query of ``rel="next"`` (RFC 8288), if it leads to the same path of the same service."""
        for target, parameters in _LINK.findall(reply.headers.get("Link", "")):
            relations = _REL.search(parameters)
            if relations is None or "next" not in relations[1].lower().split():
                continue
            here = f"{self._source.base_url.rstrip('/')}/{asked.path}"
            there, mine = urlsplit(urljoin(here + "?" + asked.query, target)), urlsplit(here)
            if (there.scheme, there.netloc, there.path) != (mine.scheme, mine.netloc, mine.path) or not there.query:
                raise self._failed("a link that leads elsewhere")
            if there.query == asked.query:
                raise self._failed("a link that does not move")
            return str(there.query)
        return ""

    def _derived(
        self, opened: OpenRoute, records: Sequence[Any], marks: RegisterMarks, joint_dropped: frozenset[FieldClass]
    ) -> Walked:
        leaves, raw, faulty = [], [], []
        lenient = self._lenient(joint_dropped) if opened.route.answer.hidden == "omit" else frozenset()
        for record in records:
            try:
                leaves.append(opened.form.leaves(record, lenient))
                raw.append(record)
            except Unmappable as exc:
                faulty.append(Faulty("", exc.column))
        bound = {SEALED_KEYS: marks.sealed, UNSEALED_KEYS: marks.unsealed}
        rows, kept = [], []
        for texts, record, (attributes, covered) in zip(leaves, raw, self._derive(leaves, bound), strict=True):
            keys = tuple(texts[place] for place in self._keys)
            joint = covered or attributes.joint is not Joint.NONE
            fields, fault = self._fields(texts, joint_dropped if joint else frozenset())
            row = Row(attributes, fields, joint, keys, covered)
            if fault:
                faulty.append(Faulty(row.key, fault))
            else:
                rows.append(row)
                kept.append(record)
        return Walked(tuple(rows), tuple(kept), tuple(faulty), {})

    def _lenient(self, joint_dropped: frozenset[FieldClass]) -> frozenset[str]:
        """Columns that say nothing but what a joint case drops: whether one is missing depends on the record."""
        released = self.catalog.released.values()
        dropped = {field.column for field in released if field.field_class in joint_dropped}
        needed = {field.column for field in released if field.field_class not in joint_dropped} | self._needed
        return frozenset(dropped - needed)

    def _fields(self, texts: Sequence[str | None], dropped: frozenset[FieldClass]) -> tuple[dict[str, Any], str]:
        """The released fields, None for the dropped ones; the name of one that cannot be decoded, or nothing."""
        fields: dict[str, Any] = {}
        for name, place, decode in self._decoders:
            if self.classes[name] in dropped:
                fields[name] = None
                continue
            try:
                [fields[name]] = decode([texts[place]])
            except Undecodable:
                return {}, name
        return fields, ""


_UNWRITABLE: Final[Mapping[bool, str]] = {True: "strict", False: "xmlcharrefreplace"}
"""What becomes of characters that an answer's charset lacks; JSON is written again with escapes."""


def content_type(opened: OpenRoute) -> str:
    """The type of a route's answers."""
    answer = opened.route.answer
    kind = {"json": "application/json", "xml": "text/xml", "soap11": "text/xml", "soap12": "application/soap+xml"}
    return answer.content_type or f"{kind[answer.format]}; charset={opened.charset}"


def open_http(
    loaded: c.LoadedCatalog, parameters: LegalParameters, classify: Classify, clock: Clock | None = None
) -> HttpConnector:
    """A connector for a catalog of kind http. Nothing is connected before the first inquiry.

    Raises:
        ConfigurationError: another kind, or a file with a secret or certificate cannot be read.
    """
    source = loaded.catalog.connector
    if not isinstance(source, HttpSource):
        raise ConfigurationError(f"{loaded.catalog.database}: expected kind http, got {source.kind}")
    clock = clock or SystemClock()
    upstream = Upstream(source, loaded.folder, clock)
    return HttpConnector(loaded.catalog, source, upstream, parameters=parameters, classify=classify, clock=clock)
