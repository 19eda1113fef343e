"""marimo apps: cells are functions on paper and one namespace in truth.

marimo runs the bodies of its cells in a shared namespace and writes their parameters and return values itself. The
same bytes are shown to the rules with every cell's header and final return blanked out, so that a module imported in
one cell and used in another is one name. Lengths and lines stay, so every edit fits the file as it is.
"""

from __future__ import annotations

import ast
import re

_APP = re.compile(rb"\bmarimo\.App\(|\bApp\(")
_HEADER = b"if 1:"


def flattened(source: bytes) -> bytes | None:
    """The app with its cells at module level, byte for byte as long; None for anything but a marimo app."""
    if b"marimo" not in source or not _APP.search(source):
        return None
    try:
        source.decode("utf-8")
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return None
    lines = _Lines(source)
    flat = bytearray(source)
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and any(map(_makes_a_cell, node.decorator_list)):
            flat_enough = _flatten(flat, lines, node)
            if not flat_enough:
                return None
    return None if bytes(flat) == source else bytes(flat)


def _makes_a_cell(decorator: ast.expr) -> bool:
    target = decorator.func if isinstance(decorator, ast.Call) else decorator
    return isinstance(target, ast.Attribute) and target.attr == "cell"


class _Lines:
    """Offsets of Python's lines and UTF-8 columns."""

    def __init__(self, source: bytes) -> None:
        self._starts = [0, *(match.end() for match in re.finditer(rb"\r\n|\r|\n", source))]
        self._shift = 3 if source.startswith(b"\xef\xbb\xbf") else 0

    def offset(self, line: int, column: int = 0) -> int:
        return self._starts[line - 1] + column + (self._shift if line == 1 else 0)


def _flatten(flat: bytearray, lines: _Lines, cell: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Blanks one cell's decorators, header and final return; False where the body shares the header's line."""
    body = cell.body[0]
    decorators = getattr(body, "decorator_list", [])
    first_line = min([body.lineno, *(one.lineno for one in decorators)])
    if first_line <= cell.lineno:
        return False
    top = lines.offset(min(one.lineno for one in cell.decorator_list))
    header = lines.offset(cell.lineno, cell.col_offset)
    _blank(flat, top, header)
    _blank(flat, header, lines.offset(first_line), _HEADER)
    last = cell.body[-1]
    if isinstance(last, ast.Return) and last.end_lineno and last.end_col_offset is not None:
        start = lines.offset(last.lineno, last.col_offset)
        _blank(flat, start, lines.offset(last.end_lineno, last.end_col_offset), b"0")
    return True


def _blank(flat: bytearray, start: int, end: int, stand_in: bytes = b"") -> None:
    """Turns a span into a comment behind `stand_in`, line ends kept."""
    rest = re.sub(rb"[^\r\n]", b"#", bytes(flat[start + len(stand_in) : end]))
    flat[start:end] = stand_in + rest
