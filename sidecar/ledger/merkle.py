"""Hashes of the log: leaves, nodes, roots, inclusion and consistency proofs (RFC 6962 §2.1), and the writers' chains.

Pure functions on bytes; SHA-256 throughout. The only module that writer and verifier share.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

_sha256 = hashlib.sha256

HASH_BYTES = 32
"""Length of every hash here."""

EMPTY_ROOT = hashlib.sha256(b"").digest()
"""Root of the tree without leaves."""


class ProofInvalid(ValueError):
    """A proof does not show what it should; the text says what is wrong with it."""


def leaf_hash(entry: bytes) -> bytes:
    """``H(0x00 ‖ entry)``."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """``H(0x01 ‖ left ‖ right)``."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def chain_start(writer: str) -> bytes:
    """Chain value before a writer's first entry; it names the writer, so that no entry can move to another."""
    return hashlib.sha256(b"sidecar/writer/v1\n" + writer.encode("ascii")).digest()


def chain_next(chain: bytes, leaf: bytes) -> bytes:
    """Chain value after one more entry: ``H(chain ‖ leaf hash)``."""
    return hashlib.sha256(chain + leaf).digest()


def _split(size: int) -> int:
    """The largest power of two below ``size`` (≥ 2)."""
    return 1 << (size - 1).bit_length() - 1


class Range:
    """The compact range of a growing tree: roots of its full subtrees, largest first; appends in O(log n)."""

    __slots__ = ("_roots", "size")

    def __init__(self, size: int = 0, roots: Sequence[bytes] = ()) -> None:
        if len(roots) != size.bit_count():
            raise ValueError(f"a tree of {size} has {size.bit_count()} full subtrees, got {len(roots)}")
        self.size = size
        self._roots = list(roots)

    def append(self, leaf: bytes) -> None:
        """Add a leaf hash."""
        node, size = leaf, self.size
        while size & 1:
            node = node_hash(self._roots.pop(), node)
            size >>= 1
        self._roots.append(node)
        self.size += 1

    def extend(self, leaves: Sequence[bytes]) -> list[list[bytes]]:
        """Add leaf hashes at a third of the cost that one by one has.

        Returns the roots of the subtrees that became full, a list for each height: ``[h][i]`` is the i-th new one over
        ``2 ** h`` leaves, in order; height 0 are the leaves.
        """
        new, left, size = list(leaves), [], self.size
        self.size += len(new)
        made = []
        while new:
            made.append(new)
            nodes = [self._roots.pop(), *new] if size & 1 else new
            if len(nodes) & 1:
                left.append(nodes[-1])
            new = [_sha256(b"\x01" + a + b).digest() for a, b in zip(nodes[::2], nodes[1::2], strict=False)]
            size >>= 1
        self._roots += reversed(left)
        return made

    @property
    def roots(self) -> tuple[bytes, ...]:
        """What to store, and give back to the constructor, to go on later."""
        return tuple(self._roots)

    def root(self) -> bytes:
        """Root of the tree as it is now."""
        if not self._roots:
            return EMPTY_ROOT
        node = self._roots[-1]
        for left in reversed(self._roots[:-1]):
            node = node_hash(left, node)
        return node


def root(leaves: Sequence[bytes]) -> bytes:
    """Root over leaf hashes."""
    tree = Range()
    tree.extend(leaves)
    return tree.root()


def inclusion_proof(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """Audit path of the leaf at ``index`` (from 0), lowest sibling first (RFC 6962 §2.1.1).

    Raises:
        IndexError: there is no such leaf.
    """
    size = len(leaves)
    if not 0 <= index < size:
        raise IndexError(f"expected an index below {size}, got {index}")
    if size == 1:
        return []
    middle = _split(size)
    if index < middle:
        return [*inclusion_proof(leaves[:middle], index), root(leaves[middle:])]
    return [*inclusion_proof(leaves[middle:], index - middle), root(leaves[:middle])]


def consistency_proof(leaves: Sequence[bytes], old: int) -> list[bytes]:
    """Proof that the tree of the first ``old`` leaves is a prefix of the whole (RFC 6962 §2.1.2).

    Raises:
        IndexError: ``old`` is not between 0 and the number of leaves.
    """
    if not 0 <= old <= len(leaves):
        raise IndexError(f"expected a size up to {len(leaves)}, got {old}")
    return [] if old in {0, len(leaves)} else _subproof(leaves, old, complete=True)


def _subproof(leaves: Sequence[bytes], old: int, *, complete: bool) -> list[bytes]:
    size = len(leaves)
    if old == size:
        return [] if complete else [root(leaves)]
    middle = _split(size)
    if old <= middle:
        return [*_subproof(leaves[:middle], old, complete=complete), root(leaves[middle:])]
    return [*_subproof(leaves[middle:], old - middle, complete=False), root(leaves[:middle])]


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], expected: bytes) -> None:
    """Check an audit path (RFC 9162 §2.1.3.2).

    Raises:
        ProofInvalid: the leaf is not at ``index`` of the tree with this size and root, as far as the proof shows.
    """
    if not 0 <= index < size:
        raise ProofInvalid(f"expected an index below {size}, got {index}")
    node = leaf
    for sibling, on_left in _climb(index, size - 1, proof):
        node = node_hash(sibling, node) if on_left else node_hash(node, sibling)
    if node != expected:
        raise ProofInvalid(f"expected root {expected.hex()}, got {node.hex()}")


def verify_consistency(old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Check that the tree (old, old_root) is a prefix of (new, new_root) (RFC 9162 §2.1.4.2).

    Raises:
        ProofInvalid: it is not, as far as the proof shows.
    """
    if not 0 <= old <= new:
        raise ProofInvalid(f"expected an old size up to {new}, got {old}")
    if old in {0, new}:
        _trivial_consistency(old, old_root, new, new_root, proof)
        return
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if not path:
        raise ProofInvalid("proof is empty")
    position, last = old - 1, new - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    first = second = path[0]
    for sibling, on_left in _climb(position, last, path[1:]):
        first = node_hash(sibling, first) if on_left else first
        second = node_hash(sibling, second) if on_left else node_hash(second, sibling)
    if first != old_root or second != new_root:
        raise ProofInvalid("the proof leads to other roots")


def _climb(position: int, last: int, proof: Sequence[bytes]) -> Iterator[tuple[bytes, bool]]:
    """The proof's hashes from a node of a level up to the root, each with whether it stands on the left."""
    for sibling in proof:
        if last == 0:
            raise ProofInvalid(f"proof of {len(proof)} hashes is too long")
        on_left = bool(position & 1) or position == last
        if on_left:
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        yield sibling, on_left
        position, last = position >> 1, last >> 1
    if last != 0:
        raise ProofInvalid(f"proof of {len(proof)} hashes is too short")


def _trivial_consistency(old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    """An empty or an equal tree needs no proof, only the right root."""
    if proof:
        raise ProofInvalid(f"expected no hashes for sizes {old} and {new}, got {len(proof)}")
    if old_root != (EMPTY_ROOT if old == 0 else new_root):
        raise ProofInvalid(f"expected root {(EMPTY_ROOT if old == 0 else new_root).hex()}, got {old_root.hex()}")
