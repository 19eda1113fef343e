"""Parse, survey, run the rules, place the statements. Imported only for files that passed the triage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from codemods.catalog import Move
from codemods.context import Context, Replacement
from codemods.decode import Decoded, decoded
from codemods.errors import UnreadableSource
from codemods.findings import Finding
from codemods.options import Direction, Options
from codemods.placement import Unplaceable, placed
from codemods.rules import Phase, all_rules
from codemods.survey import surveyed
from codemods.syntax import Syntax, ast_accepts, compiles, libcst_accepts, parsed


@dataclass(frozen=True)
class Analysis:
    """What came out: changes of the UTF-8 text, findings, and the test the result must pass."""

    changes: tuple[Replacement, ...]
    findings: tuple[Finding, ...]
    accepts: Callable[[bytes], bool]


def analysed(text: Decoded, path: str, options: Options, move: Move, direction: Direction) -> Analysis:
    """Run every rule over one file.

    Raises:
        UnreadableSource: the text does not parse.
    """
    syntax = parsed(text)
    context = Context(surveyed(syntax), path, options, move, direction)
    for loaded in all_rules():
        if loaded.rule.phase is Phase.REPORT:
            _place(context)
        if not context.refused or loaded.rule.phase is Phase.LAST:
            loaded.apply(context)
        if context.refused:
            context.changes.clear()
            context.plans.clear()
    return Analysis(tuple(context.changes), tuple(context.findings), lambda result: _accepted(syntax, result))


def _place(context: Context) -> None:
    """Turn the decisions about statements into changes."""
    for fact in context.survey.imports:
        plan = context.plans.get(fact.node)
        if plan is None or not plan.changes or plan.node in context.settled:
            continue
        context.settled.add(plan.node)
        try:
            for start, end, new in placed(context.syntax, context.comments, plan, context.move.target):
                context.replace(start, end, new, plan.rule)
        except Unplaceable as error:
            context.refuse("OC106", plan.node, f"Left alone: {error}.", error.advice)


def _accepted(syntax: Syntax, result: bytes) -> bool:
    """Whether the result parses, and compiles, wherever the source did."""
    try:
        text = decoded(result).text
    except UnreadableSource:
        return False
    if not libcst_accepts(text) or (syntax.ast_reads_it and not ast_accepts(text)):
        return False
    return compiles(text) or not compiles(syntax.source.text)
