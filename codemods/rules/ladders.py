"""Move only the first rung of an import ladder.

Programs that live with several TRL releases try one path and fall back on the other (0.26 opened
``trl.experimental.orpo``, 0.29 closed the rest). Once the first rung imports from orpo_compat the others are never
reached; leaving them keeps the diff small and the second run silent. ``--modernize`` removes them.
"""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst

from codemods.context import Context
from codemods.facts import bound_name
from codemods.placement import Action, aliases
from codemods.rules import Example, Phase, Rule
from codemods.syntax import FromImport, ImportStatement, dotted

RULE = Rule(
    code="OC003",
    title="import ladder",
    why="`trl.experimental.orpo` exists since TRL 0.26, the older paths until 0.28",
    message="the first rung moves, the fall-backs below it stay and are never reached",
    example=Example(
        "try:\n    from trl import ORPOTrainer\nexcept ImportError:\n"
        "    from trl.experimental.orpo import ORPOTrainer\n",
        "try:\n    from orpo_compat import ORPOTrainer\nexcept ImportError:\n"
        "    from trl.experimental.orpo import ORPOTrainer\n",
    ),
    phase=Phase.REVISE,
    edits=True,
)

Try = cst.Try | cst.TryStar


def apply(context: Context) -> None:
    """Take back the moves of names that the ``try`` body already provides."""
    for fact in context.survey.imports:
        plan = context.plans.get(fact.node)
        for ladder in _ladders_above(context, fact.node):
            ours, moving = _provided(context, ladder)
            for alias in aliases(fact.node) if plan else ():
                name = bound_name(alias)
                if plan and plan.actions.get(alias) is Action.MOVE and name in ours | moving:
                    plan.actions[alias] = Action.STAY
                    context.excuse(fact.node)
                    if name in moving:
                        context.report(
                            "OC107",
                            ladder,
                            f"An import ladder: {name} now comes from {context.move.target} in its first rung.",
                            "The fall-backs below are never reached; --modernize removes them.",
                        )


def _ladders_above(context: Context, node: ImportStatement) -> Iterator[Try]:
    """``try`` statements in whose handlers the import stands, innermost first."""
    for parent, child in context.ancestors(node):
        if isinstance(parent, (cst.FunctionDef, cst.ClassDef, cst.Lambda)):
            return
        if isinstance(parent, (cst.Try, cst.TryStar)) and child in parent.handlers:
            yield parent


def _provided(context: Context, ladder: Try) -> tuple[set[str], set[str]]:
    """Names the body imports from the target already, and names it will once the plan is carried out."""
    ours: set[str] = set()
    moving: set[str] = set()
    for fact in context.survey.imports:
        if not isinstance(fact.node, FromImport) or not _in_body(context, fact.node, ladder):
            continue
        target = dotted(fact.node.module) == context.move.target
        plan = context.plans.get(fact.node)
        for alias in aliases(fact.node):
            name = bound_name(alias) or ""
            if target:
                ours.add(name)
            elif plan is not None and plan.actions.get(alias) is Action.MOVE:
                moving.add(name)
    return ours, moving


def _in_body(context: Context, node: ImportStatement, ladder: Try) -> bool:
    for parent, child in context.ancestors(node):
        if parent is ladder:
            return child is ladder.body
        if isinstance(parent, (cst.FunctionDef, cst.ClassDef)):
            return False
    return False
