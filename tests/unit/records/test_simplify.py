"""Shortened trees: they mean what the long ones mean, and what cannot be is left out."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.policy.filter import evaluate
from sidecar.policy.types import ATTRIBUTE_DOMAINS, Comparison, Conjunction, Disjunction, Negation
from sidecar.records import expr as e
from sidecar.records.attributes import SEALED_KEYS, UNSEALED_KEYS, cover_mark, derivation, expressions
from sidecar.records.catalog import columns_of, parse
from sidecar.records.filtering import condition, visible
from sidecar.records.python import compile_one
from sidecar.records.simplify import case, either, every, member, negated
from tests.support import records as r

COLUMNS = sorted(set(columns_of(r.CATALOG)))
INDEX = {name: i for i, name in enumerate(COLUMNS)}
TREES = expressions(r.CATALOG, r.PARAMETERS)
DERIVE = derivation(TREES, cover_mark(r.CATALOG), INDEX)
NOTHING = {SEALED_KEYS: frozenset(), UNSEALED_KEYS: frozenset()}

A, B, C = (e.In(e.Text(name), ("1",)) for name in "abc")
KIND = e.Lookup(e.Text("k"), (("1", "judgment"), ("2", "violation")), "unknown")


def _comparison(attribute):
    domain = ATTRIBUTE_DOMAINS[attribute]
    if domain is None:
        value, operators = st.integers(-1, 120), ("eq", "ne", "lt", "le", "gt", "ge")
    else:
        value, operators = st.sampled_from(sorted(domain, key=str)), ("eq", "ne")
    single = st.builds(Comparison, st.just(attribute), st.sampled_from(operators), value)
    values = st.lists(value, min_size=1, max_size=4).map(tuple)
    return single | st.builds(Comparison, st.just(attribute), st.just("in"), values)


NODES = st.recursive(
    st.sampled_from(sorted(ATTRIBUTE_DOMAINS)).flatmap(_comparison),
    lambda parts: st.one_of(
        st.builds(Negation, parts),
        *(st.builds(kind, st.lists(parts, min_size=1, max_size=4).map(tuple)) for kind in (Conjunction, Disjunction)),
    ),
    max_leaves=12,
)


@settings(max_examples=40)
@given(NODES, st.lists(r.any_row(), min_size=1, max_size=8))
def test_any_filter_says_over_the_columns_what_it_says_of_the_attributes(node, changes):
    holds = compile_one(condition(node, TREES), INDEX)
    for change in changes:
        row = [None if (v := {**r.ROW, **change}[name]) is None else str(v) for name in COLUMNS]
        [(attributes, _)] = DERIVE([row], NOTHING)
        assert bool(holds(row, NOTHING)) is evaluate(node, attributes)


@settings(max_examples=20)
@given(
    st.lists(r.any_row(), min_size=1, max_size=8),
    *[st.sets(st.sampled_from(sorted(ATTRIBUTE_DOMAINS["kind"]))).map(tuple)] * 2,
)
def test_each_record_is_seen_by_the_view_of_its_side(changes, open_classes, sealed_classes):
    seen = compile_one(visible(r.OPEN_RECORD, open_classes, sealed_classes, TREES), INDEX)
    for change in changes:
        row = [None if (v := {**r.ROW, **change}[name]) is None else str(v) for name in COLUMNS]
        [(attributes, _)] = DERIVE([row], NOTHING)
        shown = open_classes if evaluate(r.OPEN_RECORD, attributes) else sealed_classes
        assert bool(seen(row, NOTHING)) is (attributes.kind in shown)


TREE = st.recursive(
    st.sampled_from([A, B, C, e.TRUE, e.FALSE, member(KIND, ("judgment",)), member(KIND, ("judgment", "violation"))]),
    lambda parts: st.one_of(
        st.builds(e.Not, parts),
        st.builds(e.And, st.lists(parts, max_size=4).map(tuple)),
        st.builds(e.Or, st.lists(parts, max_size=4).map(tuple)),
    ),
    max_leaves=14,
)


def _short(tree):
    if isinstance(tree, e.Not):
        return negated(_short(tree.part))
    if isinstance(tree, e.And):
        return every(map(_short, tree.parts))
    return either(map(_short, tree.parts)) if isinstance(tree, e.Or) else tree


@given(TREE)
def test_a_shortened_condition_holds_for_the_same_rows(tree):
    index = {"a": 0, "b": 1, "c": 2, "k": 3}
    long, short = compile_one(tree, index), compile_one(_short(tree), index)
    for number in range(24):
        row = [str(number & 1), str(number >> 1 & 1), str(number >> 2 & 1), str(number >> 3)]
        assert bool(long(row, {})) is bool(short(row, {}))


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        (member(KIND, ("judgment",)), e.In(e.Text("k"), ("1",))),
        (member(KIND, ("unknown", "judgment")), e.Not(e.In(e.Text("k"), ("2",)))),
        (member(KIND, ("acquittal",)), e.FALSE),
        (member(KIND, ("judgment", "violation", "unknown")), e.TRUE),
        (either([every([A, B]), every([A, C])]), e.And((A, e.Or((B, C))))),
        (either([A, every([A, B])]), A),
        (every([e.In(e.Text("k"), ("1", "2")), e.Or((e.In(e.Text("k"), ("1",)), e.In(e.Text("k"), ("2",))))]),
         e.Or((e.In(e.Text("k"), ("1",)), e.In(e.Text("k"), ("2",))))),
        (every([A, e.FALSE]), e.FALSE),
        (every([]), e.TRUE),
        (either([]), e.FALSE),
        (case(((e.FALSE, A), (e.TRUE, B), (C, A)), C), B),
    ],
)  # fmt: skip
def test_what_is_written_once_or_not_at_all(tree, expected):
    assert tree == expected


def test_one_act_cannot_straddle_and_two_can():
    one = parse(r.TEXT.replace(", {column: FARQ2, format: YYYY-MM-DD, optional: true}", ""))
    assert len(one.attributes.minor.offences) == 1
    assert "straddles" not in repr(expressions(one, r.PARAMETERS)["minor"])
    assert "straddles" in repr(TREES["minor"])
    straddling = Comparison("minor", "eq", "straddles")
    assert condition(straddling, expressions(one, r.PARAMETERS)) == e.FALSE
