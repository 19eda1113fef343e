"""Code in reStructuredText: code directives for Python, and doctest sessions anywhere in the text.

Literal blocks behind a bare `::` say no language and are left to the reports.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from codemods.containers.blocks import Block, indented_line, physical_lines, prompt_blocks
from codemods.containers.fences import LANGUAGES, Page

_DIRECTIVE = re.compile(
    rb"(?P<indent>[ \t]*)\.\.[ \t]+(?P<name>code-block|code|sourcecode|code-cell|testcode|testsetup|doctest"
    rb"|jupyter-execute|ipython|plot|exec_code)::[ \t]*(?P<argument>[^\r\n]*)"
)
_SPEAKS_PYTHON = frozenset({"testcode", "testsetup", "doctest", "jupyter-execute", "plot", "exec_code", "ipython"})
_OPTION = re.compile(rb"[ \t]*:[\w-]+:")


def read_rst(source: bytes) -> Page:
    """The blocks of Python in a reStructuredText file, in order."""
    spans = physical_lines(source)
    blocks: list[Block] = []
    outside: list[tuple[int, int]] = []
    index = 0
    while index < len(spans):
        directive = _DIRECTIVE.match(source, *spans[index])
        if directive is None:
            outside.append(spans[index])
            index += 1
            continue
        end = _end_of_block(source, spans, index, len(directive["indent"].expandtabs(8)))
        if _is_python(directive):
            blocks += _directive_block(source, spans[index + 1 : end])
        outside.append((spans[index][0], spans[index][0]))
        index = end
    blocks += prompt_blocks(source, outside)
    return Page(tuple(sorted(blocks, key=lambda block: block.lines[0].start)))


def _is_python(directive: re.Match[bytes]) -> bool:
    name = directive["name"].decode()
    words = directive["argument"].decode("utf-8", "replace").lower().split()
    return name in _SPEAKS_PYTHON or (bool(words) and words[0] in LANGUAGES)


def _end_of_block(source: bytes, spans: Sequence[tuple[int, int]], index: int, width: int) -> int:
    """One past the last line that stands deeper than the directive."""
    for later in range(index + 1, len(spans)):
        line = source[slice(*spans[later])]
        if line.strip() and _width(line) <= width:
            return later
    return len(spans)


def _width(line: bytes) -> int:
    blank = line[: len(line) - len(line.lstrip())]
    return len(blank.expandtabs(8))


def _directive_block(source: bytes, spans: Sequence[tuple[int, int]]) -> list[Block]:
    """The content under a directive: options skipped, blank margins cut, common indentation taken off."""
    kept = list(spans)
    while kept and _OPTION.match(source, *kept[0]):
        kept = kept[1:]
    while kept and not source[slice(*kept[0])].strip():
        kept = kept[1:]
    while kept and not source[slice(*kept[-1])].strip():
        kept = kept[:-1]
    if not kept:
        return []
    texts = [source[slice(*span)] for span in kept]
    if any(text.lstrip().startswith(b">>> ") for text in texts):
        return prompt_blocks(source, kept)
    margin = min(_width(text) for text in texts if text.strip())
    return [Block(tuple(indented_line(source, start, end, margin, tab=8) for start, end in kept))]
