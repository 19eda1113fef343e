"""What a survey of a module gathers: imports, strings, calls, classes and stores, each with its scope."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import libcst as cst

from codemods.scopes import Scope, Use
from codemods.syntax import ImportStatement, Syntax

StringNode = cst.SimpleString | cst.ConcatenatedString | cst.FormattedString


@dataclass(eq=False)
class ImportFact:
    """An import statement and the scope it stands in."""

    node: ImportStatement
    scope: Scope


@dataclass(eq=False)
class StringFact:
    """A string literal; ``annotation`` when a type checker reads it as a type."""

    node: StringNode
    scope: Scope
    annotation: bool


@dataclass(eq=False)
class ScopedNode:
    """A call, class or deletion target with the scope it is evaluated in."""

    node: cst.CSTNode
    scope: Scope


@dataclass(eq=False)
class Survey:
    """Everything the rules look at."""

    syntax: Syntax
    module: Scope
    imports: list[ImportFact] = field(default_factory=list)
    strings: list[StringFact] = field(default_factory=list)
    calls: list[ScopedNode] = field(default_factory=list)
    classes: list[ScopedNode] = field(default_factory=list)
    stores: list[ScopedNode] = field(default_factory=list)

    def uses(self) -> Iterable[Use]:
        """Every load of a name in the module."""
        for scope in self.module.walk():
            yield from scope.uses


def bound_name(alias: cst.ImportAlias) -> str | None:
    """The name an alias of ``import`` binds: its ``as`` name, or the first part of its path."""
    if alias.asname is not None:
        return alias.asname.name.value if isinstance(alias.asname.name, cst.Name) else None
    node: cst.BaseExpression = alias.name
    while isinstance(node, cst.Attribute):
        node = node.value
    return node.value if isinstance(node, cst.Name) else None


def parameters(params: cst.Parameters) -> list[cst.Param]:
    """Every parameter, stars included, in order."""
    found = [*params.posonly_params, *params.params]
    if isinstance(params.star_arg, cst.Param):
        found.append(params.star_arg)
    found += params.kwonly_params
    if params.star_kwarg is not None:
        found.append(params.star_kwarg)
    return found
