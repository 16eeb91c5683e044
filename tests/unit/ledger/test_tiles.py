"""Tiles hold the tree of ``merkle`` and nothing else, under the paths that C2SP tlog-tiles gives them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.ledger import merkle
from sidecar.ledger.tiles import (
    WIDTH,
    Bundle,
    BundleInvalid,
    Tile,
    TileStream,
    bundles,
    held,
    pack,
    read_number,
    tiles,
    unpack,
)


@pytest.mark.parametrize(
    ("index", "width", "path"),
    [
        (0, 256, "000"),
        (0, 1, "000.p/1"),
        (999, 256, "999"),
        (1000, 256, "x001/000"),
        (1234067, 256, "x001/x234/067"),  # the example of the specification
        (1234067, 8, "x001/x234/067.p/8"),
    ],
)
def test_paths_are_those_of_the_specification(index, width, path):
    assert Tile(3, index, width).path == f"tile/3/{path}"
    assert Bundle(index, width).path == f"tile/entries/{path}"


@pytest.mark.parametrize(("index", "width"), [(-1, 256), (0, 0), (0, 257)])
def test_an_empty_or_impossible_tile_has_no_path(index, width):
    with pytest.raises(ValueError, match="expected an index"):
        _ = Tile(0, index, width).path


def test_a_log_of_70000_has_the_tiles_of_the_specification():
    found = list(tiles(70_000))
    assert [(t.index, t.width) for t in found if t.level == 0][-2:] == [(272, 256), (273, 112)]
    assert [t for t in found if t.level > 0] == [Tile(1, 0, 256), Tile(1, 1, 17), Tile(2, 0, 1)]
    assert list(bundles(70_000))[-1] == Bundle(273, 112)


@given(st.integers(0, 300_000))
def test_a_partial_width_is_what_full_tiles_below_leave_over(size):
    partial = {t.level: t.width for t in tiles(size) if t.width < WIDTH}
    assert partial == {level: size // WIDTH**level % WIDTH for level in range(4) if size // WIDTH**level % WIDTH}


def hashes(size):
    return [merkle.leaf_hash(b"%d" % n) for n in range(size)]


def stream(leaves):
    made, found = TileStream(), []
    for leaf in leaves:
        found.extend(made.append(leaf))
    return [*found, *made.partial()]


@settings(max_examples=25)
@given(st.integers(0, 1400) | st.sampled_from([255, 256, 257, 512]))
def test_streamed_tiles_are_all_tiles_and_hold_the_roots_of_their_leaves(size):
    leaves = hashes(size)
    found = stream(leaves)
    assert sorted(t.path for t, _ in found) == sorted(t.path for t in tiles(size))
    for tile, data in found:
        assert len(data) == tile.width * merkle.HASH_BYTES
        below = WIDTH**tile.level
        first = tile.index * WIDTH
        for place in range(tile.width):
            span = leaves[(first + place) * below : (first + place + 1) * below]
            assert data[place * 32 : place * 32 + 32] == merkle.root(span)


def test_a_third_level_begins_with_the_65536th_leaf():
    found = dict(stream(hashes(WIDTH * WIDTH + 1)))
    assert found[Tile(2, 0, 1)] == merkle.root(hashes(WIDTH * WIDTH))
    assert Tile(1, 0, 256) in found
    assert Tile(0, 256, 1) in found


@given(st.lists(st.binary(max_size=300), max_size=WIDTH))
def test_a_bundle_gives_back_its_entries(entries):
    data = pack(entries)
    assert unpack(data) == entries
    if data:
        with pytest.raises(BundleInvalid, match="to end by byte"):
            unpack(data + b"\x00")


def test_a_bundle_writes_the_length_first_and_knows_its_limits():
    assert pack([b"ab", b""]) == b"\x00\x02ab\x00\x00"
    assert unpack(pack([b"x" * 65535])) == [b"x" * 65535]
    with pytest.raises(BundleInvalid, match="at most 65535"):
        pack([b"x" * 65536])
    with pytest.raises(BundleInvalid, match="at most 256"):
        unpack(b"\x00\x00" * 257)


@given(st.integers(0, 10**17), st.integers(1, 256))
def test_a_tiles_number_is_read_as_it_is_written(index, width):
    path = Tile(0, index, width).path.removeprefix("tile/0/")
    assert read_number(path) == (index, width)


@given(st.text("0123456789x/.p", max_size=12))
def test_a_tile_has_one_spelling(text):
    found = read_number(text)
    assert found is None or Tile(0, *found).path == f"tile/0/{text}"


@given(st.integers(0, 200_000))
def test_a_tree_holds_exactly_its_tiles(size):
    for tile in tiles(size):
        assert held(size, tile.level, tile.index, tile.width)
        if tile.width < WIDTH:
            assert not held(size, tile.level, tile.index, tile.width + 1)
        assert not held(size, tile.level, (size >> 8 * tile.level) // WIDTH, WIDTH)
