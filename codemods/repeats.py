"""Which imports a rewrite need not write, because the file has that very import beside them already.

The way there puts ``import orpo_compat`` after an ``import trl`` that stays; the way back would make two of the one
again. A statement is left out only when its twin stands in the same block, so that both run or neither does, and
above it, or below with nothing between that could read the name.
"""

from __future__ import annotations

import libcst as cst

from codemods.class_bodies import always_before
from codemods.context import Context
from codemods.facts import ImportFact
from codemods.references import Origin
from codemods.scopes import Scope
from codemods.syntax import ImportStatement, PlainImport, dotted

Line = cst.SimpleStatementLine | cst.SimpleStatementSuite


class Repeats:
    """The imports of ``target`` in one scope: those of the file, and those that are going to be written."""

    def __init__(self, context: Context, home: Scope) -> None:
        self.context = context
        self.there = [fact.node for fact in context.survey.imports if self._is_target(fact, home)]

    def _is_target(self, fact: ImportFact, home: Scope) -> bool:
        """Whether the statement has ``import target``, to the name of the scope that the uses will be read from."""
        if not isinstance(fact.node, PlainImport) or fact.scope is not home:
            return False
        named = (dotted(alias.name) for alias in fact.node.names if alias.asname is None)
        return self.context.move.target in named

    def add(self, node: ImportStatement) -> None:
        """Take note of a statement that will import the target."""
        self.there.append(node)

    def twin_of(self, origin: Origin) -> ImportStatement | None:
        """The import that makes this one needless on the way back; None on the way there, where nothing is dropped."""
        node = origin.fact.node
        if self.context.forward or origin.renamed or not isinstance(node, PlainImport):
            return None
        return self.beside(node)

    def beside(self, node: ImportStatement) -> ImportStatement | None:
        """An import of the target in the same block: above the statement, or below with imports between alone."""
        for other in self.there:
            if other is not node and self._in_one_block(other, node):
                above = self.context.syntax.span(other)[0] < self.context.syntax.span(node)[0]
                if above or self._only_imports_between(node, other):
                    return other
        return None

    def given_before(self, start: int) -> bool:
        """Whether one of the imports has always run before what stands at ``start``."""
        return any(self._precedes(node, start) for node in self.there)

    def _precedes(self, node: ImportStatement, start: int) -> bool:
        return always_before(self.context.syntax, node, start)

    def _line(self, node: ImportStatement) -> Line:
        line = self.context.syntax.parents[node]
        assert isinstance(line, Line)
        return line

    def _in_one_block(self, one: ImportStatement, other: ImportStatement) -> bool:
        first, second, parents = self._line(one), self._line(other), self.context.syntax.parents
        both_lines = isinstance(first, cst.SimpleStatementLine) and isinstance(second, cst.SimpleStatementLine)
        return first is second or (both_lines and parents[first] is parents[second])

    def _only_imports_between(self, first: ImportStatement, last: ImportStatement) -> bool:
        """Whether the statements from the one to the other, both in one block, are imports."""
        begin, end = (self.context.syntax.span(node) for node in (first, last))
        imports = {fact.node for fact in self.context.survey.imports}
        block = self.context.syntax.parents[self._line(first)]
        statements = block.body if isinstance(block, (cst.Module, cst.IndentedBlock)) else (self._line(first),)
        for line in statements:
            start, stop = self.context.syntax.span(line)
            between = start < end[1] and begin[0] < stop
            if between and not (isinstance(line, Line) and all(one in imports for one in line.body)):
                return False
        return True
