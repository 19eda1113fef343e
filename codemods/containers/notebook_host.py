"""Writes whole lines of a notebook's code back into its JSON: list elements come and go as the file spells them.

A line that is one element of a source list stays one element; a line inside a longer string stays inside
that string. Nothing here decides what changes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from codemods.containers.notebook_json import Cell
from codemods.containers.virtual import Piece, UnmappableEdit, Virtual


@dataclass(frozen=True, slots=True)
class Slot:
    """Where one virtual line is stored: in `cell`, from token `first` to token `last`."""

    cell: Cell
    first: int
    last: int
    starts_token: bool
    ends_token: bool
    bare: bool
    """The line ends with the cell: its line end is synthetic."""
    start: int
    end: int
    """File span of the line's own characters, its line end included where the file has one."""


class NotebookHost:
    """Implements `virtual.Host` for the code cells of one notebook."""

    def __init__(self, slots: Sequence[Slot], separator: bytes, ascii_only: bool) -> None:
        self._slots = slots
        self._separator = separator
        self._ascii_only = ascii_only

    def encode(self, text: bytes) -> bytes:
        return json.dumps(text.decode("utf-8"), ensure_ascii=self._ascii_only)[1:-1].encode("utf-8")

    def drop(self, first: int, last: int) -> tuple[int, int, bytes]:
        head, tail = self._slots[first], self._slots[last]
        if head.cell is not tail.cell:
            raise UnmappableEdit("the edit spans two cells")
        if not (head.cell.as_list and head.starts_token and tail.ends_token):
            return head.start, tail.end, b""
        tokens, before, after = head.cell.tokens, head.first - 1, tail.last + 1
        if before >= 0:
            return tokens[before].end, tokens[tail.last].end, b""
        if after < len(tokens):
            return tokens[head.first].start, tokens[after].start, b""
        return tokens[head.first].start, tokens[tail.last].end, b'""'

    def add(self, line: int, lines: Sequence[bytes], *, below: bool) -> tuple[int, bytes]:
        slot = self._slots[line]
        return self._below(slot, lines) if below else self._above(slot, lines)

    def _above(self, slot: Slot, lines: Sequence[bytes]) -> tuple[int, bytes]:
        if slot.cell.as_list and slot.starts_token:
            start = slot.cell.tokens[slot.first].start
            return start, b"".join(self._element(text) + self._separator for text in lines)
        return slot.start, self.encode(b"".join(lines))

    def _below(self, slot: Slot, lines: Sequence[bytes]) -> tuple[int, bytes]:
        if not slot.bare:
            if slot.cell.as_list and slot.ends_token:
                at = slot.cell.tokens[slot.last].end
                return at, b"".join(self._separator + self._element(text) for text in lines)
            return slot.end, self.encode(b"".join(lines))
        last = lines[-1].rstrip(b"\r\n")
        eol = lines[-1][len(last) :] or b"\n"
        if slot.cell.as_list and slot.ends_token:
            opening = b'"' + self._separator + b'"'
            parts = [eol, *lines[:-1], last]
            return slot.end, opening.join(self.encode(text) for text in parts)
        return slot.end, self.encode(eol + b"".join(lines[:-1]) + last)

    def _element(self, text: bytes) -> bytes:
        return b'"' + self.encode(text) + b'"'


def slots_of(virtual: Virtual, cells: Sequence[Cell]) -> list[Slot]:
    """One slot per virtual line; `cells` are those the virtual text was made of, in order."""
    slots: list[Slot] = []
    offset, lines, index = 0, virtual.lines, 0
    for cell in cells:
        end_of_cell = offset + len(cell.text)
        tokens = _token_ranges(cell, offset)
        while offset < end_of_cell:
            line_end = offset + len(lines[index])
            slots.append(_slot(cell, tokens, offset, min(line_end, end_of_cell), bare=line_end > end_of_cell))
            offset, index = line_end, index + 1
    return slots


def _token_ranges(cell: Cell, offset: int) -> list[tuple[int, int]]:
    ranges = []
    for token in cell.tokens:
        ranges.append((offset, offset + len(token.text)))
        offset = ranges[-1][1]
    return ranges


def _slot(cell: Cell, tokens: list[tuple[int, int]], start: int, end: int, *, bare: bool) -> Slot:
    held = [index for index, (first, last) in enumerate(tokens) if first < end and last > start]
    first, last = held[0], held[-1]
    return Slot(
        cell=cell,
        first=first,
        last=last,
        starts_token=tokens[first][0] == start,
        ends_token=tokens[last][1] == end,
        bare=bare,
        start=_file_position(cell.tokens[first].pieces, start - tokens[first][0], at_end=False),
        end=_file_position(cell.tokens[last].pieces, end - tokens[last][0], at_end=True),
    )


def _file_position(pieces: Sequence[Piece], offset: int, *, at_end: bool) -> int:
    """The file byte of an offset into a token's text; on a seam, the earlier piece's end if `at_end`."""
    at = 0
    for piece in pieces:
        size = len(piece.text)
        if offset < at + size or (at_end and offset == at + size):
            return piece.start + (offset - at) if piece.exact else (piece.end if offset > at else piece.start)
        at += size
    return pieces[-1].end
