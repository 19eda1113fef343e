"""Blocks of code inside a text file: their lines, prompts and indentation, and how to write lines back.

A block is a run of physical lines whose bodies are Python once a prefix (indentation, a quote mark, a
doctest prompt) is taken off. Scanners for each format find blocks; this module turns them into scopes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from codemods.containers.hosted import Scope
from codemods.containers.magics import Reading, concerns_orpo, placeholder, read_cell
from codemods.containers.virtual import Piece, UnmappableEdit, Virtual

_TRL_IMPORT = re.compile(rb"\b(?:import|from)[ \t]+(?:trl|orpo_compat)\b")
_PROMPT = re.compile(rb"(?P<prefix>[ \t>*]*?)(?P<prompt>>>>|\.\.\.)(?: |(?=[\r\n]|$))")


@dataclass(frozen=True, slots=True)
class CodeLine:
    """One physical line: `[start, body)` is the prefix, `[body, end)` the code with its line end."""

    start: int
    body: int
    end: int


@dataclass(frozen=True)
class Block:
    """Code lines that belong together; `prompts` says whether they stand behind `>>>` and `...`."""

    lines: tuple[CodeLine, ...]
    prompts: bool = False

    def text(self, source: bytes) -> bytes:
        """The Python of the block, each line closed by a line end."""
        text = b"".join(source[line.body : line.end] for line in self.lines)
        return text if text.endswith((b"\n", b"\r")) or not text else text + b"\n"


class BlockHost:
    """Implements `virtual.Host` for blocks of one file."""

    def __init__(self, source: bytes, owners: Sequence[tuple[Block, CodeLine]]) -> None:
        self._source = source
        self._owners = owners

    def encode(self, text: bytes) -> bytes:
        return text

    def drop(self, first: int, last: int) -> tuple[int, int, bytes]:
        (block, head), (other, tail) = self._owners[first], self._owners[last]
        if block is not other:
            raise UnmappableEdit("the edit spans two blocks of code")
        return head.start, tail.end, b""

    def add(self, line: int, lines: Sequence[bytes], *, below: bool) -> tuple[int, bytes]:
        block, owner = self._owners[line]
        written = b"".join(self._prefix(block, owner, text) + text for text in lines)
        if not below:
            return owner.start, written
        if self._source[owner.body : owner.end].endswith((b"\n", b"\r")):
            return owner.end, written
        bare = written.rstrip(b"\r\n")
        return owner.end, (written[len(bare) :] or b"\n") + bare

    def _prefix(self, block: Block, owner: CodeLine, text: bytes) -> bytes:
        prefix = self._source[owner.start : owner.body]
        if not block.prompts:
            return prefix
        continues = text[:1] in (b" ", b"\t", b")", b"]", b"}")
        at = max(prefix.rfind(b">>>"), prefix.rfind(b"..."))
        return prefix[:at] + (b"... " if continues else b">>> ")


def physical_lines(source: bytes, start: int = 0) -> list[tuple[int, int]]:
    """Spans of the lines from `start` on, line ends included."""
    spans, at = [], start
    for line in source[start:].splitlines(keepends=True):
        spans.append((at, at + len(line)))
        at += len(line)
    return spans


def indented_line(source: bytes, start: int, end: int, width: int, *, tab: int) -> CodeLine:
    """A line without its first `width` columns of white space, as far as it has them."""
    body = start
    while source[body : min(body + 1, end)] in (b" ", b"\t"):
        if len(source[start : body + 1].expandtabs(tab)) > width:
            break
        body += 1
    return CodeLine(start, body, end)


def prompt_blocks(source: bytes, spans: Iterable[tuple[int, int]]) -> list[Block]:
    """Interactive sessions among the given lines: every `>>>` line with the `...` lines under it."""
    blocks: list[Block] = []
    lines: list[CodeLine] = []
    example = False
    for start, end in spans:
        match = _PROMPT.match(source, start, end)
        opens = match is not None and match["prompt"] == b">>>"
        if match is not None and (opens or example):
            lines.append(CodeLine(start, match.end(), end))
            example = True
            continue
        example = False
        if lines and not source[start:end].strip(b" \t\r\n>"):
            blocks.append(Block(tuple(lines), prompts=True))
            lines = []
    if lines:
        blocks.append(Block(tuple(lines), prompts=True))
    return blocks


def scopes_of(source: bytes, blocks: Iterable[Block]) -> list[Scope]:
    """Groups readable blocks into namespaces: one starts at each block with an import of its own.

    A page is read from top to bottom, and a block without imports lives on those above it.
    """
    groups: list[list[tuple[Block, Reading]]] = []
    for block in blocks:
        text = block.text(source)
        if not concerns_orpo(text):
            continue
        reading = read_cell(text)
        if reading.foreign or reading.broken:
            continue
        if not groups or _TRL_IMPORT.search(text):
            groups.append([])
        groups[-1].append((block, reading))
    return [_scope(source, group) for group in groups]


def _scope(source: bytes, group: list[tuple[Block, Reading]]) -> Scope:
    pieces: list[Piece] = []
    owners: list[tuple[Block, CodeLine]] = []
    for block, reading in group:
        at, text = 0, block.text(source)
        for line in block.lines:
            body = source[line.body : line.end]
            pieces += _line_pieces(body, line.body, at, reading, text)
            owners.append((block, line))
            at += len(body)
        if not pieces[-1].text.endswith((b"\n", b"\r")):
            end = block.lines[-1].end
            pieces.append(Piece(b"\n", end, end, exact=False))
    return Scope(Virtual(tuple(pieces)), BlockHost(source, owners), _no_label)


def _line_pieces(body: bytes, start: int, at: int, reading: Reading, text: bytes) -> list[Piece]:
    """One line's bytes; the part that is a magic stands masked."""
    pieces: list[Piece] = []
    done = 0
    for low, high in reading.masked:
        first, last = max(low, at) - at, min(high, at + len(body)) - at
        if first >= last or first < done:
            continue
        stand_in = placeholder(text[low:high], frozenset({b"trl"}))[first + at - low : last + at - low]
        pieces += [
            Piece(body[done:first], start + done, start + first),
            Piece(stand_in, start + first, start + last, exact=False, masked=True),
        ]
        done = last
    pieces.append(Piece(body[done:], start + done, start + len(body)))
    return [piece for piece in pieces if piece.text]


_no_label: Callable[[int], str] = lambda position: ""  # noqa: E731
