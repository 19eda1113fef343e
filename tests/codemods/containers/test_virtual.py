"""The way from virtual text back to the file, on a toy host whose stored lines are easy to check by eye.

The toy stores each Python line as `<line>` and spells a double quote as `Q`; a new line costs a new pair of brackets.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codemods.containers.virtual import Piece, UnmappableEdit, Virtual, map_back
from codemods.edits import Edit, splice


class Brackets:
    """A file of `<...>` items, one for each line of Python."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.source = b"".join(b"<" + self.encode(line.encode()) + b">" for line in lines)
        self.pieces: list[Piece] = []
        self.spans: list[tuple[int, int]] = []
        at = 0
        for line in lines:
            start, at = at, at + 1
            for character in line:
                self.pieces.append(Piece(character.encode(), at, at + 1, exact=character != '"'))
                at += 1
            self.pieces.append(Piece(b"\n", at, at + 1, exact=False))
            at += 1
            self.spans.append((start, at))
        self.virtual = Virtual(tuple(self.pieces))

    def encode(self, text: bytes) -> bytes:
        return text.replace(b'"', b"Q")

    def drop(self, first: int, last: int) -> tuple[int, int, bytes]:
        return self.spans[first][0], self.spans[last][1], b""

    def add(self, line: int, lines: Sequence[bytes], *, below: bool) -> tuple[int, bytes]:
        text = b"".join(b"<" + self.encode(one.rstrip(b"\n")) + b">" for one in lines)
        return self.spans[line][1] if below else self.spans[line][0], text

    def after(self, edits: list[Edit]) -> str:
        """The file after edits of the virtual text, read back as Python lines."""
        result = splice(self.source, map_back(self.source, self.virtual, edits, self)).decode()
        return result.replace("Q", '"').replace("<", "").replace(">", "\n")


def test_an_edit_inside_a_line_touches_its_bytes_alone() -> None:
    host = Brackets(["ab", 'c"d'])
    assert map_back(host.source, host.virtual, [Edit(4, 6, b'"d', b'"x"', "r")], host) == [
        Edit(6, 8, b"Qd", b"QxQ", "r")
    ]


def test_a_new_line_goes_below_the_one_it_follows() -> None:
    host = Brackets(["ab", "cd"])
    assert map_back(host.source, host.virtual, [Edit(2, 2, b"", b"\nnew", "r")], host) == [
        Edit(4, 4, b"", b"<new>", "r")
    ]


def test_a_line_that_goes_takes_its_frame_along() -> None:
    host = Brackets(["ab", "cd", "ef"])
    assert map_back(host.source, host.virtual, [Edit(3, 6, b"cd\n", b"", "r")], host) == [Edit(4, 8, b"<cd>", b"", "r")]


def test_masked_text_refuses_edits() -> None:
    virtual = Virtual((Piece(b"0##", 0, 3, exact=False, masked=True), Piece(b"\n", 3, 4)))
    host = Brackets(["!ls"])
    for edit in (Edit(0, 3, b"0##", b"x", "r"), Edit(1, 1, b"", b"x", "r")):
        with pytest.raises(UnmappableEdit):
            map_back(b"!ls\n", virtual, [edit], host)


def test_half_an_escape_refuses_edits() -> None:
    virtual = Virtual((Piece("\u00fc".encode(), 0, 6, exact=False), Piece(b"\n", 6, 7)))
    with pytest.raises(UnmappableEdit):
        map_back(b"\\u00fc\n", virtual, [Edit(1, 2, b"\xbc", b"x", "r")], Brackets(["x"]))


def test_places_are_found_even_where_edits_are_not_allowed() -> None:
    virtual = Virtual((Piece(b"ab", 10, 12), Piece(b"0#", 20, 22, exact=False, masked=True), Piece(b"\n", 30, 30)))
    assert [virtual.file_offset(at) for at in range(5)] == [10, 11, 20, 20, 30]


LINES = st.lists(st.text('ab"\u00fc \U0001f600', max_size=5), min_size=1, max_size=5)


@settings(max_examples=150, deadline=None)
@given(LINES, st.data())
def test_any_edit_by_characters_arrives_or_is_refused(lines: list[str], data: st.DataObject) -> None:
    """The oracle is the same replacement in the plain text."""
    lines = [line.encode("ascii", "replace").decode() for line in lines]
    host = Brackets(lines)
    plain = host.virtual.text.decode()
    start = data.draw(st.integers(0, len(plain) - 1))
    end = data.draw(st.integers(start, len(plain) - 1))
    new = data.draw(st.text('x"\n', max_size=4))
    edit = Edit(start, end, plain[start:end].encode(), new.encode(), "r")
    assert host.after([edit]) == plain[:start] + new + plain[end:]
