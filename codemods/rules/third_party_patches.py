"""Leave files alone that import Unsloth.

Importing Unsloth rewrites the trainers inside ``trl`` in place (unslothai/unsloth issues 1831 and 2797: it must come
first), and its ORPOTrainer accepts other arguments. The patch reaches ``trl``, not us: what the program trains with
would change.
"""

from __future__ import annotations

from codemods.context import Context
from codemods.rules import Example, Phase, Rule
from codemods.syntax import FromImport, dotted

RULE = Rule(
    code="OC112",
    title="Unsloth patches TRL in place",
    why="importing unsloth replaces `trl.trainer`'s classes, whatever the TRL release",
    message="the whole file stays",
    example=Example("from unsloth import FastLanguageModel\nfrom trl import ORPOTrainer\n", None),
    phase=Phase.REFUSE,
)

_PATCHERS = {"unsloth", "unsloth_zoo"}


def apply(context: Context) -> None:
    """Refuse a file in which something patches TRL."""
    if not context.forward:
        return
    for fact in context.survey.imports:
        if isinstance(fact.node, FromImport):
            modules = [] if fact.node.relative else [dotted(fact.node.module) or ""]
        else:
            modules = [dotted(alias.name) or "" for alias in fact.node.names]
        if any(module.partition(".")[0] in _PATCHERS for module in modules):
            context.refuse(
                "OC112",
                fact.node,
                "Unsloth replaces TRL's trainers when it is imported; they would no longer be the ones used here.",
                "Keep TRL for this file, or drop Unsloth from it and migrate again.",
            )
            return
