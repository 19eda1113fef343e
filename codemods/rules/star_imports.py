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
from codemods.syntax import FromImport, dotted

RULE = Rule(
    code="OC101",
    title="star import",
    why="`trl.trainer.orpo_trainer` is gone since TRL 0.29; the star of `trl` has no ORPO since then",
    message="a star of an ORPO module becomes the names in use, if it brings nothing else; other stars stay",
    example=Example(
        "from trl.trainer.orpo_trainer import *\n\nargs = ORPOConfig('out')\n",
        "from orpo_compat import ORPOConfig\n\nargs = ORPOConfig('out')\n",
    ),
    phase=Phase.EDIT,
    edits=True,
)


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
            _write_out(context, fact, module, wanted, used)
        elif wanted:
            context.report(
                "OC101",
                node,
                f"{' and '.join(wanted)} can only come from this star, which binds what the installed TRL has.",
                f"Add: from {context.move.target} import {', '.join(wanted)}.",
            )


def _write_out(context: Context, fact: ImportFact, module: str, wanted: list[str], used: set[str]) -> None:
    node = fact.node
    assert isinstance(node, FromImport)
    assert node.module is not None
    assert isinstance(node.names, cst.ImportStar)
    others = sorted(used & (THIRD_PARTY | set(HELPER_HOMES)))
    passed_on = context.path.endswith("__init__.py") or fact.scope is not context.survey.module
    if not wanted or others or passed_on:
        brings = f" It also brings {', '.join(others)}." if others else ""
        context.report(
            "OC101",
            node,
            f"The star of {module} stays; only {LIFETIMES[module]} has the module.{brings}",
            f"Import what is needed by name, the classes from {context.move.target}.",
            Severity.WARNING,
        )
    elif not context.silenced(node, RULE.code):
        context.replace(*context.syntax.span(node.module), context.move.target, RULE.code)
        context.replace(*context.syntax.span(node.names), ", ".join(wanted), RULE.code)


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
