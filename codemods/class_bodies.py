"""Which other binding a load in a class body may find.

A class body looks its own names up as it runs: in the class's namespace first, and where nothing is bound there yet, or
no more, among those of the module. ``Scope.resolve`` gives the likely home of a load; this gives the second one, when
the text does not settle which of the two it is.
"""

from __future__ import annotations

from collections.abc import Sequence

import libcst as cst

from codemods.scopes import Binding, Kind, Scope
from codemods.syntax import Syntax


def second_home(syntax: Syntax, scope: Scope, name: str, start: int) -> Scope | None:
    """The scope besides ``scope.resolve(name, start)`` that the load may find, None when there is no doubt."""
    owner = _class_around(scope, name)
    if owner is None:
        return None
    bindings, likely = owner.bindings[name], scope.resolve(name, start)
    if likely is owner:
        above = owner.module
        return above if above.bindings.get(name) and not _surely_bound(syntax, bindings, start) else None
    return owner if any(_in_one_loop(syntax, one.node, start) for one in bindings) else None


def always_before(syntax: Syntax, statement: cst.CSTNode, start: int) -> bool:
    """Whether what stands at ``start`` runs only after the statement: it follows it in its block, or deeper."""
    line = syntax.parents[statement]
    block = line if isinstance(line, cst.SimpleStatementSuite) else syntax.parents[line]
    if isinstance(block, cst.Module):
        return syntax.span(statement)[1] <= start
    first, last = syntax.span(block)
    return first <= start < last and syntax.span(statement)[1] <= start


def _class_around(scope: Scope, name: str) -> Scope | None:
    """The class in whose namespace the load is looked up as it runs, if that class binds the name."""
    while scope.kind is Kind.TYPE and not scope.bindings.get(name) and scope.parent is not None:
        scope = scope.parent
    bound = scope.kind is Kind.CLASS and name not in scope.outer and scope.bindings.get(name)
    return scope if bound else None


def _surely_bound(syntax: Syntax, bindings: Sequence[Binding], start: int) -> bool:
    """Whether one of the bindings has always run by then, and none can have taken the name away again."""
    statements = [_plain_statement(syntax, one) for one in bindings]
    plain = [one for one in statements if one is not None]
    return len(plain) == len(statements) and any(always_before(syntax, one, start) for one in plain)


def _plain_statement(syntax: Syntax, binding: Binding) -> cst.CSTNode | None:
    """The statement of a binding that holds for good: an import or an assignment."""
    if binding.deletes:
        return None
    if binding.statement is not None:
        return binding.statement
    target = syntax.parents.get(binding.node)
    return syntax.parents.get(target) if isinstance(target, cst.AssignTarget) else None


def _in_one_loop(syntax: Syntax, node: cst.CSTNode, start: int) -> bool:
    """Whether a loop of the class body holds both: a binding further down has run by its second turn."""
    parent = syntax.parents.get(node)
    while parent is not None and not isinstance(parent, cst.ClassDef):
        if isinstance(parent, (cst.For, cst.While)):
            first, last = syntax.span(parent)
            if first <= start < last:
                return True
        parent = syntax.parents.get(parent)
    return False
