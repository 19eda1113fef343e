"""Import helpers of the old ORPO modules from where TRL keeps them now (``--modernize``).

``trl.trainer.orpo_trainer`` was a way to ``pad_to_length`` and others until TRL 0.28. From 0.29 on they live in
``trl.experimental.utils`` and ``trl.trainer.utils``; older pins are left alone, the new path is not there yet.
"""

from __future__ import annotations

from packaging.version import InvalidVersion, Version

from codemods.catalog import HELPER_HOMES
from codemods.context import Context
from codemods.options import Options
from codemods.placement import Action, aliases
from codemods.rules import Example, Phase, Rule
from codemods.syntax import FromImport, dotted

RULE = Rule(
    code="OC010",
    title="helpers of the old ORPO modules (`--modernize`)",
    why="`trl.trainer.orpo_trainer` is gone since TRL 0.29",
    message="what stays of the statement is imported from its present home, if that is one module",
    example=Example(
        "from trl.trainer.orpo_trainer import ORPOTrainer, pad_to_length\n",
        "from trl.experimental.utils import pad_to_length\nfrom orpo_compat import ORPOTrainer\n",
        Options(modernize=True),
    ),
    phase=Phase.EDIT,
    edits=True,
)


def apply(context: Context) -> None:
    """Swap the module of what stays behind."""
    if not context.options.modernize or not context.forward or not _has_homes(context.options.trl_version):
        return
    for fact in context.survey.imports:
        node = fact.node
        module = dotted(node.module) if isinstance(node, FromImport) and not node.relative else None
        if module not in context.move.modules or not isinstance(node, FromImport) or node.module is None:
            continue
        plan = context.plans.get(node)
        stay = [a for a in aliases(node) if plan is None or plan.actions.get(a, Action.STAY) is Action.STAY]
        homes = {HELPER_HOMES.get(dotted(alias.name) or "") for alias in stay}
        home = homes.pop() if len(homes) == 1 else None
        if home is not None and home != module and not context.silenced(node, RULE.code):
            context.replace(*context.syntax.span(node.module), home, RULE.code)
            context.excuse(node)


def _has_homes(release: str | None) -> bool:
    """Whether the pinned release, if any, keeps the helpers where 1.16 does."""
    try:
        return release is None or Version(release) >= Version("0.29")
    except InvalidVersion:
        return False
