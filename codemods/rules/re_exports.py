"""Report names that a module imports from TRL in order to hand them on.

``__all__`` makes the class part of this module's own interface: whoever imports it from here gets ours from now on,
and comparisons with TRL's class (a subclass shim in TRL 0.26 to 0.28) come out differently.
"""

from __future__ import annotations

import libcst as cst

from codemods.context import Context, literal
from codemods.facts import bound_name
from codemods.findings import Severity
from codemods.placement import Action
from codemods.rules import Example, Phase, Rule

RULE = Rule(
    code="OC109",
    title="re-export",
    why="users of this module get the class of orpo_compat; TRL 0.29 could not have given them one",
    message="the import moves, `__all__` stays",
    example=Example(
        "from trl import ORPOTrainer\n\n__all__ = ['ORPOTrainer']\n",
        "from orpo_compat import ORPOTrainer\n\n__all__ = ['ORPOTrainer']\n",
    ),
    phase=Phase.REPORT,
)


def apply(context: Context) -> None:
    """Find moved names in ``__all__``."""
    exported = _exported(context)
    for _, alias in context.decided(Action.MOVE):
        if bound_name(alias) in exported:
            context.report(
                "OC109",
                alias,
                f"{bound_name(alias)} is re-exported: importers of this module get {context.move.target}'s.",
                "Tell them, or import it there directly.",
                Severity.INFO,
            )


def _exported(context: Context) -> set[str]:
    """Strings that stand in a statement about ``__all__``."""
    names: set[str] = set()
    for fact in context.survey.strings:
        value = literal(fact.node)
        if value is None:
            continue
        for parent, _ in context.ancestors(fact.node):
            if isinstance(parent, cst.BaseSmallStatement):
                if "__all__" in context.syntax.code(parent).partition("'")[0].partition('"')[0]:
                    names.add(value)
                break
    return names
