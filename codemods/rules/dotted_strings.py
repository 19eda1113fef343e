"""Rewrite dotted names in strings whose call says that they are imported (``--strings``).

``mock.patch("trl.ORPOTrainer")`` and ``import_module("trl.trainer.orpo_trainer")`` fail since TRL 0.29 like the code
they stand for, and so does ``getattr(trl, "ORPOTrainer")``. They are left alone by default: a patch must go where the
code under test looks, and only its author knows whether that was migrated too.
"""

from __future__ import annotations

import re

import libcst as cst

from codemods.catalog import CLASSES
from codemods.context import Context, callee, literal
from codemods.options import Options
from codemods.rules import Example, Phase, Rule
from codemods.rules.dynamic_imports import LOADERS

RULE = Rule(
    code="OC005",
    title="dotted names in strings (`--strings`)",
    why="`mock.patch('trl.ORPOTrainer')` finds nothing to patch since TRL 0.29",
    message="rewritten where the call imports or patches what the string names",
    example=Example(
        "from unittest import mock\n\nmock.patch('trl.ORPOTrainer')\n",
        "from unittest import mock\n\nmock.patch('orpo_compat.ORPOTrainer')\n",
        Options(strings=True),
    ),
    phase=Phase.EDIT,
    edits=True,
)

_PATCHERS = {"patch", "setattr", "delattr", "find_spec"}
_NAME = re.compile(r"trl(?:\.\w+)*")


def apply(context: Context) -> None:
    """Rewrite the module or class that a known call names in its first argument."""
    if not context.options.strings or not context.forward:
        return
    for fact in context.survey.calls:
        call = fact.node
        assert isinstance(call, cst.Call)
        name = callee(call).rpartition(".")[2]
        if name not in LOADERS | _PATCHERS or not call.args:
            continue
        node = call.args[0].value
        new = _moved(context, call, literal(node) or "")
        if new is None or not isinstance(node, cst.SimpleString) or "\\" in node.value:
            continue
        if not context.silenced(call, RULE.code):
            start = context.syntax.span(node)[0] + len(node.prefix) + len(node.quote)
            context.replace(start, start + len(node.raw_value.encode("utf-8")), new, RULE.code)


def _moved(context: Context, call: cst.Call, text: str) -> str | None:
    """The string with its TRL part replaced, None when it does not name ORPO for certain."""
    if not _NAME.fullmatch(text):
        return None
    parts = text.split(".")
    for length in range(len(parts), 0, -1):
        path, rest = ".".join(parts[:length]), parts[length:]
        if context.move.moves(path):
            return ".".join([context.move.target, parts[length - 1], *rest])
        if path in context.move.modules and not rest and _only_classes(context, call):
            return context.move.target
    return context.move.target if text in context.move.sources and _takes_class(context, call) else None


def _takes_class(context: Context, call: cst.Call) -> bool:
    """Whether the result of the call is used for nothing but one of the classes."""
    parent = context.syntax.parents.get(call)
    if isinstance(parent, cst.Attribute):
        return parent.attr.value in CLASSES
    outer = context.syntax.parents.get(parent) if isinstance(parent, cst.Arg) else None
    if isinstance(outer, cst.Call) and callee(outer) == "getattr" and outer.args[0] is parent:
        return len(outer.args) == 2 and literal(outer.args[1].value) in CLASSES
    return False


def _only_classes(context: Context, call: cst.Call) -> bool:
    """Whether nothing but the classes can be seen to be read from the loaded ORPO module."""
    parent = context.syntax.parents.get(call)
    if isinstance(parent, (cst.Attribute, cst.Arg)):
        return _takes_class(context, call)
    if not isinstance(parent, cst.Assign) or len(parent.targets) != 1:
        return False
    target = parent.targets[0].target
    if not isinstance(target, cst.Name):
        return False
    for use in context.survey.uses():
        owner = context.syntax.parents.get(use.node)
        if use.name == target.value and not (isinstance(owner, cst.Attribute) and owner.attr.value in CLASSES):
            return False
    return True
