"""Report suppressions that suppress nothing.

They outlive what they were written for: after the switch no line of the file imports from TRL 0.28 any more.
"""

from __future__ import annotations

from codemods.context import Context
from codemods.rules import Example, Phase, Rule

RULE = Rule(
    code="OC116",
    title="suppression without effect",
    why="nothing on its line concerns ORPO in any TRL release",
    message="the comment stays",
    example=Example("x = 1  # orpo-compat: ignore[OC103] text of trl\n", None),
    phase=Phase.LAST,
)


def apply(context: Context) -> None:
    """Look at every suppression that no rule consulted."""
    for one in context.suppressions:
        if not one.used:
            context.report("OC116", one.start, "This suppression has no effect.", "Drop the comment.")
