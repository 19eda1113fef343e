"""Import ORPOTrainer and ORPOConfig from orpo_compat.

TRL 0.8.2 offered both from ``trl``, ``trl.trainer`` and their own modules; 0.26.0 (PR 4480) moved them to
``trl.experimental.orpo`` and 0.29.0 removed every older path, so ``from trl import ORPOTrainer`` fails since then.
"""

from __future__ import annotations

from codemods.context import Context
from codemods.facts import ImportFact
from codemods.placement import Action, aliases
from codemods.rules import Example, Phase, Rule
from codemods.string_patches import string_patch
from codemods.syntax import FromImport, dotted

RULE = Rule(
    code="OC001",
    title="import of the classes by name",
    why="TRL 0.29 removed `trl.ORPOTrainer`, `trl.trainer.orpo_trainer` and `trl.trainer.orpo_config`",
    message="the names move, what else the statement imports stays",
    example=Example(
        "from trl import ORPOConfig, SFTTrainer\n",
        "from trl import SFTTrainer\nfrom orpo_compat import ORPOConfig\n",
    ),
    phase=Phase.DECIDE,
    edits=True,
)


def apply(context: Context) -> None:
    """Decide for every ``from ... import`` of a source module which of its names move."""
    for fact in context.survey.imports:
        if not isinstance(fact.node, FromImport) or fact.node.relative:
            continue
        names = context.move.sources.get(dotted(fact.node.module) or "", frozenset())
        moving = [alias for alias in aliases(fact.node) if dotted(alias.name) in names]
        if not moving or context.silenced(fact.node, RULE.code) or _is_patched(context, fact):
            continue
        for alias in moving:
            context.plan(fact.node).actions[alias] = Action.MOVE


def _is_patched(context: Context, fact: ImportFact) -> bool:
    """Whether the import may run while the class is patched by its dotted name."""
    patch = string_patch(context) if fact.scope is not context.survey.module else None
    if patch is None:
        return False
    line = context.syntax.position(patch)[0]
    message = f"This import stays: line {line} patches the class in TRL, by its name in a string."
    context.report("OC103", fact.node, message, "Move both together by hand, or with --strings.")
    return True
