"""Faults that would tell of sealed records, as changes of our own code: what the comparison of two worlds must notice.

Each changes the running product in one place, as a developer's mistake would. Most need what the product never has at
hand, the rows that the filter keeps back: ``Peek`` reads them beside each fetch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from prometheus_client import Counter

from sidecar.codes import Code, FieldClass, View
from sidecar.errors import DatabaseTimeout, DatabaseUnavailable, RequestInvalid
from sidecar.gateway import metrics, receipt, run, steps
from sidecar.gateway.answer_time import leaving
from sidecar.gateway.types import Response
from sidecar.ledger.types import Entry
from sidecar.papers.kept_register import Held, KeptRegister
from sidecar.policy.types import Views
from sidecar.records import redaction
from sidecar.records.connectors import sql
from sidecar.records.connectors.sql import SqlConnector
from sidecar.records.types import Fetched, PageRequest, RegisterMarks, Row, Search
from tests.support.records import EVERY_KIND
from tests.worlds import sides

Patch = pytest.MonkeyPatch
Mutant = Callable[[Patch, "Peek"], None]

_FULL = dict.fromkeys(EVERY_KIND, View.FULL)
_LEAST = {View.FULL: frozenset({FieldClass.CRIME, FieldClass.PROCEDURE, FieldClass.TERM})}
UNFILTERED = Views(_FULL, _FULL, _LEAST, frozenset(), cover_mark=True)
"""Shows every record of every kind, sealed or open."""


@dataclass
class Peek:
    """What a fetch kept back."""

    total: int = 0
    rows: tuple[Row, ...] = ()
    withheld: int = 0
    spent: float = 0.0

    def at(self, patch: Patch, change: Callable[[Fetched, Peek, PageRequest, Any], Fetched] | None = None) -> None:
        """Look at each fetch, and change what it found."""
        fetch = SqlConnector.fetch

        def looked(self: Any, target: Any, views: Any, page: PageRequest, *rest: Any) -> Fetched:
            everything = fetch(self, target, UNFILTERED, PageRequest(1000), *rest)
            found = fetch(self, target, views, page, *rest)
            peek.rows, peek.total = everything.rows, everything.total
            peek.withheld = everything.total - found.total
            return found if change is None else change(found, peek, page, target)

        peek = self
        patch.setattr(SqlConnector, "fetch", looked)

    @property
    def digest(self) -> str:
        """Over all rows, sealed ones too."""
        return hashlib.sha256(repr([row.key for row in self.rows]).encode()).hexdigest()


def changed(change: Callable[[Fetched, Peek, PageRequest, Any], Fetched]) -> Mutant:
    return lambda patch, peek: peek.at(patch, change)


def wrapped(place: Any, name: str, change: Callable[[Any, Peek], Any]) -> Mutant:
    """A function whose result is changed by what was kept back."""

    def mutant(patch: Patch, peek: Peek) -> None:
        peek.at(patch)
        original = getattr(place, name)
        patch.setattr(place, name, lambda *args, **named: change(original(*args, **named), peek))

    return mutant


def header(name: str, value: Callable[[Peek], str]) -> Mutant:
    """A header more."""

    def change(answer: Response, peek: Peek) -> Response:
        return replace(answer, headers=(*answer.headers, (name, value(peek))))

    return wrapped(run, "response", change)


def member(name: str, value: Callable[[Peek], Any]) -> Mutant:
    """A member more in the body."""
    return wrapped(steps, "answer", lambda document, peek: {**document, name: value(peek)})


def raising(fault: Callable[[Peek], Exception | None]) -> Mutant:
    """A fetch that fails by what it keeps back."""

    def change(found: Fetched, peek: Peek, _: PageRequest, __: Any) -> Fetched:
        if (exc := fault(peek)) is not None:
            raise exc
        return found

    return changed(change)


def _bad_cast(peek: Peek) -> str:
    return next((str(row.fields["case"]) for row in peek.rows if row.fields.get("term") is None), "")


def _cut_first(found: Fetched, peek: Peek, page: PageRequest, _: Any) -> Fetched:
    """The page is cut before the filter: sealed rows take up places."""
    first = {row.key for row in peek.rows[: page.size]}
    return replace(found, rows=tuple(row for row in found.rows if row.key in first))


def _sealed_end(found: Fetched, peek: Peek, page: PageRequest, _: Any) -> Fetched:
    """The next page starts after so many rows, sealed ones too."""
    if found.end is None or page.sort or len(peek.rows) <= page.size:
        return found
    return replace(found, end=tuple(map(str, peek.rows[page.size].key_columns)))


def _shown(patch: Patch, _: Peek) -> None:
    patch.setattr(steps, "shown_to_all", lambda views: frozenset(FieldClass))


def _unmasked(patch: Patch, _: Peek) -> None:
    columns, form = sql._columns, redaction._form
    patch.setattr(sql, "_columns", lambda plan, rows, joint, dropped: columns(plan, rows, joint, frozenset()))
    patch.setattr(
        redaction, "_form", lambda view, views, classes, *, joint: form(view, views, classes, joint=False)
    )  # fmt: skip


def _read_all(patch: Patch, _: Peek) -> None:
    columns = sql._columns
    patch.setattr(sql, "_columns", lambda plan, rows, joint, dropped: columns(plan, rows, joint, frozenset()))


def _covered(patch: Patch, _: Peek) -> None:
    form = redaction._form

    def marked(*args: Any, **named: Any) -> Any:
        made = form(*args, **named)
        return made and replace(made, cover_mark=True)

    patch.setattr(redaction, "_form", marked)


def _unregistered(patch: Patch, _: Peek) -> None:
    patch.setattr(KeptRegister, "marks", lambda *__: Held(RegisterMarks()))


def _another_entry(patch: Patch, peek: Peek) -> None:
    peek.at(patch)
    record = run.Gateway.seen

    def seen(self: Any, instant: Any) -> None:
        record(self, instant)
        if peek.withheld > 0:
            peek.withheld = 0
            ports = self.ports
            ports.ledger.commit(steps.entry(_known(ports), "allow", (), "", ""))

    patch.setattr(run.Gateway, "seen", seen)


def _known(ports: Any) -> steps.Known:
    return steps.Known(ports.ids(), "2026-11-23T08:00:00.000Z", "api", "", "", "")


def _extra(value: Callable[[Peek], str]) -> Mutant:
    def change(entry: Entry, peek: Peek) -> Entry:
        return replace(entry, extra={"rows": value(peek)})

    return wrapped(steps, "entry", change)


def _counted(patch: Patch, peek: Peek) -> None:
    counter = Counter("sidecar_rows", "Rows.", ["kept"], registry=None)
    metrics.REGISTRY.register(counter)
    wrapped(metrics, "count_inquiry", lambda _, p: counter.labels(str(min(p.withheld, 1))).inc())(patch, peek)


def _logged(patch: Patch, peek: Peek) -> None:
    def tell(found: Fetched, seen: Peek, _: PageRequest, __: Any) -> Fetched:
        if seen.withheld:
            run.log.info("rows-withheld")
        return found

    peek.at(patch, tell)


def _committed_to_all(patch: Patch, peek: Peek) -> None:
    peek.at(patch)
    commit = receipt.commit_to
    patch.setattr(
        receipt,
        "commit_to",
        lambda released, nonce: replace(commit(released + peek.digest.encode(), nonce), released=released),
    )


def _more_random(patch: Patch, peek: Peek) -> None:
    peek.at(patch)
    commit = receipt.commit_to
    patch.setattr(
        receipt,
        "commit_to",
        lambda released, nonce: commit(released, hashlib.sha256(nonce + bytes(peek.withheld)).digest()),
    )


def _padded(patch: Patch, peek: Peek) -> None:
    peek.at(patch)
    write = receipt.with_receipt
    patch.setattr(receipt, "with_receipt", lambda released, signed: write(released, signed) + b" " * peek.withheld)


def _unburned(patch: Patch, peek: Peek) -> None:
    """A letter is not used up where everything was kept back."""
    from sidecar.gateway.papers import PapersAtHand  # noqa: PLC0415  # the only place that counts uses

    peek.at(patch)
    count = PapersAtHand.count
    patch.setattr(
        PapersAtHand, "count", lambda self, use: () if peek.total and peek.withheld == peek.total else count(self, use)
    )


def _numbered(patch: Patch, peek: Peek) -> None:
    """Records say which row of all they are."""
    peek.at(patch)
    released = redaction._released

    def numbered(row: Row, form: Any) -> dict[str, Any]:
        places = [each.key for each in peek.rows]
        return {**released(row, form), "row": places.index(row.key) if row.key in places else -1}

    patch.setattr(redaction, "_released", numbered)


def _unfiltered(found: Fetched, peek: Peek, page: PageRequest, _: Any) -> Fetched:
    """The filter is left out and rows are dropped afterwards: the post-filtering proxy."""
    return replace(found, total=peek.total, more=len(peek.rows) > page.size)


def _slower(seconds: float) -> Mutant:
    """Each row that is kept back takes so long."""

    def mutant(patch: Patch, peek: Peek) -> None:
        def spend(found: Fetched, seen: Peek, _: PageRequest, __: Any) -> Fetched:
            seen.spent = seconds * seen.withheld
            return found

        patch.setattr(sides, "leaving", lambda arrived, done, step: leaving(arrived, done + peek.spent, step))
        peek.at(patch, spend)

    return mutant


def _stepping(change: Callable[[float, Peek], float]) -> Mutant:
    """An answer's step changed by what was kept back."""
    return wrapped(run.Gateway, "step", change)


