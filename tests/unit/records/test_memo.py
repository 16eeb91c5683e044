"""Remembered values of raw columns."""

from __future__ import annotations

import pytest

from sidecar.records import memo
from sidecar.records.expr import AfterDigits, And, Compare, DateOf, Literal, Lookup, Substring, Text
from sidecar.records.memo import Memo
from sidecar.records.python import compile_page


def test_a_value_is_computed_once() -> None:
    asked = []
    values = Memo(lambda raw: asked.append(raw) or f"<{raw}>")
    assert [values["a"], values["a"], values[None]] == ["<a>", "<a>", "<None>"]
    assert asked == ["a", None]


def test_no_more_values_are_kept_than_the_bound(monkeypatch) -> None:
    monkeypatch.setattr(memo, "MAX_VALUES", 3)
    values = Memo(str)
    assert [values[i] for i in range(10)] == [str(i) for i in range(10)]
    assert len(values) == 3


def test_long_texts_are_not_kept() -> None:
    values = Memo(len)
    assert [values["2024-05-06"], values["（2024）浙0102刑"], values[("a", 1)]] == [10, 12, 2]
    assert set(values) == {"2024-05-06", ("a", 1)}


def test_a_failure_is_not_remembered() -> None:
    values = Memo(int)
    for _ in range(2):
        with pytest.raises(ValueError, match="junk"):
            values["junk"]
    assert not values


def test_parts_of_texts_are_never_remembered(monkeypatch) -> None:
    """A citizen's number is read by its parts: it must not stay in a table."""
    kept: list[Memo] = []

    class Watched(Memo):
        def __init__(self, compute) -> None:
            super().__init__(compute)
            kept.append(self)

    monkeypatch.setattr("sidecar.records.python.Memo", Watched)
    number, day, code = Text("number"), Text("day"), Text("code")
    trees = [
        Compare("eq", DateOf(Substring(number, 7, 8), dashed=False), DateOf(day, dashed=False)),
        And((Compare("eq", AfterDigits(number), Literal("")),)),
        Lookup(code, (("1", "one"),), "none"),
        Compare("ne", Text("authority"), Literal("")),
    ]
    page = compile_page(trees, {"number": 0, "day": 1, "code": 2, "authority": 3})
    assert page([("339901200501010011", "20050101", "1", "示例法院")], {}) == [(True, True, "one", True)]
    assert sorted(key for memo_of in kept for key in memo_of) == ["1", "20050101"]
