"""Leave files alone that import Unsloth, or Liger's ORPO trainer.

Importing Unsloth rewrites the trainers inside ``trl`` in place (unslothai/unsloth issues 1831 and 2797: it must come
first), and its ORPOTrainer accepts other arguments. ``LigerORPOTrainer`` derives from the class in ``trl.trainer``,
gone since TRL 0.29. Both tie the file to TRL: what the program trains with would change half-way.
"""

from __future__ import annotations

from codemods.context import Context
from codemods.placement import aliases
from codemods.rules import Example, Phase, Rule
from codemods.syntax import FromImport, ImportStatement, dotted

RULE = Rule(
    code="OC112",
    title="Unsloth patches TRL in place, Liger extends it",
    why="importing unsloth replaces `trl.trainer`'s classes, whatever the TRL release",
    message="the whole file stays",
    example=Example("from unsloth import FastLanguageModel\nfrom trl import ORPOTrainer\n", None),
    phase=Phase.REFUSE,
)

_PATCHERS = {"unsloth", "unsloth_zoo"}


def apply(context: Context) -> None:
    """Refuse a file in which something patches or extends TRL."""
    if not context.forward:
        return
    for fact in context.survey.imports:
        if _is_unsloth(fact.node):
            context.refuse(
                "OC112",
                fact.node,
                "Unsloth replaces TRL's trainers when it is imported; they would no longer be the ones used here.",
                "Keep TRL for this file, or drop Unsloth from it and migrate again.",
            )
            return
        if isinstance(fact.node, FromImport) and _is_liger(fact.node):
            context.refuse(
                "OC112",
                fact.node,
                "LigerORPOTrainer derives from TRL's trainer, and must get TRL's config.",
                "Use ORPOTrainer with packing instead, which does not build the logits either; then migrate again.",
            )
            return


def _is_unsloth(node: ImportStatement) -> bool:
    if isinstance(node, FromImport):
        modules = [] if node.relative else [dotted(node.module) or ""]
    else:
        modules = [dotted(alias.name) or "" for alias in node.names]
    return any(module.partition(".")[0] in _PATCHERS for module in modules)


def _is_liger(node: FromImport) -> bool:
    module = (dotted(node.module) or "").partition(".")[0]
    return module == "liger_kernel" and any("ORPOTrainer" in (dotted(alias.name) or "") for alias in aliases(node))
