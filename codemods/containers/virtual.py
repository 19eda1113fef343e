"""Python text that lives inside another file, and the way back from it to the bytes that hold it.

A notebook's cells, the fences of a Markdown page or the lines behind a doctest's prompts are joined into
one virtual module; every run of its bytes knows where it came from. Edits made to the virtual text are
mapped onto the smallest spans of the file: inside a line byte for byte, and by whole lines where a line
comes or goes. What a line looks like in the file is the host's business; this module knows no format.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cached_property
from typing import Protocol

from codemods.containers.mentions import Places
from codemods.edits import Edit


class UnmappableEdit(Exception):
    """An edit of the virtual text has no honest counterpart in the file, so nothing must be written."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of virtual bytes and the file span `[start, end)` that stands for it.

    exact: virtual and file bytes are the same, so any sub-span maps; otherwise the run is one unit
    (a JSON escape). masked: the virtual bytes are a stand-in (a magic line) and must not be edited.
    A piece with `start == end` is synthetic: it stands for nothing in the file.
    """

    text: bytes
    start: int
    end: int
    exact: bool = True
    masked: bool = False


class Host(Protocol):
    """How whole lines are written into the file; line numbers are 0-based lines of the virtual text."""

    def encode(self, text: bytes) -> bytes:
        """Python bytes as they stand inside a line of the file."""

    def drop(self, first: int, last: int) -> tuple[int, int, bytes]:
        """The file span that holds lines `first` to `last` inclusive, and what must stay in its place."""

    def add(self, line: int, lines: Sequence[bytes], *, below: bool) -> tuple[int, bytes]:
        """Where to put `lines` so that they stand right below (or above) `line`, and the bytes to put."""


@dataclass(frozen=True)
class Virtual:
    """A virtual module: pieces in order, one after the other."""

    pieces: tuple[Piece, ...]

    @cached_property
    def text(self) -> bytes:
        return b"".join(piece.text for piece in self.pieces)

    @cached_property
    def places(self) -> Places:
        return Places(self.text)

    @cached_property
    def lines(self) -> list[bytes]:
        return self.text.splitlines(keepends=True)

    @cached_property
    def line_starts(self) -> list[int]:
        starts, position = [], 0
        for line in self.lines:
            starts.append(position)
            position += len(line)
        return starts

    @cached_property
    def _piece_starts(self) -> list[int]:
        starts, position = [], 0
        for piece in self.pieces:
            starts.append(position)
            position += len(piece.text)
        return starts

    def line_at(self, position: int) -> int:
        """The 0-based line that holds virtual byte `position` (the last line for the end of the text)."""
        return max(bisect_right(self.line_starts, position) - 1, 0)

    def file_offset(self, position: int) -> int:
        """The file byte nearest to a virtual position; for pointing at things, never for editing."""
        if not self.pieces:
            return 0
        index = max(bisect_right(self._piece_starts, position) - 1, 0)
        piece, inside = self.pieces[index], position - self._piece_starts[index]
        return min(piece.start + inside, piece.end) if piece.exact else piece.start

    def is_masked(self, position: int) -> bool:
        """Whether a virtual byte belongs to a stand-in."""
        index = max(bisect_right(self._piece_starts, position) - 1, 0)
        return bool(self.pieces) and self.pieces[index].masked

    def file_span(self, start: int, end: int) -> tuple[int, int]:
        """The file span of the virtual bytes `[start, end)`.

        Raises:
            UnmappableEdit: the span cuts an escape, touches a masked or synthetic run, or is not
                contiguous in the file.
        """
        touched = [
            (piece, at)
            for piece, at in zip(self.pieces, self._piece_starts, strict=True)
            if at < end and at + len(piece.text) > start
        ]
        if start == end:
            return self._insertion_point(start)
        previous: Piece | None = None
        for piece, _ in touched:
            if piece.masked or piece.start == piece.end:
                raise UnmappableEdit("the edit touches a line that is not Python")
            if previous is not None and previous.end != piece.start:
                raise UnmappableEdit("the edit spans more than one stored line")
            previous = piece
        (first, first_at), (last, last_at) = touched[0], touched[-1]
        return _inside(first, start - first_at), _inside(last, end - last_at)

    def _insertion_point(self, position: int) -> tuple[int, int]:
        at_line_start = position in self.line_starts
        index = max(bisect_right(self._piece_starts, position) - 1, 0)
        if self._piece_starts[index] == position and not at_line_start and index:
            index -= 1
        piece = self.pieces[index]
        if piece.masked:
            raise UnmappableEdit("the edit touches a line that is not Python")
        offset = _inside(piece, position - self._piece_starts[index])
        return offset, offset


def _inside(piece: Piece, offset: int) -> int:
    if piece.exact:
        return piece.start + offset
    if offset == 0:
        return piece.start
    if offset == len(piece.text):
        return piece.end
    raise UnmappableEdit("the edit cuts an escape sequence")


def map_back(source: bytes, virtual: Virtual, edits: Iterable[Edit], host: Host) -> list[Edit]:
    """Edits of the virtual text as edits of `source`, sorted and non-overlapping.

    Raises:
        UnmappableEdit: where an edit has no counterpart in the file.
    """
    mapped: list[Edit] = []
    for first, last, group in _groups(virtual, [_before_the_seam(virtual, edit) for edit in edits]):
        if all(_stays_in_line(virtual, edit) for edit in group):
            mapped += [_in_line(source, virtual, edit.start, edit.end, edit.new, edit.rule, host) for edit in group]
        else:
            mapped += _by_lines(source, virtual, first, last, group, host)
    return _joined(source, sorted(mapped, key=lambda edit: (edit.start, edit.end)))


def _before_the_seam(virtual: Virtual, edit: Edit) -> Edit:
    """A line inserted behind a synthetic line end belongs to the text before the seam, not after it."""
    if edit.start != edit.end or edit.start == 0 or not edit.new.endswith((b"\n", b"\r")):
        return edit
    before = virtual.pieces[max(bisect_right(virtual._piece_starts, edit.start - 1) - 1, 0)]
    if before.start != before.end:
        return edit
    bare = edit.new.rstrip(b"\r\n")
    eol = edit.new[len(bare) :]
    return Edit(edit.start - 1, edit.start - 1, b"", eol + bare, edit.rule)


def _groups(virtual: Virtual, edits: list[Edit]) -> list[tuple[int, int, list[Edit]]]:
    groups: list[tuple[int, int, list[Edit]]] = []
    for edit in sorted(edits, key=lambda edit: (edit.start, edit.end)):
        first, last = virtual.line_at(edit.start), virtual.line_at(edit.end)
        if groups and first <= groups[-1][1]:
            first, old_last, group = groups[-1]
            groups[-1] = (first, max(last, old_last), [*group, edit])
        else:
            groups.append((first, last, [edit]))
    return groups


def _stays_in_line(virtual: Virtual, edit: Edit) -> bool:
    breaks = (b"\n", b"\r")
    old = virtual.text[edit.start : edit.end]
    return not any(mark in old or mark in edit.new for mark in breaks)


def _in_line(source: bytes, virtual: Virtual, start: int, end: int, new: bytes, rule: str, host: Host) -> Edit:
    file_start, file_end = virtual.file_span(start, end)
    return Edit(file_start, file_end, source[file_start:file_end], host.encode(new), rule)


def _by_lines(source: bytes, virtual: Virtual, first: int, last: int, group: list[Edit], host: Host) -> list[Edit]:
    """The group's lines, rewritten line by line: kept ones untouched, the others paired in order."""
    base = virtual.line_starts[first]
    old = virtual.lines[first : last + 1]
    text, position = b"", base
    for edit in group:
        text += virtual.text[position : edit.start] + edit.new
        position = edit.end
    text += virtual.text[position : base + sum(map(len, old))]
    new = text.splitlines(keepends=True)
    rule = group[0].rule
    edits: list[Edit] = []
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        pairs = min(i2 - i1, j2 - j1)
        for offset in range(pairs):
            line = first + i1 + offset
            edits += _reline(source, virtual, line, new[j1 + offset], rule, host)
        if i2 - i1 > pairs:
            start, end, stays = host.drop(first + i1 + pairs, first + i2 - 1)
            edits.append(Edit(start, end, source[start:end], stays, rule))
        if j2 - j1 > pairs:
            below = i2 > 0
            at, added = host.add(first + i2 - below, new[j1 + pairs : j2], below=below)
            edits.append(Edit(at, at, b"", added, rule))
    return edits