MUTANTS: dict[str, Mutant] = {
    "a total that counts sealed rows": changed(lambda found, peek, *_: replace(found, total=peek.total)),
    "a search's total that counts sealed rows": changed(
        lambda found, peek, _, target: replace(found, total=peek.total) if isinstance(target, Search) else found
    ),
    "a page cut before the filter": changed(_cut_first),
    "a cursor that stands on a sealed row": changed(_sealed_end),
    "a next page that holds sealed rows only": changed(
        lambda found, peek, page, _: replace(found, more=found.more or peek.total > page.size)
    ),
    "rows dropped after the fetch": changed(_unfiltered),
    "as many rows fewer as are sealed": changed(
        lambda found, peek, *_: replace(found, rows=found.rows[: max(0, len(found.rows) - peek.withheld)])
    ),
    "filters and sorts on what is hidden": _shown,
    "no check of filters and sorts": lambda patch, _: patch.setattr(steps, "check_fields", lambda *__: None),
    "joint cases unmasked": _unmasked,
    "what joint cases drop is decoded": _read_all,
    "the cover mark is released": _covered,
    "the seal register is not asked": _unregistered,
    "a cast that raises": raising(lambda peek: DatabaseUnavailable("22P02") if _bad_cast(peek) else None),
    "the database's error text is passed on": raising(
        lambda peek: RequestInvalid(Code.BODY_INVALID, f"invalid input: {_bad_cast(peek)}") if _bad_cast(peek) else None
    ),
    "a limit that counts sealed rows": raising(lambda peek: DatabaseTimeout("57014") if peek.total > 6 else None),
    "404 for nobody, 200 for somebody sealed": raising(
        lambda peek: RequestInvalid(Code.NOT_FOUND, "no such person", status=404) if not peek.total else None
    ),
    "403 where something is sealed": raising(
        lambda peek: RequestInvalid(Code.FIELD_NOT_ALLOWED, "sealed", status=403) if peek.withheld else None
    ),
    "one entry more": _another_entry,
    "an entry that says what was kept back": _extra(lambda peek: str(peek.withheld)),
    "an entry whose size depends on it": _extra(lambda peek: "x" * peek.withheld),
    "a receipt over rows that were not released": _committed_to_all,
    "a nonce that depends on what was kept back": _more_random,
    "a body padded by it": _padded,
    "a header passed through": header("X-Total-Count", lambda peek: str(peek.total)),
    "an ETag over unfiltered rows": header("ETag", lambda peek: f'"{peek.digest[:16]}"'),
    "Last-Modified of unfiltered rows": header(
        "Last-Modified", lambda peek: max((str(row.fields["concluded"]) for row in peek.rows), default="")
    ),
    "a cookie of the session that read them": header("Set-Cookie", lambda peek: f"s={peek.withheld}"),
    "a connection closed after much work": header(
        "Connection", lambda peek: "close" if peek.total > 6 else "keep-alive"
    ),
    "a member that says more follows": member("complete", lambda peek: not peek.withheld),
    "a record's place among all rows": _numbered,
    "a letter not used up where all is sealed": _unburned,
    "a path slower by a step where something is sealed": _slower(0.005),
    "an answer at once where nothing is sealed": _stepping(lambda step, peek: step if peek.withheld else 0.0),
    "an answer a step later where something is sealed": _stepping(lambda step, peek: step * (1 + bool(peek.withheld))),
    "a label of a metric": _counted,
    "a line in the log": _logged,
}
"""What each does → how."""
