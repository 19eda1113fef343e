"""Report expressions that take another trainer when ORPO is missing.

``getattr(trl, "ORPOTrainer", None) or trl.DPOTrainer`` trains ORPO up to TRL 0.28 and DPO from 0.29 on, without a
word; so does ``except ImportError: from trl import DPOTrainer as ORPOTrainer``.
"""

from __future__ import annotations

import libcst as cst

from codemods.catalog import CLASSES
from codemods.context import Context, callee, literal
from codemods.facts import bound_name
from codemods.findings import Severity
from codemods.rules import Example, Phase, Rule
from codemods.syntax import FromImport, dotted

RULE = Rule(
    code="OC105",
    title="getattr or a silent fall-back",
    why="TRL 0.29 has no `trl.ORPOTrainer`, so the fall-back is what trains",
    message="the expression stays; `--strings` rewrites a plain `getattr(trl, 'ORPOTrainer')`",
    example=Example("import trl\n\nTrainer = getattr(trl, 'ORPOTrainer', None) or trl.DPOTrainer\n", None),
    phase=Phase.REPORT,
)


def apply(context: Context) -> None:
    """Look at ``getattr`` on the source package, and at bindings of the classes' names to others."""
    for fact in context.survey.calls:
        call = fact.node
        assert isinstance(call, cst.Call)
        if callee(call) != "getattr" or len(call.args) < 2:
            continue
        target, name = call.args[0].value, literal(call.args[1].value)
        modules = context.names.qualified(target, fact.scope) or {dotted(target) or ""}
        if not any(module in context.move.packages for module in modules) or _is_rewritten(context, call):
            continue
        if name is None:
            _report_computed(context, call)
        elif name in CLASSES or "orpo" in name.lower():
            _report_fallback(context, call, name)
    _report_stand_ins(context)


def _is_rewritten(context: Context, call: cst.Call) -> bool:
    start, end = context.syntax.span(call)
    return any(start <= one.start < end for one in context.changes)


def _report_computed(context: Context, call: cst.Call) -> None:
    context.report(
        "OC105",
        call,
        "Which class of TRL this reads is decided at run time.",
        f"If it can be ORPO's, look in {context.move.target} first.",
    )


def _report_fallback(context: Context, call: cst.Call, name: str) -> None:
    parent = context.syntax.parents.get(call)
    other = isinstance(parent, cst.BooleanOperation) and isinstance(parent.operator, cst.Or)
    default = len(call.args) > 2 and dotted(call.args[2].value) not in {None, "None"}
    if other or default:
        message = f"Without {name} in TRL (0.29 and later) another class is taken silently: another loss."
        context.report("OC105", call, message, f"Import {name} from {context.move.target}.", Severity.ERROR)
    else:
        message = f"{name} is looked up by name in TRL, which has not had it there since 0.29."
        context.report(
            "OC105", call, message, f"Write {context.move.target}.{name}; --strings does for a plain getattr."
        )


def _report_stand_ins(context: Context) -> None:
    """``from trl import DPOTrainer as ORPOTrainer`` and ``ORPOTrainer = DPOTrainer``."""
    for fact in context.survey.imports:
        if not isinstance(fact.node, FromImport) or isinstance(fact.node.names, cst.ImportStar):
            continue
        for alias in fact.node.names:
            name = dotted(alias.name)
            source = context.concerns_source(dotted(fact.node.module)) and not fact.node.relative
            if source and bound_name(alias) in CLASSES and name not in CLASSES:
                _report_stand_in(context, alias, bound_name(alias) or "", name or "")
    top = context.survey.module.bindings
    for bindings in (top[name] for name in sorted(CLASSES) if name in top):
        if not any(context.names.imported(binding) for binding in bindings):
            continue
        for binding in bindings:
            value = _assigned(context, binding.node)
            other = dotted(value) if value is not None and not _is_the_class(context, value) else None
            if other and other != "None" and other.rpartition(".")[2].endswith(("Trainer", "Config")):
                _report_stand_in(context, binding.node, binding.name, other)


def _is_the_class(context: Context, value: cst.BaseExpression) -> bool:
    """Whether the value is the class itself by another road, on one side or the other."""
    found = context.names.possible(value, context.survey.module)
    return any(context.move.moves(one) or one.startswith(f"{context.move.target}.") for one in found)


def _assigned(context: Context, node: cst.CSTNode) -> cst.BaseExpression | None:
    target = context.syntax.parents.get(node)
    assign = context.syntax.parents.get(target) if isinstance(target, cst.AssignTarget) else None
    return assign.value if isinstance(assign, cst.Assign) else None


def _report_stand_in(context: Context, where: cst.CSTNode, name: str, other: str) -> None:
    context.report(
        "OC105",
        where,
        f"{other} stands in for {name}: on TRL 0.29 and later the program trained something else, silently.",
        f"Drop it: {context.move.target} always has {name}.",
        Severity.ERROR,
    )
