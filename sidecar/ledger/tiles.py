"""Coordinates, hash tiles and entry bundles of a tiled log (C2SP tlog-tiles). Pure functions on numbers and bytes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from sidecar.ledger import merkle

TILE_BITS = 8
WIDTH = 1 << TILE_BITS
"""Hashes in a full tile, and entries in a full bundle."""

MAX_ENTRY_BYTES = 0xFFFF
"""An entry's length stands in a bundle as a uint16."""

_LENGTH_BYTES = 2
_GROUP = 1000
_NUMBER = re.compile(r"((?:x[0-9]{3}/){0,5}[0-9]{3})(?:\.p/([0-9]{1,3}))?")


class BundleInvalid(ValueError):
    """The bytes are no entry bundle."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A hash tile: ``width`` hashes of ``level`` from ``index * 256`` on."""

    level: int
    index: int
    width: int

    @property
    def path(self) -> str:
        """Path below the log's prefix."""
        return f"tile/{self.level}/{_number(self.index, self.width)}"


@dataclass(frozen=True, slots=True)
class Bundle:
    """An entry bundle: ``width`` entries from ``index * 256`` on."""

    index: int
    width: int

    @property
    def path(self) -> str:
        """Path below the log's prefix."""
        return f"tile/entries/{_number(self.index, self.width)}"


def _number(index: int, width: int) -> str:
    """Groups of three digits, all but the last prefixed with x; a partial tile's width behind it."""
    if index < 0 or not 1 <= width <= WIDTH:
        raise ValueError(f"expected an index from 0 and a width from 1 to {WIDTH}, got {index} and {width}")
    groups = [f"{index % _GROUP:03d}"]
    while index := index // _GROUP:
        groups.append(f"x{index % _GROUP:03d}")
    return "/".join(reversed(groups)) + ("" if width == WIDTH else f".p/{width}")


def read_number(text: str) -> tuple[int, int] | None:
    """Index and width of a tile from the end of its path; None where it is not exactly how one is written."""
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    index = int(match[1].replace("x", "").replace("/", ""))
    width = int(match[2] or WIDTH)
    return (index, width) if 1 <= width <= WIDTH and _number(index, width) == text else None


def held(size: int, level: int, index: int, width: int) -> bool:
    """Whether a tree of ``size`` leaves holds the first ``width`` hashes of a tile."""
    return index * WIDTH + width <= size >> level * (WIDTH.bit_length() - 1)


def tiles(size: int) -> Iterator[Tile]:
    """Every tile of a tree of ``size`` leaves, lowest level first; the last of a level may be partial, never empty."""
    level, width = 0, size
    while width:
        full, rest = divmod(width, WIDTH)
        yield from (Tile(level, index, WIDTH) for index in range(full))
        if rest:
            yield Tile(level, full, rest)
        level, width = level + 1, full


def bundles(size: int) -> Iterator[Bundle]:
    """Every entry bundle of a log of ``size`` entries."""
    full, rest = divmod(size, WIDTH)
    yield from (Bundle(index, WIDTH) for index in range(full))
    if rest:
        yield Bundle(full, rest)


def pack(entries: Sequence[bytes]) -> bytes:
    """A bundle's bytes: each entry behind its length, a big-endian uint16.

    Raises:
        BundleInvalid: an entry is too long.
    """
    for entry in entries:
        if len(entry) > MAX_ENTRY_BYTES:
            raise BundleInvalid(f"expected an entry of at most {MAX_ENTRY_BYTES} bytes, got {len(entry)}")
    return b"".join(len(entry).to_bytes(_LENGTH_BYTES, "big") + entry for entry in entries)


def unpack(data: bytes) -> list[bytes]:
    """The entries of a bundle.

    Raises:
        BundleInvalid: it ends within an entry, or holds more than a bundle may.
    """
    entries: list[bytes] = []
    place = 0
    while place < len(data):
        start = place + _LENGTH_BYTES
        end = start + int.from_bytes(data[place:start], "big")
        if start > len(data) or end > len(data):
            raise BundleInvalid(f"expected entry {len(entries)} to end by byte {len(data)}")
        entries.append(data[start:end])
        place = end
    if len(entries) > WIDTH:
        raise BundleInvalid(f"expected at most {WIDTH} entries, got {len(entries)}")
    return entries


@dataclass(slots=True)
class _Level:
    index: int = 0
    hashes: list[bytes] = field(default_factory=list)


class TileStream:
    """Makes the hash tiles of a log from its leaf hashes in order; holds at most 255 hashes a level."""

    def __init__(self) -> None:
        self._levels: list[_Level] = []

    def append(self, leaf: bytes) -> Iterator[tuple[Tile, bytes]]:
        """Add a leaf hash; gives the tiles that became full. The caller MUST exhaust the iterator before the next."""
        node = leaf
        for number in range(len(self._levels) + 1):
            if number == len(self._levels):
                self._levels.append(_Level())
            level = self._levels[number]
            level.hashes.append(node)
            if len(level.hashes) < WIDTH:
                return
            yield Tile(number, level.index, WIDTH), b"".join(level.hashes)
            node = merkle.root(level.hashes)
            level.index += 1
            level.hashes = []

    def partial(self) -> Iterator[tuple[Tile, bytes]]:
        """The partial tiles of the tree as it is now."""
        for number, level in enumerate(self._levels):
            if level.hashes:
                yield Tile(number, level.index, len(level.hashes)), b"".join(level.hashes)
