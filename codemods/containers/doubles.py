"""Doubles of TRL in ``sys.modules``, in Python files that say nothing of ORPO: a conftest for the whole suite.

Code that was moved imports orpo_compat and no longer meets the double. Files that do speak of ORPO are the rules'
(``codemods.rules.module_doubles``); this one only reports.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from codemods.containers.mentions import Places
from codemods.findings import Finding
from codemods.python_tree import python_tree

_MAY = re.compile(rb"modules\b")
_TRL = re.compile(r"trl(?:\.|$)")
_OURS = re.compile(r"orpo_compat(?:\.|$)")
_WRITERS = frozenset({"setitem", "delitem", "dict", "setdefault", "update", "__setitem__"})


def doubles(source: bytes) -> list[ast.expr]:
    """The expressions that put a double of trl, and none of orpo_compat, into ``sys.modules``."""
    if not _MAY.search(source) or b"trl" not in source:
        return []
    tree = python_tree(source)
    if tree is None:
        return []
    written = list(_written(tree))
    if any(_OURS.match(name) for name, _ in written):
        return []
    return [node for name, node in written if _TRL.match(name)]


def report_doubles(path: str, places: Places) -> list[Finding]:
    """A finding per double."""
    findings: dict[int, Finding] = {}
    for node in doubles(places.text):
        message = "A double stands in for trl in sys.modules; what now imports orpo_compat does not meet it."
        advice = "Let a double stand in for orpo_compat too, if the tests are to run without it."
        found = Finding("OC104", path, node.lineno, node.col_offset + 1, message, advice)
        findings.setdefault(node.lineno, found)
    return list(findings.values())


def _written(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """Names of modules that get an entry, with the expression that writes it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store) and _is_modules(node.value):
            yield from ((name, node) for name in _strings(node.slice))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _WRITERS:
            given = [*node.args, *(one.value for one in node.keywords)]
            if any(map(_is_modules, [node.func.value, *given])):
                yield from ((name, node) for one in given for name in _strings(one))
        elif isinstance(node, ast.For) and any(_writes_target(node, one) for one in ast.walk(node)):
            yield from ((name, node.iter) for name in _strings(node.iter))


def _writes_target(loop: ast.For, node: ast.AST) -> bool:
    """Whether the node is ``sys.modules[name] = ...`` for the loop's own name."""
    store = isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store) and _is_modules(node.value)
    names = {one.id for one in ast.walk(loop.target) if isinstance(one, ast.Name)}
    return store and isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Name) and node.slice.id in names


def _is_modules(node: ast.expr) -> bool:
    if isinstance(node, ast.Constant):
        return node.value == "sys.modules"
    return (isinstance(node, ast.Attribute) and node.attr == "modules") or (
        isinstance(node, ast.Name) and node.id == "modules"
    )


def _strings(node: ast.AST) -> Iterator[str]:
    """String constants in the expression: of a dictionary its keys, not its values."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.Dict):
        for key in node.keys:
            yield from _strings(key) if key is not None else ()
    elif isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        for one in node.elts:
            yield from _strings(one)
