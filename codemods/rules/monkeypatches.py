"""Leave files alone that replace ORPOTrainer or ORPOConfig inside TRL; report patches of the classes themselves.

A program that assigns ``trl.trainer.ORPOTrainer = Mine`` (axolotl did, for TRL up to 0.25) wants others to get its
class from ``trl``; moving the readers but not the patch, or the patch but not the readers, breaks that. Methods set
on the class work on ours as well, as long as ours calls them.
"""

from __future__ import annotations

import libcst as cst

from codemods.catalog import CLASSES
from codemods.context import Context, callee, literal
from codemods.rules import Example, Phase, Rule
from codemods.syntax import dotted

RULE = Rule(
    code="OC123",
    title="monkeypatch of TRL's module or classes",
    why="TRL's shims of 0.26 to 0.28 and the modules behind them are different objects; a patch reaches one of them",
    message="a file that patches the module stays; one that patches the class is migrated with a finding",
    example=Example("import trl\n\ntrl.ORPOTrainer = Mine\n", None),
    phase=Phase.REFUSE,
)

_SETTERS = {"setattr", "delattr", "object", "monkeypatch"}


def apply(context: Context) -> None:
    """Look at what is assigned, deleted and passed to ``setattr``."""
    for store in context.survey.stores:
        if not isinstance(store.node, cst.Attribute):
            continue
        found = context.names.qualified(store.node, store.scope)
        owner = context.names.is_moved_class(store.node.value, store.scope)
        if any(context.move.moves(one) or one in context.move.packages for one in found):
            _refuse(context, store.node, context.syntax.code(store.node))
        elif owner is not None:
            _report_class_patch(context, store.node, f"{owner}.{store.node.attr.value}")
    for fact in context.survey.calls:
        call = fact.node
        assert isinstance(call, cst.Call)
        if callee(call).rpartition(".")[2] not in _SETTERS or len(call.args) < 2:
            continue
        name = literal(call.args[1].value)
        target = call.args[0].value
        modules = context.names.qualified(target, fact.scope) or {dotted(target) or ""}
        owner = context.names.is_moved_class(target, fact.scope)
        replaced = name in CLASSES or any(f"{one}.{name}" in context.move.packages for one in modules)
        if replaced and any(context.concerns_source(one) for one in modules):
            _refuse(context, call, f"{name} of {context.syntax.code(target)}")
        elif owner is not None and name is not None:
            _report_class_patch(context, call, f"{owner}.{name}")


def _refuse(context: Context, where: cst.CSTNode, what: str) -> None:
    context.refuse(
        "OC123",
        where,
        f"The program replaces {what}; readers of that name must keep finding the replacement.",
        f"Patch {context.move.target} instead, and migrate this file by hand.",
    )


def _report_class_patch(context: Context, where: cst.CSTNode, what: str) -> None:
    context.report(
        "OC123",
        where,
        f"The program patches {what} on the class.",
        "Check that our trainer has and calls it; the parity run can tell.",
    )
