"""What the rules of one rewrite share: the facts, the decisions and the findings so far.

Rules read ``survey`` and ``names``, record decisions in ``plans`` and ``changes`` and findings through ``report``.
Offsets are offsets in the UTF-8 text. ``refuse`` makes the whole file read-only, with one finding that says why.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import libcst as cst

from codemods.catalog import Move
from codemods.comments import Comment, comments_of
from codemods.findings import Finding, Severity
from codemods.options import Direction, Options
from codemods.placement import Action, StatementPlan, aliases
from codemods.references import Names
from codemods.survey import ImportFact, Survey
from codemods.syntax import ImportStatement, Syntax, dotted


@dataclass(frozen=True)
class Replacement:
    """A change of the UTF-8 text by one rule."""

    start: int
    end: int
    new: str
    rule: str


class Context:
    """One file under the rules."""

    def __init__(self, survey: Survey, path: str, options: Options, move: Move, direction: Direction) -> None:
        self.survey = survey
        self.syntax: Syntax = survey.syntax
        self.source = survey.syntax.source
        self.path = path
        self.options = options
        self.move = move
        self.forward = direction is Direction.FORWARD
        self.names = Names(survey, move)
        self.plans: dict[ImportStatement, StatementPlan] = {}
        self.changes: list[Replacement] = []
        self.findings: list[Finding] = []
        self.settled: set[cst.CSTNode] = set()
        self.refused = False

    @cached_property
    def comments(self) -> list[Comment]:
        """Every comment of the module."""
        return comments_of(self.syntax)

    def plan(self, node: ImportStatement) -> StatementPlan:
        """The decisions about an import statement, to be added to."""
        return self.plans.setdefault(node, StatementPlan(node))

    def decided(self, action: Action) -> Iterator[tuple[ImportFact, cst.ImportAlias]]:
        """Import names with that decision, in source order."""
        for fact in self.survey.imports:
            plan = self.plans.get(fact.node)
            for alias in aliases(fact.node) if plan else ():
                if plan and plan.actions.get(alias) is action:
                    yield fact, alias

    def replace(self, start: int, end: int, new: str, rule: str) -> None:
        """Replace a span of the UTF-8 text."""
        self.changes.append(Replacement(start, end, new, rule))

    def report(
        self,
        code: str,
        where: cst.CSTNode | int,
        message: str,
        advice: str,
        severity: Severity = Severity.WARNING,
    ) -> None:
        """Add a finding, once per code and line."""
        offset = where if isinstance(where, int) else self.syntax.span(where)[0]
        line, column = self.source.position(offset)
        if not any(one.code == code and one.line == line for one in self.findings):
            self.findings.append(Finding(code, self.path, line, column, message, advice, severity))

    def refuse(
        self,
        code: str,
        where: cst.CSTNode | int,
        message: str,
        advice: str,
        severity: Severity = Severity.WARNING,
    ) -> None:
        """Leave the whole file as it is."""
        self.report(code, where, message, advice, severity)
        self.refused = True

    def touched(self, line: int) -> bool:
        """Whether a finding lies on that line."""
        return any(one.line == line for one in self.findings)

    def ancestors(self, node: cst.CSTNode) -> Iterator[tuple[cst.CSTNode, cst.CSTNode]]:
        """Pairs (parent, child on the way) from ``node`` up to the module."""
        parent = self.syntax.parents.get(node)
        while parent is not None:
            yield parent, node
            node, parent = parent, self.syntax.parents.get(parent)

    def concerns_source(self, module: str | None) -> bool:
        """Whether the dotted module belongs to the package that names move away from."""
        return module is not None and module.partition(".")[0] == self.move.source_root


def literal(node: cst.CSTNode | None) -> str | None:
    """The value of a plain string literal, None for anything else."""
    if isinstance(node, (cst.SimpleString, cst.ConcatenatedString)):
        value = node.evaluated_value
        return value if isinstance(value, str) else None
    return None


def callee(call: cst.Call) -> str:
    """Dotted name of what is called; ``?.name`` when only its last part is a name, and empty without one."""
    path = dotted(call.func)
    if path is not None:
        return path
    return f"?.{call.func.attr.value}" if isinstance(call.func, cst.Attribute) else ""
