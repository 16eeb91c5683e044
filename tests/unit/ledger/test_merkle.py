"""RFC 6962 hashes: the RFC's own tree shapes, and proofs that hold for what is true and for nothing else."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.ledger import merkle

# Leaves and roots of the reference implementation of RFC 6962 (certificate-transparency, merkle tree tests).
LEAVES = [
    bytes.fromhex(h)
    for h in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = {
    0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    5: "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}


def hashes(n: int) -> list[bytes]:
    return [merkle.leaf_hash(b"%d" % i) for i in range(n)]


@pytest.mark.parametrize("size", ROOTS)
def test_roots_are_those_of_the_reference(size):
    assert merkle.root([merkle.leaf_hash(leaf) for leaf in LEAVES[:size]]).hex() == ROOTS[size]


@given(st.integers(1, 130), st.data())
def test_inclusion_holds_for_the_leaf_and_no_other_place(size, data):
    leaves, index = hashes(size), data.draw(st.integers(0, size - 1))
    root, proof = merkle.root(leaves), merkle.inclusion_proof(leaves, index)
    merkle.verify_inclusion(leaves[index], index, size, proof, root)
    for wrong in ({index + 1, index - 1, size} - {index}) if size > 1 else {1}:
        with pytest.raises(merkle.ProofInvalid):
            merkle.verify_inclusion(leaves[index], wrong, size, proof, root)
    with pytest.raises(merkle.ProofInvalid):
        merkle.verify_inclusion(merkle.leaf_hash(b"other"), index, size, proof, root)
    with pytest.raises(merkle.ProofInvalid, match="too long"):
        merkle.verify_inclusion(leaves[index], index, size, [*proof, root], root)


@given(st.integers(0, 130), st.data())
def test_consistency_holds_for_the_prefix_and_no_other_tree(size, data):
    leaves, old = hashes(size), data.draw(st.integers(0, size))
    before, after = merkle.root(leaves[:old]), merkle.root(leaves)
    proof = merkle.consistency_proof(leaves, old)
    merkle.verify_consistency(old, before, size, after, proof)
    assert len(proof) <= 63
    forked = hashlib.sha256(before).digest()
    with pytest.raises(merkle.ProofInvalid):
        merkle.verify_consistency(old, forked, size, after, proof)
    with pytest.raises(merkle.ProofInvalid):
        merkle.verify_consistency(old, before, size, after, [*proof, after])
    if proof:
        with pytest.raises(merkle.ProofInvalid):
            merkle.verify_consistency(old, before, size, after, proof[:-1])


@given(st.integers(0, 70), st.integers(0, 70))
def test_a_tree_goes_on_from_its_stored_roots(first, more):
    leaves, tree = hashes(first + more), merkle.Range()
    for leaf in leaves[:first]:
        tree.append(leaf)
    resumed = merkle.Range(tree.size, tree.roots)
    for leaf in leaves[first:]:
        resumed.append(leaf)
    assert (resumed.size, resumed.root()) == (first + more, merkle.root(leaves))


@given(st.lists(st.integers(0, 40), max_size=5))
def test_many_leaves_at_once_make_the_same_tree_and_name_each_full_subtree_once(counts):
    leaves, one, many = hashes(sum(counts)), merkle.Range(), merkle.Range()
    full: dict[int, list[bytes]] = {}
    for count in counts:
        for height, nodes in enumerate(many.extend(leaves[many.size : many.size + count])):
            full.setdefault(height, []).extend(nodes)
    for leaf in leaves:
        one.append(leaf)
    assert (many.size, many.roots, many.root()) == (one.size, one.roots, one.root())
    for height, nodes in full.items():
        width = 1 << height
        assert nodes == [merkle.root(leaves[n : n + width]) for n in range(0, len(leaves) - width + 1, width)]


def test_stored_roots_that_do_not_fit_the_size_are_refused():
    with pytest.raises(ValueError, match="a tree of 3 has 2 full subtrees, got 1"):
        merkle.Range(3, hashes(1))


@pytest.mark.parametrize(("size", "index"), [(0, 0), (3, 3), (3, -1)])
def test_no_proof_for_what_is_not_there(size, index):
    with pytest.raises(IndexError):
        merkle.inclusion_proof(hashes(size), index)


def test_no_consistency_with_the_future():
    with pytest.raises(IndexError):
        merkle.consistency_proof(hashes(2), 3)
    with pytest.raises(merkle.ProofInvalid, match="old size up to 2"):
        merkle.verify_consistency(3, merkle.EMPTY_ROOT, 2, merkle.EMPTY_ROOT, [])
    with pytest.raises(merkle.ProofInvalid, match="empty"):
        merkle.verify_consistency(3, merkle.EMPTY_ROOT, 4, merkle.EMPTY_ROOT, [])


def test_chains_of_two_writers_differ_from_the_start():
    leaf = merkle.leaf_hash(b"x")
    assert merkle.chain_next(merkle.chain_start("a"), leaf) != merkle.chain_next(merkle.chain_start("b"), leaf)
