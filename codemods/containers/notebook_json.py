"""Where the code of a Jupyter notebook lies in its JSON text, byte for byte.

A notebook is never dumped again: what the code does not need is skipped by the standard decoder, and
the string tokens of code cells are kept with their byte spans. This module knows the JSON and nothing of Python.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from codemods.containers.virtual import Piece

_SPACE = re.compile(r"[ \t\r\n]*")
_ESCAPE = re.compile(rb'\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\["\\/bfnrt]')
_SKIP = json.JSONDecoder(strict=False)


class NotANotebook(ValueError):
    """The text is not JSON, or the JSON is not a notebook; says where."""


@dataclass(frozen=True, slots=True)
class Token:
    """A JSON string: `[start, end)` in the file with its quotes, and the pieces of what it decodes to."""

    start: int
    end: int
    pieces: tuple[Piece, ...]

    @property
    def text(self) -> bytes:
        return b"".join(piece.text for piece in self.pieces)


@dataclass(frozen=True)
class Cell:
    """A code or raw or Markdown cell: its number among all cells (from 1) and its source tokens."""

    number: int
    cell_type: str
    tokens: tuple[Token, ...]
    as_list: bool

    @cached_property
    def text(self) -> bytes:
        return b"".join(token.text for token in self.tokens)


@dataclass(frozen=True)
class NotebookText:
    """What the codemod needs of a notebook file."""

    cells: tuple[Cell, ...]
    language: str
    separator: bytes
    """What stands between two lines of a source list: a comma and the style's white space."""
    ascii_only: bool
    paired_with: str = ""
    """What Jupytext keeps in step with this notebook, such as `ipynb,py:percent`."""

    @property
    def code_cells(self) -> list[Cell]:
        return [cell for cell in self.cells if cell.cell_type == "code"]


def read_notebook(source: bytes) -> NotebookText:
    """The cells of a notebook file, in file order, with byte spans. Understands nbformat 3 and 4.

    Raises:
        NotANotebook: with the byte offset of the trouble.
    """
    reader = _Reader(source)
    try:
        reader.read()
    except (ValueError, IndexError, RecursionError) as trouble:
        raise NotANotebook(f"not valid JSON near byte {reader.at}: {trouble}") from trouble
    if not reader.saw_cells:
        raise NotANotebook("the JSON has no list of cells")
    return NotebookText(
        cells=tuple(reader.cells),
        language=reader.language,
        separator=_separator(source, reader.cells),
        ascii_only=source.isascii(),
        paired_with=reader.paired_with,
    )


class _Reader:
    """A recursive descent over the file as latin-1 text, where character and byte offsets agree."""

    def __init__(self, source: bytes) -> None:
        self.source = source
        self.text = source.decode("latin-1")
        self.at = 3 if source.startswith(b"\xef\xbb\xbf") else 0
        self.cells: list[Cell] = []
        self.language = ""
        self.paired_with = ""
        self.saw_cells = False

    def read(self) -> None:
        self.source.decode("utf-8")
        self._notebook_object()
        self._space()
        if self.at != len(self.text):
            raise ValueError("text after the end of the notebook")

    def _notebook_object(self) -> None:
        for key in self._members():
            if key == "cells":
                self.saw_cells = True
                for _ in self._elements():
                    self._cell()
            elif key == "worksheets":
                for _ in self._elements():
                    self._notebook_object()
            elif key == "metadata":
                metadata = self._value()
                self.language = _language(metadata) or self.language
                self.paired_with = _pairing(metadata) or self.paired_with
            else:
                self._value()

    def _cell(self) -> None:
        cell_type, tokens, as_list = "", tuple[Token, ...](), False
        for key in self._members():
            if key in ("source", "input"):
                as_list = self._peek() == "["
                tokens = self._source_tokens(as_list)
            elif key == "cell_type":
                cell_type = str(self._value())
            else:
                self._value()
        self.cells.append(Cell(len(self.cells) + 1, cell_type, tokens, as_list))

    def _source_tokens(self, as_list: bool) -> tuple[Token, ...]:
        if not as_list:
            return (self._string_token(),)
        return tuple(self._string_token() for _ in self._elements())

    def _string_token(self) -> Token:
        self._space()
        start = self.at
        self._string()
        return Token(start, self.at, tuple(_pieces(self.source, start + 1, self.at - 1)))

    def _members(self) -> Iterator[str]:
        """Walks an object: yields each key with the reader standing before its value."""
        self._expect("{")
        if self._peek() == "}":
            self.at += 1
            return
        while True:
            self._space()
            key = self._string()
            self._expect(":")
            yield key
            if self._next_or_close("}"):
                return

    def _elements(self) -> Iterator[None]:
        """Walks an array: yields with the reader standing before each element."""
        self._expect("[")
        if self._peek() == "]":
            self.at += 1
            return
        while True:
            yield None
            if self._next_or_close("]"):
                return

    def _next_or_close(self, closing: str) -> bool:
        mark = self._peek()
        if mark not in (",", closing):
            raise ValueError(f"expected ',' or '{closing}', got {mark!r}")
        self.at += 1
        return mark == closing

    def _string(self) -> str:
        if self.text[self.at] != '"':
            raise ValueError(f"expected a string, got {self.text[self.at]!r}")
        value, self.at = _SKIP.raw_decode(self.text, self.at)
        return str(value)

    def _value(self) -> object:
        self._space()
        value, self.at = _SKIP.raw_decode(self.text, self.at)
        return value

    def _expect(self, mark: str) -> None:
        if self._peek() != mark:
            raise ValueError(f"expected {mark!r}, got {self.text[self.at]!r}")
        self.at += 1

    def _peek(self) -> str:
        self._space()
        return self.text[self.at]

    def _space(self) -> None:
        match = _SPACE.match(self.text, self.at)
        self.at = match.end() if match else self.at


def _pieces(source: bytes, start: int, end: int) -> Iterator[Piece]:
    """The inside of a JSON string: plain runs map byte for byte, each escape is one unit."""
    at = start
    for match in _ESCAPE.finditer(source, start, end):
        if match.start() > at:
            yield Piece(source[at : match.start()], at, match.start())
        decoded: str = json.loads(b'"' + match.group() + b'"')
        yield Piece(decoded.encode("utf-8", "replace"), match.start(), match.end(), exact=False)
        at = match.end()
    if at < end:
        yield Piece(source[at:end], at, end)


def _separator(source: bytes, cells: list[Cell]) -> bytes:
    """Taken from the file where two lines stand in one list; otherwise what `json.dumps` would put."""
    for cell in cells:
        for before, after in pairwise(cell.tokens):
            return source[before.end : after.start]
    for cell in cells:
        if cell.as_list and cell.tokens:
            first = cell.tokens[0].start
            bracket = source.rindex(b"[", 0, first)
            space = source[bracket + 1 : first]
            return b"," + (space if b"\n" in space else b" ")
    return b", "


def _pairing(metadata: object) -> str:
    """Jupytext's `formats`, when there is more than the notebook itself."""
    jupytext = metadata.get("jupytext") if isinstance(metadata, dict) else None
    formats = jupytext.get("formats") if isinstance(jupytext, dict) else None
    return formats if isinstance(formats, str) and "," in formats else ""


def _language(metadata: object) -> str:
    """The kernel's language: `language_info.name`, else `kernelspec.language`, else the empty string."""
    if not isinstance(metadata, dict):
        return ""
    for section, field in (("language_info", "name"), ("kernelspec", "language")):
        inner = metadata.get(section)
        if isinstance(inner, dict) and isinstance(inner.get(field), str):
            return str(inner[field]).lower()
    return ""
