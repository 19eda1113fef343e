"""setup.py and noxfile-like scripts: literal lists of requirement strings.

Only strings written out in a list, tuple or set are entries; lists that are computed are not guessed at.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from codemods.manifests.brackets import bracket_entry
from codemods.manifests.entry import Entry

_INSTALLS = frozenset({"install_requires", "extras_require", "tests_require", "setup_requires"})


def setup_py_entries(source: bytes) -> list[Entry]:
    """Entries of the literal requirement lists in a setup.py, in source order; none if it does not parse."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return []
    starts = [0] + [match.end() for match in re.finditer(rb"\r\n|\r|\n", source)]
    shift = 3 if source.startswith(b"\xef\xbb\xbf") else 0
    return [entry for label, node in _lists(tree) for entry in _entries(source, starts, shift, label, node)]


def _lists(tree: ast.Module) -> Iterator[tuple[str, ast.List | ast.Tuple | ast.Set]]:
    """Every list literal that the setup call takes requirements from, directly or through a name."""
    names = {name for call in ast.walk(tree) if isinstance(call, ast.Call) for name in _argument_names(call)}
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg in _INSTALLS:
            yield from _literals(str(node.arg), node.value)
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            target = node.targets[0].id
            if target in names or re.search(r"(?i)requir|depend|_deps$|^deps$|extras", target):
                yield from _literals(target, node.value)


def _argument_names(call: ast.Call) -> list[str]:
    given = [keyword.value for keyword in call.keywords if keyword.arg in _INSTALLS]
    return [value.id for value in given if isinstance(value, ast.Name)]


def _literals(label: str, value: ast.expr) -> Iterator[tuple[str, ast.List | ast.Tuple | ast.Set]]:
    if isinstance(value, (ast.List, ast.Tuple, ast.Set)):
        yield label, value
    elif isinstance(value, ast.Dict):
        for key, inner in zip(value.keys, value.values, strict=True):
            if isinstance(key, ast.Constant):
                yield from _literals(f"{label}[{key.value!r}]", inner)


def _entries(
    source: bytes, starts: list[int], shift: int, label: str, node: ast.List | ast.Tuple | ast.Set
) -> Iterator[Entry]:
    spans = [_span(starts, shift, element) for element in node.elts]
    for index, element in enumerate(node.elts):
        start, end = spans[index]
        one_token = (
            source[start : start + 1] in (b'"', b"'") and source[start:end].count(source[start : start + 1]) == 2
        )
        if isinstance(element, ast.Constant) and isinstance(element.value, str) and one_token:
            yield bracket_entry(source, spans, index, label)


def _span(starts: list[int], shift: int, node: ast.expr) -> tuple[int, int]:
    """Byte span of a node; a byte order mark is no part of the first line's columns."""
    first, last = (shift if line == 1 else 0 for line in (node.lineno, node.end_lineno))
    end_line, end_column = node.end_lineno or node.lineno, node.end_col_offset or 0
    return starts[node.lineno - 1] + node.col_offset + first, starts[end_line - 1] + end_column + last
