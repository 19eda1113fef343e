"""Which ORPO names a file takes, from which module, and on which TRL releases its imports work today.

For ``orpo-compat scan``: reads imports and attribute chains with ``ast`` alone, cheap enough for a whole tree. It
describes what is written; what a migration would do about it is the plan's business.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from codemods.catalog import CLASSES, LIFETIMES, ORPO_MODULES, OURS, SOURCES
from codemods.python_tree import python_tree

_OFFERED = {**SOURCES, OURS: CLASSES}


@dataclass(frozen=True, order=True, slots=True)
class Usage:
    """One ORPO name in one file: ``module.name`` (``*`` for a star import), where, and on which releases it works."""

    path: str
    line: int
    module: str
    name: str
    works_on: str
    guarded: bool = False
    """Inside a ``try`` or an ``if``: another branch may serve the releases that this one does not."""


def _lifetime(module: str) -> str:
    return "orpo-compat" if module.partition(".")[0] == OURS else LIFETIMES[module]


def _from_import(node: ast.ImportFrom) -> Iterator[tuple[int, str, str]]:
    module = node.module or ""
    if node.level:
        return
    for alias in node.names:
        is_star = alias.name == "*" and module in ORPO_MODULES
        if is_star or alias.name in _OFFERED.get(module, ()):
            yield node.lineno, module, alias.name
        elif f"{module}.{alias.name}" in ORPO_MODULES:
            yield node.lineno, f"{module}.{alias.name}", "(module)"


def _bindings(tree: ast.AST) -> dict[str, str]:
    """Names bound to TRL modules anywhere in the file; scopes do not matter for an inventory."""
    bound: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                package = alias.name.partition(".")[0]
                if package in ("trl", OURS):
                    bound[alias.asname or package] = alias.name if alias.asname else package
        elif isinstance(node, ast.ImportFrom) and not node.level and (node.module or "").partition(".")[0] == "trl":
            for alias in node.names:
                bound[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return bound


def _dotted(node: ast.expr) -> str | None:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else None


def _attributes(tree: ast.AST, bound: dict[str, str]) -> Iterator[tuple[int, str, str]]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute) or (dotted := _dotted(node)) is None:
            continue
        head, _, rest = dotted.partition(".")
        if head not in bound:
            continue
        module, _, name = f"{bound[head]}.{rest}".rpartition(".")
        if name in _OFFERED.get(module, ()):
            yield node.lineno, module, name


def python_of(path: str, source: bytes) -> tuple[bytes, list[int]]:
    """The Python text of a file, and the file's line for each of its lines (empty: the same)."""
    if not path.endswith(".ipynb"):
        return source, []
    from codemods.containers.notebook_json import NotANotebook, read_notebook

    try:
        cells = read_notebook(source).code_cells
    except NotANotebook:
        return b"", []
    lines, places = [], []
    for cell in cells:
        text = cell.text.split(b"\n")
        starts = [token.start for token in cell.tokens] or [0]
        lines += [b"pass" if line.lstrip()[:1] in (b"%", b"!", b"?") else line for line in text]
        places += [source.count(b"\n", 0, starts[min(number, len(starts) - 1)]) + 1 for number in range(len(text))]
    return b"\n".join(lines), places


def usages(path: str, source: bytes) -> list[Usage]:
    """Every use in one Python text or notebook, by line; empty when it does not parse."""
    text, places = python_of(path, source)
    tree = python_tree(text)
    if tree is None:
        return []
    found = [use for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for use in _from_import(node)]
    found += _attributes(tree, _bindings(tree))
    numbers = places or range(1, text.count(b"\n") + text.count(b"\r") + 2)
    branches = _branches(tree)
    return sorted(
        {
            Usage(path, numbers[line - 1], module, name, _lifetime(module), any(line in span for span in branches))
            for line, module, name in found
        }
    )


def _branches(tree: ast.AST) -> list[range]:
    """The lines of every ``try`` and ``if``."""
    nodes = [node for node in ast.walk(tree) if isinstance(node, (ast.Try, ast.If))]
    return [range(node.lineno, (node.end_lineno or node.lineno) + 1) for node in nodes]


def works_today(uses: Iterable[Usage]) -> str:
    """On which TRL releases all of one file's ORPO imports work, taking guarded ones as alternatives."""
    uses = [use for use in uses if use.module.partition(".")[0] != OURS]
    needed = {"experimental" in use.module for use in uses if not use.guarded}
    offered = needed or {"experimental" in use.module for use in uses}
    if not offered:
        return "any TRL release, or none"
    if len(offered) == 1:
        return LIFETIMES["trl.experimental.orpo" if offered.pop() else "trl"]
    return "TRL 0.26 to 0.28" if needed else "TRL 0.8.2 and later"
