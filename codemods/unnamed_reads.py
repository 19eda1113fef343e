"""Reads of the classes from what no import names: the value of a call or key, an attribute, what a star brought.

Nothing is known about where these lead. They are worth telling in a file that speaks of TRL, unless the expression
itself names another package.
"""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst

from codemods.catalog import CLASSES
from codemods.context import Context, callee, literal
from codemods.scopes import Binding, Kind, Scope
from codemods.syntax import FromImport, dotted


def unnamed_reads(context: Context) -> Iterator[cst.CSTNode]:
    """Every such read that no finding or change speaks for."""
    for node, owner in _reads(context):
        if _may_be_source(context, owner) and not context.covered(*context.syntax.span(node)):
            yield node


def _reads(context: Context) -> Iterator[tuple[cst.CSTNode, cst.BaseExpression]]:
    """Each attribute and ``getattr`` of a class's name, with what it is read from."""
    for node in context.syntax.spans:
        if isinstance(node, cst.Attribute) and node.attr.value in CLASSES:
            yield node, node.value
    for fact in context.survey.calls:
        call = fact.node
        assert isinstance(call, cst.Call)
        if callee(call) == "getattr" and len(call.args) > 1 and literal(call.args[1].value) in CLASSES:
            yield call, call.args[0].value


def _may_be_source(context: Context, owner: cst.BaseExpression) -> bool:
    root = owner
    while isinstance(root, cst.Attribute):
        root = root.value
    if not isinstance(root, cst.Name):
        return not _names_another(context, root)
    if isinstance(owner, cst.Attribute) and owner.attr.value in set(_kept_modules(context)):
        return True
    return root.value in _brought_by_star(context) and not any(
        scope.bindings.get(root.value) for scope in context.survey.module.walk()
    )


def _brought_by_star(context: Context) -> set[str]:
    """Names of modules that a star of the source package may bind."""
    stars = (fact.node for fact in context.survey.imports if isinstance(fact.node.names, cst.ImportStar))
    modules = {dotted(node.module) or "" for node in stars if isinstance(node, FromImport) and not node.relative}
    inside = [path.rpartition(".") for path in context.move.packages]
    return {name for package, _, name in inside if package in modules}


def _kept_modules(context: Context) -> Iterator[str]:
    """Attributes that hold the source package, or a module of it: ``self.lib = trl``, or bound in a class body."""
    for store in context.survey.stores:
        if isinstance(store.node, cst.Attribute) and _is_given_source(context, store.node, store.scope):
            yield store.node.attr.value
    for scope in context.survey.module.walk():
        for name, bindings in scope.bindings.items() if scope.kind is Kind.CLASS else ():
            if any(_is_given_source(context, one.node, scope) or _imports_source(context, one) for one in bindings):
                yield name


def _imports_source(context: Context, binding: Binding) -> bool:
    return context.names.imported(binding) in context.move.packages


def _is_given_source(context: Context, target: cst.CSTNode, scope: Scope) -> bool:
    above = context.syntax.parents.get(target)
    assign = context.syntax.parents.get(above) if isinstance(above, cst.AssignTarget) else None
    value = assign.value if isinstance(assign, cst.Assign) else None
    return value is not None and not context.move.packages.isdisjoint(context.names.possible(value, scope))


def _names_another(context: Context, root: cst.CSTNode) -> bool:
    """Whether strings in the expression say where it leads, and nothing in it leads to the source package."""
    start, end = context.syntax.span(root)
    inside = (fact.node for fact in context.survey.strings if start <= context.syntax.span(fact.node)[0] < end)
    values = [literal(node) for node in inside]
    if not values or any(value is None or context.concerns_source(value) for value in values):
        return False
    uses = (use for use in context.survey.uses() if start <= use.start < end)
    return not any(
        context.concerns_source(path) for use in uses for path in context.names.possible(use.node, use.scope)
    )
