"""Redaction: what of the fetched records is released (Q9, R15, R16b, P3).

The filter let through what the request may see; here the policy's classification of each row has the last word. A row that
it omits although the filter let it through is a fault of ours: it is not released, not counted, and reported.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sidecar.codes import FieldClass, View
from sidecar.policy.types import Classification, Views
from sidecar.records.types import Fetched, Release, Row, Withheld

COVER_MARK: Final = "cover_mark"
"""Released name of the cover mark 含犯罪记录封存信息 (S10, S11), for who is entitled only."""

PUNISHED: Final = "punished"
"""Released name of Q9's first answer; R15: neither crime nor term means not punished."""

_PUNISHMENT = frozenset({FieldClass.CRIME, FieldClass.TERM})


def redact(fetched: Fetched, classified: Sequence[Classification], views: Views) -> Release:
    """Omit, cut down or release each row of a page.

    Args:
        fetched: rows in order, with the total over all pages.
        classified: the policy's word on each row, in the same order; its caller MUST have compared the lengths.
        views: the table of the request's decision.

    Returns:
        Records in order, the total of all released, and where the next page starts (None at the end).
    """
    records: list[Mapping[str, Any]] = []
    forms: dict[tuple[bool, str, bool], _Form | None] = {}
    for row, classification in zip(fetched.rows, classified, strict=True):
        kind = (classification.is_open, classification.record_class, row.joint)
        if kind not in forms:
            forms[kind] = _form(views.view(classification), views, fetched, joint=row.joint)
        form = forms[kind]
        if form is not None:
            records.append(_released(row, form))
    lost = len(fetched.rows) - len(records)
    following = fetched.end if fetched.more else None
    return Release(tuple(records), fetched.total - lost, following)


@dataclass(frozen=True, slots=True)
class _Form:
    """How records of one view look: names shown, those of them that joint cases drop, what Q9 answers from."""

    shown: tuple[str, ...]
    dropped: tuple[str, ...]
    punishment: tuple[str, ...] | None
    cover_mark: bool


def _form(view: View, views: Views, fetched: Fetched, *, joint: bool) -> _Form | None:
    if view is View.OMITTED:
        return None
    # R16b: whoever may not see the cover mark does not see it under another name either, of any record.
    covering = frozenset[str]() if views.cover_mark else fetched.covering
    classes = {name: field_class for name, field_class in fetched.classes.items() if name not in covering}
    allowed = views.fields.get(view, frozenset())
    dropped = views.joint_dropped if joint else frozenset()
    shown = tuple(name for name, field_class in classes.items() if field_class in allowed)
    punishment = tuple(name for name, field_class in classes.items() if field_class in _PUNISHMENT)
    return _Form(
        shown,
        tuple(name for name in shown if classes[name] in dropped),
        punishment if view is View.LIMITED else None,
        views.cover_mark,
    )


def _released(row: Row, form: _Form) -> dict[str, Any]:
    fields = row.fields
    released = {name: fields[name] for name in form.shown}
    for name in form.dropped:
        released[name] = None
    if form.punishment is not None:
        released[PUNISHED] = any(fields[name] not in (None, "", 0) for name in form.punishment)
    if form.cover_mark:
        released[COVER_MARK] = row.cover_mark
    return released


def withheld(fetched: Fetched, classified: Sequence[Classification], views: Views) -> Withheld:
    """What the second check kept back although the filter let it through, by ground; for the operator's report only."""
    kept: Counter[str] = Counter()
    for classification in classified:
        if views.view(classification) is View.OMITTED:
            kept.update(classification.grounds or ("unexplained",))
    return Withheld(dict(kept) | ({"unreadable": fetched.unreadable} if fetched.unreadable else {}))
