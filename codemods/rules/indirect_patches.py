"""Leave files alone that replace ORPOTrainer or ORPOConfig inside TRL without spelling its module at that place.

``module = trl; module.ORPOTrainer = Mine``, a function that is given the module, ``vars(trl)["ORPOTrainer"] = Mine``
and ``patch.multiple("trl", ORPOTrainer=Mine)`` do what ``trl.ORPOTrainer = Mine`` does: who reads the name from TRL
gets the replacement, and would miss it if the read moved. With TRL's shims of 0.26 to 0.28 such patches missed as well.
"""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst

from codemods.catalog import CLASSES
from codemods.context import Context, callee, literal
from codemods.rules import Example, Phase, Rule
from codemods.scopes import Scope

RULE = Rule(
    code="OC123",
    title="patch of TRL by another road",
    why="the name in TRL and the class that moved are different objects; a patch reaches one of them",
    message="a file that patches the module stays, whatever name it does so by",
    example=Example("import trl\n\nlib = trl\nlib.ORPOTrainer = Mine\ntrainer = trl.ORPOTrainer()\n", None),
    phase=Phase.REFUSE,
)

_SETTERS = {"setattr", "delattr", "object"}


def apply(context: Context) -> None:
    """Look at every place that sets one of the classes' names on something."""
    places = [*_stores(context), *_calls(context)]
    handed_on = bool(places) and _is_handed_on(context)
    for where, owner, scope in places:
        if _may_be_source(context, _unwrapped(owner), scope, handed_on):
            context.refuse(
                "OC123",
                where,
                f"The program replaces a class of {context.move.source_root} here, or may.",
                f"Patch {context.move.target} instead, and migrate this file by hand.",
            )


def _stores(context: Context) -> Iterator[tuple[cst.CSTNode, cst.BaseExpression, Scope]]:
    for store in context.survey.stores:
        node = store.node
        if isinstance(node, cst.Attribute) and node.attr.value in CLASSES:
            yield node, node.value, store.scope
        if not isinstance(node, cst.Subscript) or not isinstance(node.slice[0].slice, cst.Index):
            continue
        if literal(node.slice[0].slice.value) in CLASSES and _unwrapped(node.value) is not node.value:
            yield node, node.value, store.scope


def _calls(context: Context) -> Iterator[tuple[cst.CSTNode, cst.BaseExpression, Scope]]:
    for fact in context.survey.calls:
        call = fact.node
        assert isinstance(call, cst.Call)
        if any(arg.keyword is not None and arg.keyword.value in CLASSES for arg in call.args):
            yield from ((call, arg.value, fact.scope) for arg in call.args if arg.keyword is None)
            if isinstance(call.func, cst.Attribute) and _unwrapped(call.func.value) is not call.func.value:
                yield call, call.func.value, fact.scope
        setter = callee(call).rpartition(".")[2] in _SETTERS and len(call.args) > 1
        if setter and literal(call.args[1].value) in CLASSES:
            yield call, call.args[0].value, fact.scope


def _unwrapped(owner: cst.BaseExpression) -> cst.BaseExpression:
    """``x`` of ``vars(x)`` and ``x.__dict__``."""
    if isinstance(owner, cst.Attribute) and owner.attr.value == "__dict__":
        return owner.value
    if isinstance(owner, cst.Call) and callee(owner) == "vars" and len(owner.args) == 1:
        return owner.args[0].value
    return owner


def _may_be_source(context: Context, owner: cst.BaseExpression, scope: Scope, handed_on: bool) -> bool:
    """Whether the expression is a module of the source package, or can be one that the file handed on."""
    if literal(owner) in context.move.packages:
        return True
    found = context.names.possible(owner, scope)
    if found:
        return not found.isdisjoint(context.move.packages)
    if isinstance(owner, cst.Name):
        return handed_on and _is_given(context, owner, scope)
    if isinstance(owner, (cst.Call, cst.Subscript)):
        start, end = context.syntax.span(owner)
        inside = (fact.node for fact in context.survey.strings if start <= context.syntax.span(fact.node)[0] < end)
        return any(context.concerns_source(literal(node)) for node in inside)
    return False


def _is_given(context: Context, name: cst.Name, scope: Scope) -> bool:
    """Whether the name is a parameter, or is assigned a module of the source package."""
    home = scope.resolve(name.value, context.syntax.span(name)[0])
    for binding in home.bindings[name.value] if home is not None else ():
        above = context.syntax.parents.get(binding.node)
        if above is None or isinstance(above, (cst.Param, cst.Parameters, cst.For)):
            return True
        assign = context.syntax.parents.get(above)
        value = assign.value if isinstance(above, cst.AssignTarget) and isinstance(assign, cst.Assign) else None
        if value is not None and not context.move.packages.isdisjoint(context.names.possible(value, binding.scope)):
            return True
    return False


def _is_handed_on(context: Context) -> bool:
    """Whether a module of the source package is used as a value."""
    for group in context.names.groups:
        for reference in group.references:
            if any(".".join((path, *reference.chain)) in context.move.packages for path in group.paths):
                return True
    return False
