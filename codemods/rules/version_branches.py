"""Report branches on TRL's version around imports that move.

Programs ask whether TRL is at least 0.26 or 0.29 to choose between the two import paths; both now lead to
orpo_compat, so the question has lost its point.
"""

from __future__ import annotations

import re

import libcst as cst
from packaging.version import InvalidVersion, Version

from codemods.catalog import removed_by
from codemods.context import Context
from codemods.findings import Severity
from codemods.rules import Example, Phase, Rule
from codemods.syntax import FromImport, dotted

RULE = Rule(
    code="OC108",
    title="branch on TRL's version",
    why="ORPO moved in TRL 0.26 and its old paths ended with 0.28",
    message="imports move in every branch, the branches stay",
    example=Example(
        "if Version(trl.__version__) >= Version('0.26'):\n    from trl.experimental.orpo import ORPOTrainer\n"
        "else:\n    from trl import ORPOTrainer\n",
        "if Version(trl.__version__) >= Version('0.26'):\n    from orpo_compat import ORPOTrainer\n"
        "else:\n    from orpo_compat import ORPOTrainer\n",
    ),
    phase=Phase.REPORT,
)

_VERSION = re.compile(r"__version__|\b[Vv]ersion\b|(?i:trl_version|version_(?:ge|gt|le|lt|at_least)|_version\s*\()")


def apply(context: Context) -> None:
    """Look for version tests around imports that change, and for pins that already broke them."""
    for plan in context.plans.values():
        if not plan.changes:
            continue
        _report_branches(context, plan.node)
        if isinstance(plan.node, FromImport):
            _report_pin(context, plan.node)
    for use in context.survey.uses():
        if any(change.rule == "OC002" and change.start == use.start for change in context.changes):
            _report_branches(context, use.node)


def _report_branches(context: Context, node: cst.CSTNode) -> None:
    for parent, _ in context.ancestors(node):
        if isinstance(parent, cst.If) and _VERSION.search(context.syntax.code(parent.test)):
            context.report(
                "OC108",
                parent,
                "A branch on the version of TRL chooses between things that are now the same.",
                "Keep one of them once nothing else hangs on the branch.",
            )


def _report_pin(context: Context, node: FromImport) -> None:
    """The pinned release may not have the path at all."""
    module = dotted(node.module) or ""
    end = removed_by(module)
    if context.options.trl_version is None or end is None or not context.forward:
        return
    try:
        pinned = Version(context.options.trl_version)
    except InvalidVersion:
        return
    if pinned >= Version(end):
        context.report(
            "OC108",
            node,
            f"The repository pins TRL {pinned}, which has no ORPO in {module} any more: this failed before the switch.",
            "Nothing to do after it.",
            Severity.INFO,
        )
