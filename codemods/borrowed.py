"""Which files lend TRL to others: ``import trl`` in one, ``from pkg.a import trl`` or ``pkg.a.trl`` in another.

The import of a lender has to stay although its own uses move. Reads the tree's Python files once more, and only when
a file that may change binds a module of TRL at its top level. Decides nothing about the text of either file.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from codemods.catalog import CLASSES, FORWARD
from codemods.findings import Finding
from codemods.module_graph import Graph, Module, module_names

_BINDS = re.compile(
    rb"(?m)^[ \t]*(?:import[ \t][^\r\n]*\btrl\b|from[ \t]+trl(?:\.trainer|\.experimental)?[ \t]+import\b)"
)


@dataclass(frozen=True)
class Loans:
    """Names that must stay bound, by the path of the lender, and what else there is to say."""

    names: Mapping[str, frozenset[str]]
    findings: tuple[Finding, ...] = ()


def find_loans(root: Path, sources: Mapping[str, bytes], paths: frozenset[str]) -> Loans:
    """Look for readers of the modules that ``sources`` (the files that may change) bind at their top level."""
    lenders = {path: source for path, source in sources.items() if path.endswith(".py") and _BINDS.search(source)}
    lent = {path: _lent(module) for path, module in Graph(lenders, paths).modules.items()}
    homes = {
        f"{home}.{name}": (path, name)
        for path, names in lent.items()
        for name in names
        for home in module_names(path, paths)
    }
    if not homes:
        return Loans({})
    readers = Graph(dict(_readers(root, paths, {name for names in lent.values() for name in names})), paths)
    names: dict[str, set[str]] = {}
    findings: list[Finding] = []
    for path, module in readers.modules.items():
        for dotted, node in _reads(module, homes):
            home, name = homes[dotted]
            if home != path:
                names.setdefault(home, set()).add(name)
                findings += _told(path, node, home)
    return Loans({path: frozenset(found) for path, found in names.items()}, tuple(findings))


def _told(path: str, node: ast.AST, home: str) -> Iterator[Finding]:
    """What to look at where a reader gets a class through the lender: neither rule nor move reaches it."""
    if isinstance(node, ast.Constant) and not CLASSES.isdisjoint(str(node.value).split(".")):
        message = f"This string reaches ORPO through the TRL that {home} imports; {home} has it from orpo_compat now."
        advice = "If it is looked up at run time, name orpo_compat's class instead."
        yield Finding("OC103", path, node.lineno, node.col_offset + 1, message, advice)
    elif isinstance(node, ast.Attribute) and node.attr in CLASSES:
        message = f"{node.attr} is read from the TRL that {home} imports, and stays."
        yield Finding("OC106", path, node.lineno, node.col_offset + 1, message, f"Import {node.attr} from orpo_compat.")


def _lent(module: Module) -> set[str]:
    """Names that the module's own top level binds to TRL, or to a module of it."""
    return {one.name for one in module.imports if one.top_level and one.dotted in FORWARD.packages}


def _readers(root: Path, paths: frozenset[str], names: set[str]) -> Iterator[tuple[str, bytes]]:
    """Python files that say one of the names at all."""
    wanted = re.compile(rb"(?<!\w)(?:" + b"|".join(re.escape(name.encode()) for name in sorted(names)) + rb")(?!\w)")
    for path in sorted(paths):
        if path.endswith((".py", ".pyi")):
            try:
                content = (root / path).read_bytes()
            except OSError:
                continue
            if wanted.search(content):
                yield path, content


def _reads(module: Module, homes: Mapping[str, object]) -> Iterator[tuple[str, ast.AST]]:
    """Dotted names of ``homes`` that the module imports, reads as attributes, or names in strings."""
    bound = {one.name: one.dotted for one in module.imports}
    for one in module.imports:
        if one.dotted in homes:
            yield one.dotted, module.tree
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute):
            dotted = _dotted(node.value if node.attr in CLASSES else node, bound)
            if dotted in homes:
                yield dotted, node
        elif isinstance(node, ast.Name) and node.id not in bound:
            yield from ((f"{star}.{node.id}", node) for star in module.stars if f"{star}.{node.id}" in homes)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < 200:
            parts = node.value.split(".")
            for end in range(2, len(parts) + 1):
                if (dotted := ".".join(parts[:end])) in homes:
                    yield dotted, node


def _dotted(node: ast.expr, bound: Mapping[str, str]) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    root = bound.get(node.id, "") if isinstance(node, ast.Name) else ""
    return ".".join([root, *reversed(parts)])
