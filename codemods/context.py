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
from codemods.facts import ImportFact, Survey
from codemods.findings import Finding, Severity
from codemods.options import Direction, Options
from codemods.placement import Action, StatementPlan, aliases
from codemods.references import Names
from codemods.suppression import Suppression, suppressions
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
        self.excused: set[int] = set()
        self.refusal: Finding | None = None

    @cached_property
    def comments(self) -> list[Comment]:
        """Every comment of the module."""
        return comments_of(self.syntax)

    @cached_property
    def suppressions(self) -> list[Suppression]:
        """Comments that ask for lines to be left alone."""
        return suppressions(self.source, self.comments)

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
        """Add a finding, once per code and line; a suppressed one becomes a note that it is."""
        offset = where if isinstance(where, int) else self.syntax.span(where)[0]
        line, column = self.source.position(offset)
        if code != "OC116" and self.silenced(where, code):
            return
        if not any(one.code == code and one.line == line for one in self.findings):
            self.findings.append(Finding(code, self.path, line, column, message, advice, severity))

    def silenced(self, where: cst.CSTNode | int, code: str) -> bool:
        """Whether a comment suppresses ``code`` on the lines of ``where``; if so, say it once."""
        start, end = (where, where) if isinstance(where, int) else self.syntax.span(where)
        first, last = self.source.position(start)[0], self.source.position(end)[0]
        for one in self.suppressions:
            if one.covers(first, last, code):
                one.used = True
                self.report("OC116", start, f"{code} is suppressed here by a comment.", one.advice, Severity.INFO)
                return True
        return False

    def refuse(
        self,
        code: str,
        where: cst.CSTNode | int,
        message: str,
        advice: str,
        severity: Severity = Severity.WARNING,
    ) -> None:
        """Leave the whole file as it is."""
        before = len(self.findings)
        self.report(code, where, message, advice, severity)
        if len(self.findings) > before and self.findings[-1].code == code:
            self.refusal = self.findings[-1]

    @property
    def refused(self) -> bool:
        """Whether the file is to be left as it is."""
        return self.refusal is not None

    def excuse(self, where: cst.CSTNode) -> None:
        """Count the lines of a node as dealt with."""
        start, end = self.syntax.span(where)
        self.excused.update(range(self.source.position(start)[0], self.source.position(end)[0] + 1))

    def covered(self, offset: int, end: int | None = None) -> bool:
        """Whether a finding or an excuse speaks for its line, or a change for bytes from ``offset`` to ``end``."""
        line = self.source.position(offset)[0]
        if line in self.excused or any(one.line == line for one in self.findings):
            return True
        end = offset + 1 if end is None else end
        return any(one.start < end and offset < one.end for one in self.changes)

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
    """The value of a string written out, in one piece or added up; None for anything else."""
    if isinstance(node, cst.ConcatenatedString):
        left, right = literal(node.left), literal(node.right)
        return None if left is None or right is None else left + right
    if isinstance(node, cst.BinaryOperation) and isinstance(node.operator, cst.Add):
        left, right = literal(node.left), literal(node.right)
        return None if left is None or right is None else left + right
    if isinstance(node, cst.FormattedString):
        return _constant(node)
    value = node.evaluated_value if isinstance(node, cst.SimpleString) else None
    return value if isinstance(value, str) else None


def _constant(node: cst.FormattedString) -> str | None:
    """The value of an f-string without placeholders."""
    texts = [part.value for part in node.parts if isinstance(part, cst.FormattedStringText)]
    if len(texts) < len(node.parts) or "\\" in "".join(texts):
        return None
    return "".join(texts).replace("{{", "{").replace("}}", "}")


def callee(call: cst.Call) -> str:
    """Dotted name of what is called; ``?.name`` when only its last part is a name, and empty without one."""
    path = dotted(call.func)
    if path is not None:
        return path
    return f"?.{call.func.attr.value}" if isinstance(call.func, cst.Attribute) else ""
