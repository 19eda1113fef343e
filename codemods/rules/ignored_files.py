"""Leave files alone that say so.

``# orpo-compat: ignore-file`` with a reason is for files that must keep TRL whatever its release does with ORPO, such
as a comparison of the two trainers; ``# orpo-compat: ignore`` does the same for a line or a statement.
"""

from __future__ import annotations

from codemods.context import Context
from codemods.findings import Severity
from codemods.mentions import mentions
from codemods.rules import Example, Phase, Rule

RULE = Rule(
    code="OC116",
    title="`# orpo-compat: ignore`, `ignore[OC103] reason`, `ignore-file`",
    why="a comparison with TRL must keep importing TRL, whatever release it runs on",
    message="the line, statement or file stays, and the report says so; one without effect is reported as well",
    example=Example("from trl import ORPOTrainer  # orpo-compat: ignore the reference arm\n", None),
    phase=Phase.REFUSE,
)


def apply(context: Context) -> None:
    """Refuse a file whose suppression speaks for all of it."""
    concerned = any(one.exact for one in mentions(context.source.utf8, context.move.source_root))
    for one in context.suppressions:
        if one.line == 0 and not one.codes and concerned:
            one.used = True
            context.refuse("OC116", one.start, "The whole file is suppressed by a comment.", one.advice, Severity.INFO)
            context.excuse(context.syntax.tree)