def _reline(source: bytes, virtual: Virtual, line: int, new: bytes, rule: str, host: Host) -> list[Edit]:
    """One line turned into another, changing only what differs; its line end stays as the file has it."""
    old = virtual.lines[line]
    old_body, new_body = old.rstrip(b"\r\n"), new.rstrip(b"\r\n")
    if old_body == new_body:
        return []
    head = 0
    while head < min(len(old_body), len(new_body)) and old_body[head] == new_body[head]:
        head += 1
    tail = 0
    limit = min(len(old_body), len(new_body)) - head
    while tail < limit and old_body[-1 - tail] == new_body[-1 - tail]:
        tail += 1
    head -= _continuation_bytes_before(old_body, head)
    tail -= _continuation_bytes_after(old_body, len(old_body) - tail)
    at = virtual.line_starts[line]
    start, end = at + head, at + len(old_body) - tail
    return [
        _in_line(source, virtual, start, end, new_body[head : len(new_body) - tail], rule, host),
    ]


def _continuation_bytes_before(text: bytes, cut: int) -> int:
    """How far `cut` must move left so that it does not split a UTF-8 character."""
    moved = 0
    while cut - moved > 0 and cut - moved < len(text) and text[cut - moved] & 0xC0 == 0x80:
        moved += 1
    return moved


def _continuation_bytes_after(text: bytes, cut: int) -> int:
    moved = 0
    while cut + moved < len(text) and text[cut + moved] & 0xC0 == 0x80:
        moved += 1
    return moved


def _joined(source: bytes, edits: list[Edit]) -> list[Edit]:
    """Touching edits as one, so that their order in the file is beyond doubt.

    Raises:
        UnmappableEdit: two edits overlap.
    """
    joined: list[Edit] = []
    for edit in edits:
        if not joined or edit.start > joined[-1].end:
            joined.append(edit)
            continue
        before = joined[-1]
        if edit.start < before.end:
            raise UnmappableEdit("two edits meet on one stored line")
        joined[-1] = Edit(before.start, edit.end, source[before.start : edit.end], before.new + edit.new, before.rule)
    return joined
