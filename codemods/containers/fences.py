"""Code fences of Markdown, MDX, Quarto and R Markdown, MyST and notebook pages written as Markdown.

Finds fenced blocks wherever they stand: at the margin, indented in a list, quoted, between HTML tags. It
does not parse Markdown beyond that; what stands outside fences is prose to it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from codemods.containers.blocks import Block, CodeLine, indented_line, physical_lines, prompt_blocks

_LANGUAGES_WORDS = "python python2 python3 py py3 ipython ipython3 pycon py3con pyodide python-repl python-console"
LANGUAGES = frozenset(_LANGUAGES_WORDS.split())
_DIRECTIVES = frozenset({"code-cell", "code-block", "code", "sourcecode", "exec", "jupyter-execute", "marimo"})
_OPEN = re.compile(
    rb"(?P<indent>[ \t]*(?:(?:>|[-*+]|\d+[.)])[ \t]+|>)*[ \t]*)(?P<fence>`{3,}|~{3,})[ \t]*(?P<info>[^\r\n]*)"
)
_OPTION = re.compile(rb"[ \t]*:[\w-]+:")


@dataclass(frozen=True)
class Page:
    """A document's Python blocks, and the fenced spans that are something else."""

    blocks: tuple[Block, ...]


def read_markdown(source: bytes) -> Page:
    """The blocks of Python in a Markdown file, in order."""
    spans = physical_lines(source)
    blocks: list[Block] = []
    outside: list[tuple[int, int]] = []
    index = 0
    while index < len(spans):
        opening = _OPEN.match(source, *spans[index])
        if opening is None or (opening["fence"][:1] == b"`" and b"`" in opening["info"]):
            outside.append(spans[index])
            index += 1
            continue
        close = _closing(source, spans, index, opening)
        blocks += _fenced(source, spans[index + 1 : close], opening)
        outside.append((spans[index][0], spans[index][0]))
        index = close + 1
    blocks += prompt_blocks(source, outside)
    return Page(tuple(sorted(blocks, key=lambda block: block.lines[0].start)))


def is_python(info: str) -> bool | None:
    """Whether a fence's info string says Python; None when it says nothing at all."""
    words: list[str] = re.findall(r"[A-Za-z][\w-]*", info)[:2]
    if not words:
        return None
    names = [word.lower() for word in words]
    if names[0] in _DIRECTIVES:
        return len(names) > 1 and names[1] in LANGUAGES
    return names[0] in LANGUAGES


def _closing(source: bytes, spans: Sequence[tuple[int, int]], index: int, opening: re.Match[bytes]) -> int:
    """The index of the closing line, or one past the end for a fence that is never closed."""
    mark = re.escape(opening["fence"][:1])
    size = len(opening["fence"])
    closing = re.compile(rb"[ \t>]*" + mark + rb"{%d,}[ \t]*(?:[\r\n]|$)" % size)
    for later in range(index + 1, len(spans)):
        if closing.match(source, *spans[later]):
            return later
    return len(spans)


def _fenced(source: bytes, spans: Sequence[tuple[int, int]], opening: re.Match[bytes]) -> list[Block]:
    python = is_python(opening["info"].decode("utf-8", "replace"))
    if python is False or not spans:
        return []
    lines = tuple(_unindented(source, start, end, opening["indent"]) for start, end in spans)
    texts = [source[line.body : line.end] for line in lines]
    if any(text.lstrip().startswith(b">>> ") for text in texts):
        return prompt_blocks(source, spans)
    while lines and _OPTION.match(source, lines[0].body, lines[0].end):
        lines = lines[1:]
    if not lines:
        return []
    block = Block(lines)
    return [block]


def _unindented(source: bytes, start: int, end: int, indent: bytes) -> CodeLine:
    """Takes the fence's own indentation and quote marks off a line, as far as the line has them."""
    quotes = indent.count(b">")
    if quotes:
        match = re.compile(rb"(?:[ \t]*>){%d}[ \t]?" % quotes).match(source, start, end)
        return CodeLine(start, match.end() if match else start, end)
    return indented_line(source, start, end, len(indent.expandtabs(4)), tab=4)
