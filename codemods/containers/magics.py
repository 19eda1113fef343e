"""Which lines of a notebook cell are not Python, and whether the rest is.

IPython's own lines (`%matplotlib inline`, `!pip install trl`, `files = !ls`, `?name`) are found where
Python cannot read them, so a `%` that continues an expression is left alone. A cell magic decides over
the whole cell: a few of them run Python in the notebook's own scope, all others are foreign text.
"""

from __future__ import annotations

import ast
import re
import warnings
from dataclasses import dataclass

from codemods.spelling import spelt_out

PYTHON_CELL_MAGICS = frozenset({"capture", "time", "timeit", "prun", "debug", "memit", "mprun", "lprun"})
"""Cell magics whose body is Python that runs in the notebook's own namespace."""

_CELL_MAGIC = re.compile(rb"\s*%%[ \t]*([A-Za-z_][\w.]*)?")
_MAGIC_LINE = re.compile(rb"[ \t]*(?:[%!?/,;]|[^\n]*\?\??[ \t]*(?:#.*)?$)")
_MAGIC_VALUE = re.compile(rb"[ \t]*[A-Za-z_][^=!%\n]*=[ \t]*([!%])")

_GAP = re.compile(rb"\.\.\.[ \t]*<|>[ \t]*\.\.\.")
_PATIENCE = 200
"""So many magic lines are told one by one; a text with more is no cell that a person wrote."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a cell is: spans of its text that are IPython's own, or why it cannot be read as Python."""

    masked: tuple[tuple[int, int], ...] = ()
    foreign: str = ""
    """The cell magic that owns the cell, such as `%%bash`; empty for a Python cell."""
    broken: str = ""
    """Python's complaint about the cell, when no line of IPython's explains it."""


def concerns_orpo(text: bytes) -> bool:
    """Whether a text says anything that a rule could act on; most do not, and need no parser."""
    plain = spelt_out(text)
    return b"trl" in plain or b"orpo" in plain.lower()


def read_cell(text: bytes) -> Reading:
    """Tells Python from magic in one cell."""
    masked: list[tuple[int, int]] = []
    magic = _CELL_MAGIC.match(text)
    if magic:
        name = (magic.group(1) or b"").decode("ascii", "replace")
        if name not in PYTHON_CELL_MAGICS:
            return Reading(foreign=f"%%{name}")
        start = text.index(b"%%")
        masked.append((start, start + len(_first_line(text[start:]))))
    return _mask_until_python(text, masked)


def _first_line(text: bytes) -> bytes:
    lines = text.splitlines()
    return lines[0] if lines else b""


def placeholder(text: bytes, names: frozenset[bytes] = frozenset()) -> bytes:
    """A Python statement as long as `text` that does nothing, or names what `text` may use of Python.

    A magic line that speaks of a name in `names` keeps that name alive for whoever counts its uses.
    """
    stand_in = next((name for name in sorted(names) if _uses(text, name)), b"0")
    rest = text[len(stand_in) :]
    return stand_in + re.sub(rb"[^\r\n]", b"#", rest)


def apply_mask(text: bytes, masked: tuple[tuple[int, int], ...], names: frozenset[bytes] = frozenset()) -> bytes:
    """`text` with every masked span replaced by a placeholder of the same length and the same line ends."""
    result = bytearray(text)
    for start, end in masked:
        result[start:end] = placeholder(text[start:end], names)
    return bytes(result)


def _uses(text: bytes, name: bytes) -> bool:
    """Whether a magic line evaluates `name`; a shell line does so only inside braces or behind a dollar."""
    shell = re.match(rb"!|%(?:pip|conda|mamba|uv|sx|system)\b|%%", text)
    before = rb"[{$][ \t]*" if shell else rb"(?<![\w.])"
    return re.search(before + re.escape(name) + rb"(?!\w)", text) is not None


def _mask_until_python(text: bytes, masked: list[tuple[int, int]]) -> Reading:
    """Masks the line Python stumbles over, as long as that line can be IPython's."""
    spans = _line_spans(text)
    for _ in range(min(len(spans) + 1, _PATIENCE)):
        trouble = _syntax_trouble(apply_mask(text, tuple(masked)))
        if trouble is None:
            return Reading(masked=tuple(sorted(masked)))
        line, complaint = trouble
        grown = _mask_line(text, spans, line, masked) if line < len(spans) else []
        if not grown:
            grown = _mask_all(text, spans, masked)
        if not grown:
            newer = _reads_as_newer_python(apply_mask(text, tuple(masked)))
            return Reading(masked=tuple(sorted(masked))) if newer else Reading(broken=complaint)
        masked += grown
    return Reading(broken="IPython lines that Python cannot be told from")


def _reads_as_newer_python(text: bytes) -> bool:
    """Whether libcst, which knows more syntax than an old interpreter's `ast`, can read the text."""
    if not concerns_orpo(text) or _GAP.search(text):
        return False
    import libcst  # costs 0.1 s: only for cells that may matter

    try:
        libcst.parse_module(text)
    except (libcst.ParserSyntaxError, ValueError, RecursionError):
        return False
    return True


def _syntax_trouble(text: bytes) -> tuple[int, str] | None:
    """The 0-based line and the words of Python's complaint, or None for readable Python."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except SyntaxError as trouble:
        return (trouble.lineno or 1) - 1, trouble.msg
    except (ValueError, RecursionError, MemoryError) as trouble:
        return 0, str(trouble)
    return _placeholder_line(tree) if b"..." in text else None


def _placeholder_line(tree: ast.Module) -> tuple[int, str] | None:
    """`...<insert here>...` can parse, as a comparison that no Ellipsis ever supports: a gap left for the reader."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and any(isinstance(one, (ast.Lt, ast.Gt)) for one in node.ops):
            sides = [node.left, *node.comparators]
            if any(isinstance(side, ast.Constant) and side.value is ... for side in sides):
                return node.lineno - 1, "a placeholder stands where code should"
    return None


def _line_spans(text: bytes) -> list[tuple[int, int]]:
    spans, at = [], 0
    for line in text.splitlines(keepends=True):
        spans.append((at, at + len(line.rstrip(b"\r\n"))))
        at += len(line)
    return spans


def _mask_line(
    text: bytes, spans: list[tuple[int, int]], line: int, masked: list[tuple[int, int]]
) -> list[tuple[int, int]]:
    """The span of one IPython line with its backslash continuations; none when the line is not one."""
    start, end = spans[line]
    body = text[start:end]
    value = _MAGIC_VALUE.match(body)
    if value:
        start += value.start(1)
    elif _MAGIC_LINE.match(body):
        start += len(body) - len(body.lstrip())
    else:
        return []
    while text[start:end].endswith(b"\\") and line + 1 < len(spans):
        line += 1
        end = spans[line][1]
    return [] if any(start < taken_end and taken_start < end for taken_start, taken_end in masked) else [(start, end)]


def _mask_all(text: bytes, spans: list[tuple[int, int]], masked: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Every line that begins as IPython's do; for complaints that point at the wrong line."""
    grown: list[tuple[int, int]] = []
    for line, (start, end) in enumerate(spans):
        if re.match(rb"[ \t]*[%!?]", text[start:end]):
            grown += _mask_line(text, spans, line, [*masked, *grown])
    return grown
