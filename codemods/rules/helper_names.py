"""Report helpers that are imported from ORPO's own modules and do not move.

``trl.trainer.orpo_trainer`` also offered what it had imported itself: ``pad_to_length``,
``DPODataCollatorWithPadding`` and more. The module ended with TRL 0.28, most helpers moved to
``trl.experimental.utils`` in 0.27 or 0.29, and orpo_compat carries the two classes only.
"""

from __future__ import annotations

from codemods.catalog import GONE_FROM_TRL, HELPER_HOMES, LIFETIMES
from codemods.context import Context
from codemods.facts import ImportFact
from codemods.placement import Action, aliases
from codemods.rules import Example, Phase, Rule
from codemods.syntax import FromImport, dotted

RULE = Rule(
    code="OC121",
    title="helper from an ORPO module",
    why="`trl.trainer.orpo_trainer` is gone since TRL 0.29, `trl.experimental.orpo.orpo_trainer` is a private file",
    message="the helper stays where it is, with its present home in the finding",
    example=Example(
        "from trl.trainer.orpo_trainer import ORPOTrainer, pad_to_length\n",
        "from trl.trainer.orpo_trainer import pad_to_length\nfrom orpo_compat import ORPOTrainer\n",
    ),
    phase=Phase.REPORT,
)


def apply(context: Context) -> None:
    """Look at what stays behind in imports from ORPO's own modules."""
    if not context.forward:
        return
    for fact in context.survey.imports:
        module = dotted(fact.node.module) if isinstance(fact.node, FromImport) and not fact.node.relative else None
        if module == context.move.source_root:
            _report_gone(context, fact)
        if module not in context.move.modules:
            continue
        if context.covered(context.syntax.span(fact.node)[0]):
            continue
        plan = context.plans.get(fact.node)
        stay = []
        for alias in aliases(fact.node):
            name = dotted(alias.name) or ""
            action = plan.actions.get(alias, Action.STAY) if plan is not None else Action.STAY
            if action is Action.STAY and not context.move.moves(f"{module}.{name}"):
                stay.append(name)
        if stay:
            message = f"{', '.join(stay)} of {module}: only {LIFETIMES[module]} has the module."
            context.report("OC121", fact.node, message, " ".join(advice_on(name) for name in stay))


def _report_gone(context: Context, fact: ImportFact) -> None:
    """Names that a split statement keeps importing from ``trl``, where newer releases have them no more."""
    plan = context.plans.get(fact.node)
    for alias in aliases(fact.node) if plan is not None and plan.changes else ():
        name = dotted(alias.name) or ""
        if name in GONE_FROM_TRL:
            since, advice = GONE_FROM_TRL[name]
            message = f"{name} stays with trl, which has not had it since {since}."
            context.report("OC121", fact.node, message, f"On newer releases, {advice}.")


def advice_on(name: str) -> str:
    """Where a helper that came with an ORPO module is to be had today."""
    home = HELPER_HOMES.get(name, "")
    if home is None:
        return f"No present TRL release has {name}: copy it from the release it was written for."
    if not home:
        return f"Import {name} from the library it comes from."
    return f"TRL 1.16 keeps {name} in {home}."
