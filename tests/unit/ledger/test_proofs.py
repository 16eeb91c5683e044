"""Proofs from tiles are those from all leaves (RFC 6962 §2.1)."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.ledger import merkle, proofs

LEAVES = [hashlib.sha256(n.to_bytes(4, "big")).digest() for n in range(700)]


class Tiles:
    """The first leaves only, and the roots of their full tiles."""

    def __init__(self, size: int) -> None:
        self._levels = [LEAVES[:size]]
        while full := len(self._levels[-1]) // 256:
            below = self._levels[-1]
            self._levels.append([merkle.root(below[n * 256 : n * 256 + 256]) for n in range(full)])

    def hashes(self, level: int, start: int, count: int) -> list[bytes]:
        assert 1 <= count <= 256
        found = self._levels[level][start : start + count]
        assert len(found) == count
        return found


sizes = st.integers(0, len(LEAVES))


@given(sizes, st.lists(st.sampled_from(LEAVES), max_size=3))
def test_a_tree_from_tiles_grows_like_one_from_leaves(size, more):
    tree = proofs.tree(Tiles(size), size)
    assert (tree.size, tree.root()) == (size, merkle.root(LEAVES[:size]))
    for leaf in more:
        tree.append(leaf)
    assert tree.root() == merkle.root(LEAVES[:size] + more)


@given(st.data())
def test_an_inclusion_proof_is_the_one_from_all_leaves(data):
    size = data.draw(st.integers(1, len(LEAVES)))
    index = data.draw(st.integers(0, size - 1))
    proof = proofs.inclusion(Tiles(size), index, size)
    assert proof == merkle.inclusion_proof(LEAVES[:size], index)
    merkle.verify_inclusion(LEAVES[index], index, size, proof, merkle.root(LEAVES[:size]))


@given(sizes, sizes)
def test_a_consistency_proof_is_the_one_from_all_leaves(one, other):
    old, new = sorted((one, other))
    assert proofs.consistency(Tiles(new), old, new) == merkle.consistency_proof(LEAVES[:new], old)


def test_what_is_not_in_the_tree_has_no_proof():
    with pytest.raises(IndexError, match="below 5, got 5"):
        proofs.inclusion(Tiles(5), 5, 5)
    with pytest.raises(IndexError, match="up to 5, got 6"):
        proofs.consistency(Tiles(5), 6, 5)
