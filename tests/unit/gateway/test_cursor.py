from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from sidecar.errors import RequestInvalid
from sidecar.gateway.cursor import MAX_CURSOR_LENGTH, Binding, CursorBox, Position

KEY = bytes(range(32))
BOX = CursorBox(KEY)
BINDING = Binding("https://idp|p1", b"digest", "1@sha256:ab")
NONCE = bytes(12)
scalars = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40), st.integers(-(2**53), 2**53), st.none()
)
positions = st.builds(
    Position,
    inquiry=st.uuids().map(str),
    page=st.integers(2, 10**6),
    expires=st.integers(0, 2**40),
    after=st.lists(scalars, max_size=5).map(tuple),
)


@given(position=positions, nonce=st.binary(min_size=12, max_size=12))
def test_a_cursor_opens_to_what_was_sealed(position, nonce):
    cursor = BOX.seal(position, BINDING, nonce)
    assert BOX.open(cursor, BINDING, position.expires) == position


@given(first=positions, second=positions)
def test_cursors_are_of_one_length(first, second):
    assert len(BOX.seal(first, BINDING, NONCE)) == len(BOX.seal(second, BINDING, NONCE))


def test_an_absurd_position_still_travels():
    position = Position("i", 2, 5, ("x" * 3000,))
    cursor = BOX.seal(position, BINDING, NONCE)
    assert len(cursor) <= MAX_CURSOR_LENGTH
    assert BOX.open(cursor, BINDING, 5) == position


@pytest.mark.parametrize(
    "other",
    [
        Binding("https://idp|p2", b"digest", "1@sha256:ab"),
        Binding("https://idp|p1", b"digesT", "1@sha256:ab"),
        Binding("https://idp|p1", b"digest", "2@sha256:ab"),
        Binding("https://idp|p1digest", b"", "1@sha256:ab"),
    ],
)
def test_a_cursor_of_another_binding_does_not_open(other):
    cursor = BOX.seal(Position("i", 2, 5, ()), BINDING, NONCE)
    with pytest.raises(RequestInvalid, match="cursor") as refused:
        BOX.open(cursor, other, 5)
    assert (refused.value.code, refused.value.status) == ("cursor-invalid", 422)


def test_an_expired_cursor_does_not_open():
    cursor = BOX.seal(Position("i", 2, 5, ()), BINDING, NONCE)
    with pytest.raises(RequestInvalid, match="expired"):
        BOX.open(cursor, BINDING, 6)


def test_a_cursor_of_another_key_does_not_open():
    cursor = CursorBox(bytes(32)).seal(Position("i", 2, 5, ()), BINDING, NONCE)
    with pytest.raises(RequestInvalid):
        BOX.open(cursor, BINDING, 5)


@given(st.one_of(st.text(max_size=60), st.binary(max_size=60).map(lambda b: b.hex()), st.just("A" * 9000)))
def test_any_other_text_is_refused_as_a_cursor(text):
    with pytest.raises(RequestInvalid):
        BOX.open(text, BINDING, 5)


@given(st.integers(0, 1000), st.integers(1, 255))
def test_one_changed_byte_refuses(where, flip):
    cursor = bytearray(BOX.seal(Position("i", 2, 5, ("k",)), BINDING, NONCE).encode())
    where %= len(cursor) - 1  # the last character carries padding bits only in part
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    cursor[where] = alphabet[(alphabet.index(cursor[where]) + flip % 63 + 1) % 64]
    if cursor.decode() == BOX.seal(Position("i", 2, 5, ("k",)), BINDING, NONCE):
        return
    with pytest.raises(RequestInvalid):
        BOX.open(cursor.decode(), BINDING, 5)
