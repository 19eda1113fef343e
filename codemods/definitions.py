"""What a class needs of the script it stands in, and nothing that trains, downloads or parses a command line.

Keeps the top-level statements that bind a name the class uses, and those that bind what these use, at their lines;
drops the rest. Names are resolved with ``symtable``, so that a local ``model`` of a method does not keep the script's.
"""

from __future__ import annotations

import ast
import symtable
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import decode_source


class NoSuchClass(Exception):
    """The file defines no class of that name at its top level."""


@dataclass(frozen=True, slots=True)
class _Statement:
    node: ast.stmt
    first: int
    last: int
    binds: frozenset[str]
    needs: frozenset[str]
    touches: frozenset[str]
    """Names whose attributes it sets: ``Mine.loss = other`` belongs to ``Mine``."""


def definitions_for(source: bytes, names: Sequence[str]) -> str:
    """The part of a module's text that defines ``names``.

    Raises:
        NoSuchClass: the module does not define one of them.
        SyntaxError: it does not parse.
    """
    text = decode_source(source)
    statements = [_read(node) for node in ast.parse(text).body]
    for name in names:
        if not any(name in one.binds for one in statements):
            raise NoSuchClass(name)
    kept = _needed(statements, set(names))
    return _spliced(text.split("\n"), statements, kept)


def _needed(statements: Sequence[_Statement], wanted: set[str]) -> list[_Statement]:
    """The statements that ``wanted`` rests on, to the last of them."""
    kept: list[_Statement] = []
    grew = True
    while grew:
        grew = False
        for one in statements:
            if one not in kept and (one.binds | one.touches) & wanted:
                kept.append(one)
                wanted |= one.needs
                grew = True
    return kept


def _read(node: ast.stmt) -> _Statement:
    first = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", []))])
    table = symtable.symtable(ast.unparse(node), "statement", "exec")
    symbols = table.get_symbols()
    binds = {one.get_name() for one in symbols if one.is_assigned() or one.is_imported() or one.is_namespace()}
    needs = {one.get_name() for one in symbols if one.is_referenced()} | set(_globals_below(table))
    return _Statement(
        node,
        first,
        node.end_lineno or node.lineno,
        frozenset() if _is_main_guard(node) else frozenset(binds),
        frozenset(needs),
        frozenset(_touched(node)),
    )


def _globals_below(table: symtable.SymbolTable) -> Iterator[str]:
    for child in table.get_children():
        yield from (one.get_name() for one in child.get_symbols() if one.is_global())
        yield from _globals_below(child)


def _touched(node: ast.stmt) -> Iterator[str]:
    for target in node.targets if isinstance(node, ast.Assign) else ():
        root: ast.expr = target
        while isinstance(root, ast.Attribute):
            root = root.value
        if isinstance(target, ast.Attribute) and isinstance(root, ast.Name):
            yield root.id


def _is_main_guard(node: ast.stmt) -> bool:
    names = {one.id for one in ast.walk(node.test) if isinstance(one, ast.Name)} if isinstance(node, ast.If) else set()
    return "__name__" in names


def _spliced(lines: Sequence[str], statements: Sequence[_Statement], kept: Sequence[_Statement]) -> str:
    """The kept statements at their own lines; one that shares a line with another is written anew."""
    made: list[str] = []
    for one in statements:
        future = isinstance(one.node, ast.ImportFrom) and one.node.module == "__future__"
        if one not in kept and not future and not _is_star(one.node):
            continue
        alone = not any(
            other is not one and other.first <= one.last and one.first <= other.last for other in statements
        )
        made += [""] * (one.first - 1 - len(made))
        made += lines[one.first - 1 : one.last] if alone else ast.unparse(one.node).split("\n")
    return "\n".join(made) + "\n"


def _is_star(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and node.names[0].name == "*"
