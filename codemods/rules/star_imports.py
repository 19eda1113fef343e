"""Write out the names that a star import of an ORPO module is used for; report star imports of others.

The modules are gone since TRL 0.29 (``trl.trainer.orpo_trainer``) or private. What such an import binds is known
for every release, so the names in use can be told; what ``from trl import *`` binds depends on the release.
"""

from __future__ import annotations

import builtins
from collections.abc import Iterable

import libcst as cst

from codemods.catalog import CLASSES, HELPER_HOMES, LIFETIMES, THIRD_PARTY
from codemods.context import Context, literal
from codemods.facts import ImportFact
from codemods.findings import Severity
from codemods.rules import Example, Phase, Rule
from codemods.rules.helper_names import advice_on
from codemods.syntax import FromImport, dotted

RULE = Rule(
    code="OC101",
    title="star import",
    why="`trl.trainer.orpo_trainer` is gone since TRL 0.29; the star of `trl` has no ORPO since then",
    message="a star of an ORPO module becomes the names in use, helpers stay with the module; other stars stay",
    example=Example(
        "from trl.trainer.orpo_trainer import *\n\nargs = ORPOConfig('out')\n",
        "from orpo_compat import ORPOConfig\n\nargs = ORPOConfig('out')\n",
    ),
    phase=Phase.DECIDE,
    edits=True,
)

_KNOWN = frozenset(THIRD_PARTY) | frozenset(HELPER_HOMES)


def apply(context: Context) -> None:
    """Decide about every star import of the source package."""
    for fact in context.survey.imports:
        node = fact.node
        if not isinstance(node, FromImport) or not isinstance(node.names, cst.ImportStar) or node.relative:
            continue
        module = dotted(node.module) or ""
        if not context.concerns_source(module) or not context.forward:
            continue
        used = set(_unbound(context))
        wanted = sorted(used & CLASSES)
        if module in context.move.modules:
            _write_out(context, fact, module, wanted, sorted(used & _KNOWN))
        elif wanted:
            context.report(
                "OC101",
                node,
                f"{' and '.join(wanted)} can only come from this star, which binds what the installed TRL has.",
                f"Add: from {context.move.target} import {', '.join(wanted)}.",
            )


def _write_out(context: Context, fact: ImportFact, module: str, wanted: list[str], others: list[str]) -> None:
    node = fact.node
    passed_on = context.path.endswith("__init__.py") or fact.scope is not context.survey.module
    doubt = _doubt(context, fact, others)
    if not wanted or passed_on or doubt:
        message = f"The star of {module} stays; only {LIFETIMES[module]} has the module.{doubt}"
        advice = f"Import what is needed by name, the classes from {context.move.target}."
        context.report("OC101", node, message, advice, Severity.WARNING)
    elif not context.silenced(node, RULE.code):
        plan = context.plan(node)
        plan.rule, plan.written_out = RULE.code, (wanted, others)
        if others:
            message = f"{', '.join(others)} came with the star of {module}: only {LIFETIMES[module]} has the module."
            context.report("OC121", node, message, " ".join(advice_on(name) for name in others))


def _doubt(context: Context, fact: ImportFact, others: list[str]) -> str:
    """Why it is not certain what the star brings, empty when it is."""
    stars = [one for one in context.survey.imports if isinstance(one.node.names, cst.ImportStar)]
    if others and len(stars) > 1:
        return f" {', '.join(others)} may come from it or from another star."
    start = context.syntax.span(fact.node)[0]
    names = {use.name for use in context.survey.uses() if use.start > start}
    for name in sorted(names & _KNOWN):
        for binding in context.survey.module.bindings.get(name, ()):
            origin = (context.names.imported(binding) or "").partition(".")[0]
            if binding.start < start and origin not in THIRD_PARTY.get(name, {context.move.source_root}):
                return f" It binds {name} anew, which the file has bound to something else above."
    return ""


def _unbound(context: Context) -> Iterable[str]:
    """Names that the module reads and nothing in it binds, those in ``__all__`` and in types written as text too."""
    for use in context.survey.uses():
        if use.scope.resolve(use.name, use.start) is None and not hasattr(builtins, use.name):
            yield use.name
    bound = context.survey.module.bindings
    for fact in context.survey.strings:
        value = literal(fact.node)
        if value in CLASSES and value not in bound and (fact.annotation or _in_all(context, fact.node)):
            yield value


def _in_all(context: Context, node: cst.CSTNode) -> bool:
    statements = (parent for parent, _ in context.ancestors(node) if isinstance(parent, cst.BaseSmallStatement))
    statement = next(statements, None)
    return statement is not None and context.syntax.code(statement).startswith("__all__")
