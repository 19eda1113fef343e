"""Python's scoping rules, as far as a rename needs them.

A scope knows which names it binds, by what, and which it declares global or nonlocal; ``resolve`` follows the
language: class bodies are invisible to the functions inside them, comprehensions and PEP 695 type parameters have
scopes of their own. Nothing here knows what any name means.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

import libcst as cst


class Kind(Enum):
    """What opens a scope."""

    MODULE = "module"
    FUNCTION = "function"
    CLASS = "class"
    COMPREHENSION = "comprehension"
    TYPE = "type parameters"


@dataclass(eq=False)
class Binding:
    """One place where a scope binds a name.

    ``node`` is the alias of an import, the class or function definition, or the name that is assigned;
    ``deletes`` marks ``del``.
    """

    name: str
    scope: Scope
    node: cst.CSTNode
    start: int
    statement: cst.CSTNode | None = None
    deletes: bool = False


@dataclass(eq=False)
class Use:
    """One load of a name."""

    node: cst.Name
    scope: Scope
    start: int

    @property
    def name(self) -> str:
        """The name as it is written."""
        return self.node.value


@dataclass(eq=False)
class Scope:
    """A block of names. ``uses`` are the loads written directly in it."""

    kind: Kind
    node: cst.CSTNode
    parent: Scope | None = None
    bindings: dict[str, list[Binding]] = field(default_factory=lambda: defaultdict(list))
    uses: list[Use] = field(default_factory=list)
    outer: dict[str, Scope] = field(default_factory=dict)
    children: list[Scope] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.parent is not None:
            self.parent.children.append(self)

    @property
    def module(self) -> Scope:
        """The outermost scope."""
        return self if self.parent is None else self.parent.module

    @property
    def depth(self) -> int:
        """How many scopes are around this one."""
        return 0 if self.parent is None else self.parent.depth + 1

    def walk(self) -> Iterator[Scope]:
        """This scope and all below, in source order."""
        yield self
        for child in self.children:
            yield from child.walk()

    def home_of(self, name: str) -> Scope:
        """The scope that a binding of ``name`` written here lands in (``global`` and ``nonlocal`` obeyed)."""
        return self.outer.get(name, self)

    def bind(self, name: str, node: cst.CSTNode, start: int, statement: cst.CSTNode | None = None) -> None:
        """Record that ``name`` is bound here."""
        home = self.home_of(name)
        home.bindings[name].append(Binding(name, self, node, start, statement))

    def delete(self, name: str, node: cst.CSTNode, start: int) -> None:
        """Record ``del name``."""
        home = self.home_of(name)
        home.bindings[name].append(Binding(name, self, node, start, deletes=True))

    def declare(self, name: str, *, is_global: bool) -> None:
        """Obey ``global name`` or ``nonlocal name``."""
        if is_global:
            self.outer[name] = self.module
            return
        scope = self.parent
        while scope is not None and not (scope.kind is Kind.FUNCTION and name in scope.bindings):
            scope = scope.parent
        if scope is not None:
            self.outer[name] = scope

    def resolve(self, name: str, start: int | None = None) -> Scope | None:
        """The scope whose binding a load of ``name`` at offset ``start`` in this scope sees; None if no one binds it.

        In a class body a name that is bound only further down is still the module's, whatever functions are between.
        """
        if name in self.outer:
            home = self.outer[name]
            return home if home.bindings.get(name) else None
        if self._binds(name, start):
            return self
        if self.kind is Kind.CLASS and self.bindings.get(name):
            return self.module if self.module.bindings.get(name) else None
        inside_types = self.kind is Kind.TYPE
        scope = self.parent
        while scope is not None:
            if (scope.kind is not Kind.CLASS or inside_types) and (scope.bindings.get(name) or name in scope.outer):
                return scope.resolve(name) if name in scope.outer else scope
            inside_types = scope.kind is Kind.TYPE
            scope = scope.parent
        return None

    def _binds(self, name: str, start: int | None) -> bool:
        found = self.bindings.get(name)
        if not found:
            return False
        return self.kind is not Kind.CLASS or start is None or any(one.start < start for one in found)

    def nearest(self, *, walrus: bool = False) -> Scope:
        """This scope, or for the target of ``:=`` the nearest one that is no comprehension."""
        scope = self
        while walrus and scope.kind is Kind.COMPREHENSION and scope.parent is not None:
            scope = scope.parent
        return scope
