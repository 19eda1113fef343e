"""What a switch does to the identity of the classes between files (OC122).

A module that re-exports ``ORPOTrainer`` gives its importers ours from then on; an ``isinstance`` against ours is false
for what a file that stays with TRL builds. Both show only when the files are looked at together, before and after.
Only files that name ORPO are: who imports the class under another name is not followed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from codemods.findings import Finding, Severity
from codemods.module_graph import Graph, Import, Module, Origin

CODE = "OC122"


@dataclass(frozen=True, slots=True)
class _Place:
    path: str
    line: int


def cross_file_findings(
    sources: Mapping[str, bytes], results: Mapping[str, bytes], paths: Iterable[str]
) -> list[Finding]:
    """Look at a tree's Python files before and after.

    Args:
        sources: the files that name ORPO, as they are, by path.
        results: those of them that change, as they will be.
        paths: every path of the tree, to tell packages from folders.
    """
    python = {path: source for path, source in sources.items() if path.endswith((".py", ".pyi"))}
    if not results or len(python) < 2:
        return []
    known = frozenset(paths)
    before = Graph(python, known)
    after = Graph({path: results.get(path, source) for path, source in python.items()}, known)
    found = [*_handed_on(before, after), *_tests(before, after)]
    return sorted(one for one in found if not _silenced(python[one.path], one.line))


def _silenced(source: bytes, line: int) -> bool:
    text = source.splitlines()[line - 1]
    return b"orpo-compat: ignore" in text and (b"ignore[" not in text or CODE.encode() in text)


def _handed_on(before: Graph, after: Graph) -> Iterator[Finding]:
    """Imports from modules of the tree whose class is another one from now on."""
    for path, module in before.modules.items():
        said: set[int] = set()
        for one in module.imports:
            switched = before.origin(one.dotted) is Origin.TRL and _is_indirect(one)
            if switched and path in after.modules and after.origin(one.dotted) is Origin.OURS and one.line not in said:
                said.add(one.line)
                home = one.dotted.rpartition(".")[0]
                message = f"{one.name} comes by way of {home}, and is orpo_compat's from now on."
                yield Finding(
                    CODE, path, one.line, 1, message, "Nothing to do unless TRL's own is meant.", Severity.INFO
                )


def _is_indirect(one: Import) -> bool:
    return one.dotted.partition(".")[0] not in ("trl", "orpo_compat")


def _tests(before: Graph, after: Graph) -> Iterator[Finding]:
    """Type tests against one of the two classes while another file still takes the other."""
    takers = {origin: list(_takers(after, origin)) for origin in Origin}
    if not all(takers.values()):
        return
    for path, module in before.modules.items():
        later = after.modules.get(path)
        if later is None:
            continue
        for now, then in zip(_tested(module), _tested(later), strict=False):
            origin = after.meaning(later, then)
            if origin is None:
                continue
            other = Origin.TRL if origin is Origin.OURS else Origin.OURS
            taker = next((one for one in takers[other] if one.path != path), None)
            if taker is not None:
                yield _mixed(_Place(path, now.lineno), origin, other, taker)


def _mixed(place: _Place, origin: Origin, other: Origin, taker: _Place) -> Finding:
    message = (
        f"The test is for {origin.value}'s class, and {taker.path}:{taker.line} takes {other.value}'s: never equal."
    )
    advice = "Move both files or neither; what kept one from moving is in its own findings."
    return Finding(CODE, place.path, place.line, 1, message, advice)


def _takers(graph: Graph, origin: Origin) -> Iterator[_Place]:
    """Where a class of that origin is imported or read, the last rungs of ladders left out."""
    for path, module in graph.modules.items():
        for one in module.imports:
            if not one.fallback and graph.origin(one.dotted) is origin:
                yield _Place(path, one.line)
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Attribute) and graph.meaning(module, node) is origin:
                yield _Place(path, node.lineno)


def _tested(module: Module) -> Iterator[ast.expr]:
    """The classes that objects are tested against, in source order."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) == 2:
            if node.func.id in ("isinstance", "issubclass"):
                second = node.args[1]
                yield from second.elts if isinstance(second, ast.Tuple) else [second]
        elif isinstance(node, ast.Compare) and isinstance(node.ops[0], (ast.Is, ast.IsNot, ast.Eq, ast.NotEq)):
            yield from (node.left, *node.comparators)
