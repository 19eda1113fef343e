"""Report imports whose availability the program asks about.

``try: ... except ImportError``, ``find_spec("trl")``, ``suppress(ImportError)`` and ``is_trl_available()`` once said
whether TRL has ORPO (it has not at the top level since 0.29). After the move they ask about the wrong package, or
their second branch is dead.
"""

from __future__ import annotations

import re

import libcst as cst

from codemods.context import Context, callee
from codemods.rules import Example, Phase, Rule

RULE = Rule(
    code="OC107",
    title="availability probe or import guard",
    why="the guard was written for TRL's presence, and for paths that come and go between 0.26 and 0.29",
    message="the import moves, the guard stays",
    example=Example(
        "try:\n    from trl import ORPOTrainer\nexcept ImportError:\n    ORPOTrainer = None\n",
        "try:\n    from orpo_compat import ORPOTrainer\nexcept ImportError:\n    ORPOTrainer = None\n",
    ),
    phase=Phase.REPORT,
)

_PROBE = re.compile(r"find_spec|find_loader|hasattr\s*\(|available|(?i:(?:has|have|with)_trl)|in\s+sys\.modules")
_IMPORT_ERRORS = {"ImportError", "ModuleNotFoundError", "Exception", "BaseException", "RuntimeError", "AttributeError"}


def apply(context: Context) -> None:
    """Look at what surrounds every import that changes."""
    for plan in context.plans.values():
        if not plan.changes:
            continue
        for parent, child in context.ancestors(plan.node):
            if isinstance(parent, (cst.FunctionDef, cst.ClassDef)):
                break
            if _guards(context, parent, child):
                _report(context, parent, "an import")
    for use in context.survey.uses():
        if any(change.rule == "OC002" and change.start == use.start for change in context.changes):
            for parent, child in context.ancestors(use.node):
                if isinstance(parent, cst.Try) and child is parent.body and _catches_any(parent, {"AttributeError"}):
                    _report(context, parent, "a use")


def _report(context: Context, guard: cst.CSTNode, what: str) -> None:
    context.report(
        "OC107",
        guard,
        f"This guards {what} that now comes from {context.move.target}.",
        f"Ask for {context.move.target}, or drop the guard: it is a dependency now.",
    )


def _guards(context: Context, parent: cst.CSTNode, child: cst.CSTNode) -> bool:
    if isinstance(parent, (cst.Try, cst.TryStar)):
        return child is not parent.finalbody and _catches_any(parent, _IMPORT_ERRORS)
    if isinstance(parent, cst.With):
        calls = [item.item for item in parent.items if isinstance(item.item, cst.Call)]
        return any(callee(call).rpartition(".")[2] == "suppress" for call in calls)
    if isinstance(parent, cst.If):
        return _PROBE.search(context.syntax.code(parent.test)) is not None
    return False


def _catches_any(guard: cst.Try | cst.TryStar, errors: set[str]) -> bool:
    return any(_catches(handler, errors) for handler in guard.handlers)


def _catches(handler: cst.ExceptHandler | cst.ExceptStarHandler, errors: set[str]) -> bool:
    """Whether the handler names one of ``errors``, or everything."""
    if handler.type is None:
        return "ImportError" in errors
    nodes = [one.value for one in handler.type.elements] if isinstance(handler.type, cst.Tuple) else [handler.type]
    names = {node.attr.value if isinstance(node, cst.Attribute) else getattr(node, "value", "") for node in nodes}
    return not names.isdisjoint(errors)
