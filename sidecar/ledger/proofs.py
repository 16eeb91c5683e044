"""Roots and proofs of a tree that is too large to hold, from the hashes of its tiles (RFC 6962 §2.1, C2SP tlog-tiles)."""

from __future__ import annotations

from typing import Protocol

from sidecar.ledger import merkle

_TILE_BITS = 8


class Hashes(Protocol):
    """The hashes of a log: those of tile level 0 are the leaves', of level n + 1 the roots of full tiles of level n."""

    def hashes(self, level: int, start: int, count: int) -> list[bytes]:
        """Exactly ``count`` hashes of a tile level from number ``start`` on; at most 256 are asked for at once."""


def subtree(source: Hashes, start: int, size: int) -> bytes:
    """Root of the ``size`` (≥ 1) leaves from ``start`` on; ``start`` is a multiple of the next power of two."""
    if size & (size - 1) == 0:
        return _full(source, start, size)
    left = 1 << (size - 1).bit_length() - 1
    return merkle.node_hash(subtree(source, start, left), subtree(source, start + left, size - left))


def _full(source: Hashes, start: int, size: int) -> bytes:
    """A perfect subtree: the root of at most 128 hashes of one tile level."""
    level, rest = divmod(size.bit_length() - 1, _TILE_BITS)
    return merkle.root(source.hashes(level, start >> level * _TILE_BITS, 1 << rest))


def tree(source: Hashes, size: int) -> merkle.Range:
    """The compact range of the first ``size`` leaves: its root, and what further leaves are appended to."""
    roots: list[bytes] = []
    start = 0
    for bit in range(size.bit_length() - 1, -1, -1):
        if size >> bit & 1:
            roots.append(_full(source, start, 1 << bit))
            start += 1 << bit
    return merkle.Range(size, roots)


def inclusion(source: Hashes, index: int, size: int) -> list[bytes]:
    """Audit path of the leaf at ``index`` in the tree of ``size`` leaves, lowest sibling first (RFC 6962 §2.1.1).

    Raises:
        IndexError: there is no such leaf.
    """
    if not 0 <= index < size:
        raise IndexError(f"expected an index below {size}, got {index}")
    path: list[bytes] = []
    start = 0
    while size > 1:
        left = 1 << (size - 1).bit_length() - 1
        if index - start < left:
            path.append(subtree(source, start + left, size - left))
            size = left
        else:
            path.append(subtree(source, start, left))
            start, size = start + left, size - left
    return path[::-1]


def consistency(source: Hashes, old: int, new: int) -> list[bytes]:
    """Proof that the tree of ``old`` leaves is the beginning of the tree of ``new`` leaves (RFC 6962 §2.1.2).

    Raises:
        IndexError: ``old`` is not between 0 and ``new``.
    """
    if not 0 <= old <= new:
        raise IndexError(f"expected a size up to {new}, got {old}")
    if old in {0, new}:
        return []
    path: list[bytes] = []
    start, complete = 0, True
    while old != new:
        left = 1 << (new - 1).bit_length() - 1
        if old <= left:
            path.append(subtree(source, start + left, new - left))
            new = left
        else:
            path.append(subtree(source, start, left))
            start, old, new, complete = start + left, old - left, new - left, False
    return ([] if complete else [subtree(source, start, old)]) + path[::-1]
