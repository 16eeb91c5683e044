from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.policy.filter import FilterRefused, evaluate, named, translate
from sidecar.policy.types import ATTRIBUTE_DOMAINS, Comparison, Conjunction, Disjunction, Negation
from tests.support.policy import RECORD, months


def field(name, operator, value):
    return {"type": "field", "field": f"record.{name}", "operator": operator, "value": value}


def compound(operator, *parts):
    return {"type": "compound", "operator": operator, "value": list(parts)}


def answer(query):
    return {"result": {"query": query}}


OVER_60 = field("sentence_months", "gt", 60)
MINOR = field("minor", "eq", "yes")


def test_the_known_fragment_becomes_a_tree():
    query = compound("or", compound("and", OVER_60, MINOR), compound("not", field("seal_mark", "ne", False)))
    assert translate(answer(query)) == Disjunction(
        (
            Conjunction((Comparison("sentence_months", "gt", 60), Comparison("minor", "eq", "yes"))),
            Negation(Comparison("seal_mark", "ne", value=False)),
        )
    )


@pytest.mark.parametrize(
    ("operator", "opened"),
    [("gt", [61, 62]), ("gte", [60, 61, 62]), ("lt", [59]), ("lte", [59, 60]), ("eq", [60]), ("ne", [59, 61, 62])],
)
def test_each_comparison_means_itself_at_the_boundary(operator, opened):
    node = translate(answer(field("sentence_months", operator, 60)))
    assert [n for n in (59, 60, 61, 62) if evaluate(node, months(n))] == opened


def test_membership_negation_and_connectives_mean_themselves():
    kind = field("kind", "in", ["judgment", "acquittal"])
    assert evaluate(translate(answer(kind)), RECORD)
    assert not evaluate(translate(answer(compound("not", kind))), RECORD)
    assert not evaluate(translate(answer(compound("and", kind, OVER_60))), RECORD)
    assert evaluate(translate(answer(compound("or", kind, OVER_60))), RECORD)


def test_the_named_attributes_are_told():
    node = translate(answer(compound("or", compound("not", OVER_60), compound("and", MINOR))))
    assert named(node) == {"sentence_months", "minor"}


@pytest.mark.parametrize(
    "document",
    [
        {},
        None,
        [],
        {"result": {}},
        {"result": None},
        {"result": {"query": {}}},
        {"result": {"query": None}},
        {"result": {"query": MINOR, "masks": {}}},
        {"result": {"query": MINOR}, "warning": {}},
        answer("true"),
        answer(compound("or")),
        answer(compound("and", {})),
        answer(compound("xor", MINOR)),
        answer(compound("not", MINOR, OVER_60)),
        answer({**compound("and", MINOR), "note": 1}),
        answer({**MINOR, "note": 1}),
        answer({"type": "document", "value": True}),
        answer({**MINOR, "field": "minor"}),
        answer({**MINOR, "field": "record.name"}),
        answer({**MINOR, "field": "other.minor"}),
        answer({**MINOR, "field": None}),
        answer({**MINOR, "operator": "startswith"}),
        answer({**MINOR, "operator": ["eq"]}),
        answer(field("minor", "eq", "maybe")),
        answer(field("minor", "eq", None)),
        answer(field("minor", "lt", "yes")),
        answer(field("minor", "in", "yes")),
        answer(field("minor", "in", [])),
        answer(field("minor", "in", {"yes": True})),
        answer(field("seal_mark", "eq", 0)),
        answer(field("seal_mark", "eq", "false")),
        answer(field("sentence_months", "gt", True)),
        answer(field("sentence_months", "gt", 60.0)),
        answer(field("sentence_months", "gt", "60")),
        answer(field("sentence_months", "gt", 10000)),
        answer(field("sentence_months", "gt", -2)),
    ],
)
def test_everything_else_is_refused(document):
    with pytest.raises(FilterRefused):
        translate(document)


def test_a_filter_deeper_than_people_read_is_refused():
    node = MINOR
    for _ in range(20):
        node = compound("not", node)
    with pytest.raises(FilterRefused, match="deeper"):
        translate(answer(node))


LEAVES = st.one_of(
    st.builds(
        lambda op, n: field("sentence_months", op, n),
        st.sampled_from(["eq", "ne", "lt", "lte", "gt", "gte"]),
        st.integers(-1, 9999),
    ),
    *(
        st.builds(lambda value, name=name: field(name, "eq", value), st.sampled_from(domain))
        for name, domain in ATTRIBUTE_DOMAINS.items()
        if domain
    ),
)
QUERIES = st.recursive(
    LEAVES, lambda inner: st.builds(lambda parts: compound("and", *parts), st.lists(inner, min_size=1, max_size=3))
)


@given(QUERIES, st.integers(-1, 9999))
def test_negation_is_the_opposite_for_every_filter_and_record(query, term):
    record = months(term)
    assert evaluate(translate(answer(query)), record) != evaluate(translate(answer(compound("not", query))), record)
