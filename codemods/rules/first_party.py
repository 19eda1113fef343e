"""Leave files alone where ``trl`` or ``orpo_compat`` is a package of the repository itself.

A fork or a vendored copy answers to ``import trl`` before any installed release does; what its ORPOTrainer is, no
release of TRL says.
"""

from __future__ import annotations

from codemods.context import Context
from codemods.findings import Severity
from codemods.options import Options
from codemods.rules import Example, Phase, Rule
from codemods.syntax import FromImport, dotted

RULE = Rule(
    code="OC113",
    title="trl or orpo_compat is a local package",
    why="an import finds the repository's own package first, not the release that was studied",
    message="the whole file stays",
    example=Example("from trl import ORPOTrainer\n", None, Options(first_party=frozenset({"trl"}))),
    phase=Phase.REFUSE,
)


def apply(context: Context) -> None:
    """Refuse when an import of the source package would find the repository's own."""
    shadowed = context.options.first_party & {context.move.source_root, context.move.target_root}
    if not shadowed:
        return
    for fact in context.survey.imports:
        if isinstance(fact.node, FromImport):
            modules = [] if fact.node.relative else [dotted(fact.node.module)]
        else:
            modules = [dotted(alias.name) for alias in fact.node.names]
        if any(context.concerns_source(module) for module in modules):
            context.refuse(
                "OC113",
                fact.node,
                f"The repository has its own package {sorted(shadowed)[0]!r}, and that is what imports find.",
                "Decide by hand which of the two packages is meant, or exclude these files.",
                Severity.ERROR,
            )
            return
