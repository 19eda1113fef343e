"""Report code that still reaches TRL's ORPO when everything else has run.

Whatever is neither rewritten nor spoken for gets a finding here, so that a search for the names after a migration
gives only lines that the report lists. A file that was left alone as a whole lists each such line with the reason.
"""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst

from codemods.context import Context
from codemods.placement import Action, aliases
from codemods.rules import Example, Phase, Rule
from codemods.rules.class_names import speaks_of_source
from codemods.scopes import Scope
from codemods.syntax import FromImport, dotted
from codemods.unnamed_reads import unnamed_reads

RULE = Rule(
    code="OC126",
    title="left as it is",
    why="the names are gone from TRL 0.29, whether or not this tool can move them",
    message="every remaining import and use that nothing else reports",
    example=Example("# orpo-compat: ignore-file[OC999]\nprint('trl ORPO')\n", None),
    phase=Phase.LAST,
)

ALSO = (
    Rule(
        code="OC115",
        title="cannot decode or parse",
        why="Python 2, another encoding or a broken file; its ORPO imports fail since TRL 0.29 like any other",
        message="the whole file stays",
        example=Example("from trl import ORPOTrainer\nx = = 1\n", None),
        phase=Phase.LAST,
    ),
)


def apply(context: Context) -> None:
    """List what remains, with the code of the refusal if there was one."""
    refusal = context.refusal
    for offset, what in _remaining(context):
        if context.covered(offset):
            continue
        if refusal is not None:
            reason = f"{what} stays: see line {refusal.line}."
            context.report(refusal.code, offset, reason, refusal.advice, refusal.severity)
        else:
            context.report("OC126", offset, f"{what} stays.", "Move it by hand.")


def _remaining(context: Context) -> Iterator[tuple[int, str]]:
    for fact in context.survey.imports:
        module = None if not isinstance(fact.node, FromImport) or fact.node.relative else dotted(fact.node.module)
        plan = context.plans.get(fact.node)
        for alias in aliases(fact.node):
            name = dotted(alias.name) or ""
            path = f"{module}.{name}" if module else name
            stays = plan is None or plan.actions.get(alias, Action.STAY) is Action.STAY
            about = context.move.moves(path) or path in context.move.modules
            if about and stays and (module or not isinstance(fact.node, FromImport)):
                yield context.syntax.span(fact.node)[0], f"The import of {path}"
        if module in context.move.modules and isinstance(fact.node.names, cst.ImportStar):
            start, end = context.syntax.span(fact.node)
            if not any(start <= one.start < end for one in context.changes):
                yield start, f"The star of {module}"
    for use in context.survey.uses():
        yield from _chain(context, use.node, use.scope, use.start)
    for node in unnamed_reads(context) if speaks_of_source(context) else ():
        yield context.syntax.span(node)[0], f"What {' '.join(context.syntax.code(node).split())} reads"


def _chain(context: Context, node: cst.CSTNode, scope: Scope, start: int) -> Iterator[tuple[int, str]]:
    """An attribute chain that reads a class which moves, and was not rewritten."""
    parent = context.syntax.parents.get(node)
    while isinstance(parent, cst.Attribute) and parent.value is node:
        node, parent = parent, context.syntax.parents.get(parent)
        found = context.names.possible(node, scope)
        if any(context.move.moves(one) for one in found):
            if not any(one.start <= start < one.end for one in context.changes):
                yield start, f"The use of {context.syntax.code(node)}"
            return
