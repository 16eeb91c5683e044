"""The canary: every dropped conjunct and flipped comparison of the filter makes it fail."""

from dataclasses import replace

import pytest

from sidecar.errors import DatabaseClosed
from sidecar.policy.types import ATTRIBUTE_DOMAINS, Comparison, Conjunction, Disjunction, Negation
from sidecar.records import canary
from sidecar.records.attributes import expressions
from tests.support import records as r

FLIPS = {"eq": "ne", "gt": "ge", "ge": "gt", "lt": "le", "le": "lt"}


def mutants(node, path=""):
    """Every filter that differs in one place: a part dropped, a comparison flipped, a member or number changed."""
    if isinstance(node, Comparison):
        yield from changed(node, path)
        return
    if isinstance(node, Negation):
        yield f"{path}: not dropped", node.part
        return
    for i, part in enumerate(node.parts):
        rest = (*node.parts[:i], *node.parts[i + 1 :])
        here = f"{path}/{i}"
        yield f"{here} dropped", type(node)(rest)
        for name, mutant in mutants(part, here):
            yield name, type(node)((*node.parts[:i], mutant, *node.parts[i + 1 :]))


def changed(leaf, path):
    name = f"{path} {leaf.attribute} {leaf.operator}"
    if leaf.operator in FLIPS:
        yield f"{name} flipped", replace(leaf, operator=FLIPS[leaf.operator])
    if isinstance(leaf.value, tuple):
        for value in leaf.value:
            yield f"{name} without {value}", replace(leaf, value=tuple(v for v in leaf.value if v != value))
        for value in sorted(expressible(leaf.attribute) - set(leaf.value)):
            yield f"{name} with {value}", replace(leaf, value=(*leaf.value, value))
    elif type(leaf.value) is int:
        for step in (-1, 1):
            if leaf.value + step <= 9999:
                yield f"{name} {leaf.value + step}", replace(leaf, value=leaf.value + step)
    yield f"{name} negated", Negation(leaf)


def expressible(attribute):
    """Values that the catalog can express: what it cannot, no row of the database has."""
    if attribute == "kind":
        return {str(kind) for kind in r.CATALOG.attributes.kind.map.values()} | {"unknown"}
    return set(ATTRIBUTE_DOMAINS[attribute])


EQUIVALENT = {
    # An unsealed record of a criminal kind is open by the first body whatever the others say.
    "/2/2 dropped",
    "/3/2 dropped",
    # No term lies above the end of the domain; the bound refuses text in Rego only.
    "/2/6 dropped",
    "/3/6 dropped",
}
"""Mutants that no record can tell from the rule."""

MUTANTS = dict(mutants(r.OPEN_RECORD))
KILLABLE = [mutant for name, mutant in MUTANTS.items() if name not in EQUIVALENT]


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    connector = r.sqlite(tmp_path_factory.mktemp("canary"), [])
    connector.canary()
    yield connector
    connector.close()


def test_the_unchanged_filter_passes_on_a_few_hundred_rows(database):
    ready = database._prepared()
    trees = expressions(r.CATALOG, r.PARAMETERS)
    assert 200 < canary.check(ready.builder, database.driver, trees, r.classify) < 2000


def test_every_mutant_of_the_filter_shows_in_a_row(database):
    """In Python for every mutant: the rows made for the *mutant* tell it from the rule."""
    builder = database._prepared().builder
    trees = expressions(r.CATALOG, r.PARAMETERS)
    alive = []
    for name, mutant in MUTANTS.items():
        cases = canary.rows(replace(builder, open_record=mutant), trees)
        if all(r.evaluate(mutant, case.attributes) == r.evaluate(r.OPEN_RECORD, case.attributes) for case in cases):
            alive.append(name)
    assert set(alive) == EQUIVALENT


@pytest.mark.parametrize("mutant", KILLABLE[::20])
def test_a_mutant_closes_the_database(tmp_path, mutant):
    connector = r.sqlite(tmp_path, [], open_record=mutant)
    with pytest.raises(DatabaseClosed, match="filter and policy differ on"):
        connector.canary()
    connector.close()


def test_an_engine_that_calls_everything_sealed_closes_the_database(tmp_path):
    def strict(records):
        return [replace(word, is_open=False) for word in r.classify(records)]

    connector = r.sqlite(tmp_path, [], word=strict)
    with pytest.raises(DatabaseClosed, match="differ"):
        connector.canary()
    connector.close()


def test_the_engine_is_asked_in_portions(tmp_path):
    """However many rows the catalog gives, no call comes near the limit of a decision's time."""
    asked = []

    def counting(records):
        asked.append(len(records))
        return r.classify(records)

    connector = r.sqlite(tmp_path, [], word=counting)
    connector.canary()
    connector.close()
    assert len(asked) > 1
    assert max(asked) <= canary.ROWS_A_STATEMENT


def test_an_engine_that_answers_too_little_closes_the_database(tmp_path):
    connector = r.sqlite(tmp_path, [], word=lambda _records: [])
    with pytest.raises(DatabaseClosed, match="too few"):
        connector.canary()
    connector.close()


def test_a_filter_that_lets_everything_or_nothing_through_closes_the_database(tmp_path):
    for number, node in enumerate((Conjunction(()), Disjunction(()))):
        folder = tmp_path / str(number)
        folder.mkdir()
        connector = r.sqlite(folder, [], open_record=node)
        with pytest.raises(DatabaseClosed):
            connector.canary()
        connector.close()
