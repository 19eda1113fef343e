"""Which module of a tree gets an ORPO class from where, through any number of re-exports.

Reads the files with ``ast`` and follows ``from .trainers import ORPOTrainer``, stars and packages' ``__init__`` to
TRL or to orpo_compat. Built once from the files as they are and once as they will be, it tells whose class a name is
before and after. It knows dotted names and paths, and no rule.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

from codemods.catalog import CLASSES, FORWARD, OURS
from codemods.python_tree import python_tree

_SOURCE_ROOTS = ("src", "lib", "python")
_MOST_STEPS = 12


class Origin(Enum):
    """Whose class a name stands for."""

    TRL = "TRL"
    OURS = OURS


@dataclass(frozen=True, slots=True)
class Import:
    """One name that an import binds: its dotted origin, its place, and whether it is the stand-in of an ``except``."""

    name: str
    dotted: str
    line: int
    top_level: bool
    fallback: bool


@dataclass(slots=True)
class Module:
    """One file: its tree, what its imports bind, and the modules whose stars it takes over."""

    path: str
    tree: ast.Module
    imports: list[Import] = field(default_factory=list)
    stars: list[str] = field(default_factory=list)
    own: set[str] = field(default_factory=set)
    """Names of its own classes and functions."""


def module_names(path: str, paths: frozenset[str]) -> Iterator[str]:
    """The dotted names a file can be imported by: from the tree's root, a source root, or above its package."""
    stem = path.rpartition(".")[0].removesuffix("/__init__")
    parts = stem.split("/")
    yield ".".join(parts)
    if parts[0] in _SOURCE_ROOTS and len(parts) > 1:
        yield ".".join(parts[1:])
    first = len(parts) - 1
    while first > 0 and f"{'/'.join(parts[:first])}/__init__.py" in paths:
        first -= 1
    if first:
        yield ".".join(parts[first:])


class Graph:
    """The modules of a tree by path and by name."""

    def __init__(self, sources: Mapping[str, bytes], paths: frozenset[str]) -> None:
        self.modules: dict[str, Module] = {}
        self._by_name: dict[str, Module] = {}
        for path, source in sorted(sources.items()):
            tree = python_tree(source)
            if tree is None:
                continue
            names = list(module_names(path, paths))
            module = Module(path, tree)
            _Reader(module, names[-1], path.endswith("__init__.py")).read(tree.body)
            self.modules[path] = module
            for name in names:
                self._by_name.setdefault(name, module)

    def origin(self, dotted: str, steps: int = _MOST_STEPS) -> Origin | None:
        """Whose class a dotted name is; None when it is no ORPO class or cannot be followed."""
        if FORWARD.moves(dotted):
            return Origin.TRL
        module, _, name = dotted.rpartition(".")
        if module == OURS and name in CLASSES:
            return Origin.OURS
        found = self._by_name.get(module) if steps and module else None
        return self._exported(found, name, steps - 1) if found is not None else None

    def _exported(self, module: Module, name: str, steps: int) -> Origin | None:
        if name in module.own:
            return None
        bound = [one for one in module.imports if one.name == name and one.top_level]
        for one in sorted(bound, key=lambda one: one.fallback):
            return self.origin(one.dotted, steps)
        origins = (self.origin(f"{star}.{name}", steps) for star in module.stars)
        return next((one for one in origins if one is not None), None)

    def meaning(self, module: Module, node: ast.expr) -> Origin | None:
        """Whose class an expression of a module is."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return None
        if not parts and (origin := self._exported(module, node.id, _MOST_STEPS)) is not None:
            return origin
        for one in module.imports:
            if one.name == node.id and node.id not in module.own:
                return self.origin(".".join([one.dotted, *reversed(parts)]))
        return None


@dataclass(slots=True)
class _Reader:
    """Collects the imports of one module."""

    module: Module
    name: str
    is_package: bool

    def read(self, body: list[ast.stmt], *, top_level: bool = True, fallback: bool = False) -> None:
        for node in body:
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                self._import(node, top_level, fallback)
            elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                self.module.own.update({node.name} if top_level else ())
                self.read(node.body, top_level=False)
            else:
                for name in ("body", "orelse", "finalbody"):
                    self.read(getattr(node, name, []), top_level=top_level, fallback=fallback)
                for handler in getattr(node, "handlers", []):
                    self.read(handler.body, top_level=top_level, fallback=True)

    def _import(self, node: ast.Import | ast.ImportFrom, top_level: bool, fallback: bool) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                dotted = alias.name if alias.asname else alias.name.partition(".")[0]
                self._add(alias.asname or dotted, dotted, node.lineno, top_level, fallback)
            return
        source = self._absolute(node)
        for alias in node.names:
            if alias.name == "*":
                self.module.stars.append(source)
            else:
                self._add(alias.asname or alias.name, f"{source}.{alias.name}", node.lineno, top_level, fallback)

    def _absolute(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        above = self.name.split(".")
        above = above[: len(above) - node.level + self.is_package]
        return ".".join([*above, *([node.module] if node.module else [])])

    def _add(self, name: str, dotted: str, line: int, top_level: bool, fallback: bool) -> None:
        self.module.imports.append(Import(name, dotted, line, top_level, fallback))
