"""Where the text of a changed import statement goes.

Every name moves: only the module token changes. Some do: the statement keeps the rest, and the new statement comes
right after it, with the same indentation, line end and chain of semicolons; names keep their order, comments travel
with their names, lint pragmas are copied to both halves. Nothing is hoisted, sorted, merged or dropped. Which names
move is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

import libcst as cst

from codemods.comments import Comment
from codemods.facts import bound_name
from codemods.removal import removed
from codemods.syntax import FromImport, ImportStatement, PlainImport, Syntax
from codemods.trimming import Name, Trimming, trimmed

Change = tuple[int, int, str]


class Action(Enum):
    """What becomes of one name of an import statement."""

    STAY = "stay"
    MOVE = "move"
    """``from target import name``."""
    SWAP = "swap"
    """The module object itself: ``import target``."""
    DROP = "drop"
    """Of a plain import: nothing, because ``StatementPlan.twin`` imports the target already."""


@dataclass(eq=False)
class StatementPlan:
    """The decisions about one import statement."""

    node: ImportStatement
    actions: dict[cst.ImportAlias, Action] = field(default_factory=dict)
    add_import: bool = False
    rule: str = "OC001"
    written_out: tuple[Sequence[str], Sequence[str]] | None = None
    """Of a star: the names that come from the target, and those that still come from the module."""
    twin: ImportStatement | None = None
    """The statement that makes the dropped names needless."""

    @property
    def changes(self) -> bool:
        """Whether there is anything to do."""
        decided = any(action is not Action.STAY for action in self.actions.values())
        return self.add_import or self.written_out is not None or decided


class Unplaceable(Exception):
    """A change that cannot be written without losing a comment or breaking the block it stands in."""

    def __init__(self, reason: str, advice: str = "Move the comment, then migrate again.") -> None:
        super().__init__(reason)
        self.advice = advice


def placed(syntax: Syntax, comments: Sequence[Comment], plan: StatementPlan, target: str) -> list[Change]:
    """Return the changes that carry out ``plan``, as spans of the UTF-8 text and what replaces them.

    Raises:
        Unplaceable: see there.
    """
    return _Placement(syntax, comments, plan, target).changes()


def aliases(node: ImportStatement) -> Sequence[cst.ImportAlias]:
    """The names of an import statement; none for a star."""
    return () if isinstance(node.names, cst.ImportStar) else node.names


def _bind_one_name(node: FromImport, plan: StatementPlan) -> bool:
    """Whether a name that stays and one that goes are bound to the same name: the last one counts."""
    bound: dict[bool, set[str | None]] = {True: set(), False: set()}
    for alias in aliases(node):
        bound[plan.actions.get(alias, Action.STAY) is Action.STAY].add(bound_name(alias))
    return not bound[True].isdisjoint(bound[False])


class _Placement:
    def __init__(self, syntax: Syntax, comments: Sequence[Comment], plan: StatementPlan, target: str) -> None:
        self.syntax = syntax
        self.source = syntax.source
        self.plan = plan
        self.target = target
        self.start, self.end = syntax.span(plan.node)
        self.line_end = self.source.line_end(self.end)
        self.comments = [one for one in comments if self.start <= one.start < self.line_end]
        holder = syntax.parents[plan.node]
        assert isinstance(holder, (cst.SimpleStatementLine, cst.SimpleStatementSuite))
        only = len(holder.body) == 1 and isinstance(plan.node.semicolon, cst.MaybeSentinel)
        # A backslash after the statement joins the next line to it: nothing can begin there.
        joined = self.source.utf8[self.end : self.line_end].rstrip().endswith(b"\\")
        self.owns_line = only and isinstance(holder, cst.SimpleStatementLine) and not joined
        self.lazy = "lazy " if isinstance(plan.node, (cst.LazyImport, cst.LazyImportFrom)) else ""

    def changes(self) -> list[Change]:
        node = self.plan.node
        if isinstance(node, PlainImport):
            swapped = [one for one in node.names if self.plan.actions.get(one) is Action.SWAP]
            changes = [*self._dropped(node), *((*self.syntax.span(one.name), self.target) for one in swapped)]
            return [*changes, *self._after([self._import()])] if self.plan.add_import else changes
        return self._from(node)

    def _from(self, node: FromImport) -> list[Change]:
        names = [self._name(alias) for alias in aliases(node)]
        moved = [one for one in names if one.action is Action.MOVE]
        swapped = [one for one in names if one.action is Action.SWAP]
        stay = [one for one in names if one.action is Action.STAY]
        assert node.module is not None
        token: Change = (*self.syntax.span(node.module), self.target)
        if self.plan.written_out is not None:
            return self._written_out(node, token, *self.plan.written_out)
        if stay and not moved and not swapped:
            return self._after([self._import()])
        if stay and _bind_one_name(node, self.plan):
            reason = "it binds one name twice, and only one of the two moves"
            raise Unplaceable(reason, "Keep the one that counts, the last, then migrate again.")
        if not stay and not swapped:
            return [token, *self._after([self._import()] if self.plan.add_import else [])]
        if not stay and not moved:
            return self._replaced(swapped)
        leaving = [*moved, *swapped] if stay else swapped
        cut = trimmed(self.source, self.comments, names, leaving, (self.start, self.end))
        new: list[str] = []
        if stay and moved:
            new.append(self._from_statement(moved, cut))
        new += self._imports(swapped)
        changes = [(first, last, "") for first, last in cut.deletions]
        return [*([] if stay else [token]), *changes, *self._after(new, cut if not moved or not stay else None)]

    def _written_out(self, node: FromImport, token: Change, come: Sequence[str], stay: Sequence[str]) -> list[Change]:
        """A star becomes names; what still comes from the module keeps the statement."""
        star = self.syntax.span(node.names)  # type: ignore[arg-type]  # a star is a node
        if not stay:
            return [token, (*star, ", ".join(come))]
        return [(*star, ", ".join(stay)), *self._after([f"{self.lazy}from {self.target} import {', '.join(come)}"])]

    def _dropped(self, node: PlainImport) -> list[Change]:
        names = [self._name(alias) for alias in node.names]
        leaving = [one for one in names if one.action is Action.DROP]
        if not leaving or self.plan.twin is None:
            return []
        if len(leaving) < len(names):
            cut = trimmed(self.source, self.comments, names, leaving, (self.start, self.end))
            return [(first, last, "") for first, last in cut.deletions]
        return [removed(self.syntax, self.comments, node, self.plan.twin)]

    def _name(self, alias: cst.ImportAlias) -> Name:
        start, end = self.syntax.span(alias)
        text = self.source.utf8[start:end].decode("utf-8")
        if "#" in text or "\n" in text or "\r" in text:
            text = self.syntax.code(alias.name) + self._as_name(alias)
        return Name(start, end, text, self.plan.actions.get(alias, Action.STAY))

    def _as_name(self, alias: cst.ImportAlias) -> str:
        return f" as {self.syntax.code(alias.asname.name)}" if alias.asname is not None else ""

    def _import(self, rest: str = "") -> str:
        return f"{self.lazy}import {self.target}{rest}"

    def _imports(self, swapped: Sequence[Name]) -> list[str]:
        """One ``import target`` for each way the module is named."""
        rests = [text[len(text.split()[0]) :] for text in (one.text for one in swapped)]
        return [self._import(rest) for rest in dict.fromkeys([*rests, *([""] if self.plan.add_import else [])])]

    def _replaced(self, swapped: Sequence[Name]) -> list[Change]:
        """The whole statement becomes ``import target``."""
        inside = [one for one in self.comments if one.start < self.end]
        if inside and not self.owns_line:
            raise Unplaceable("a comment inside the statement has no place to go")
        tail = "".join(one.spaced for one in inside)
        first, *more = self._imports(swapped)
        return [(self.start, self.end, first + tail), *self._after(more)]

    def _from_statement(self, moved: Sequence[Name], cut: Trimming) -> str:
        """The new ``from target import ...``, with the comments that travel with its names."""
        head = f"{self.lazy}from {self.target} import "
        if not cut.travelling:
            return head + ", ".join(one.text for one in moved)
        lead = [one.text for notes in cut.travelling.values() for one in notes if one.own_line]
        trail = [one.spaced for notes in cut.travelling.values() for one in notes if not one.own_line]
        if len(moved) == 1 and self.owns_line:
            eol, indent = self._eol(), self._indent()
            return "".join(f"{text}{eol}{indent}" for text in lead) + head + moved[0].text + "".join(trail)
        return self._block(head, moved, cut)

    def _block(self, head: str, moved: Sequence[Name], cut: Trimming) -> str:
        """One name a line, in parentheses, each with its comments."""
        eol, indent = self._eol(), self._indent()
        inner = cut.indent if cut.indent is not None else indent + "    "
        lines = [head + "("]
        for one in moved:
            notes = cut.travelling.get(one.start, [])
            lines += [inner + note.text for note in notes if note.own_line]
            lines.append(f"{inner}{one.text},{''.join(note.spaced for note in notes if not note.own_line)}")
        return eol.join([*lines, f"{indent})"])

    def _after(self, statements: Sequence[str], cut: Trimming | None = None) -> list[Change]:
        """Put ``statements`` right after the statement, with copies of its lint pragmas."""
        if not statements:
            return []
        if cut is not None and cut.travelling:
            raise Unplaceable("a comment inside the statement belongs to a name that is no longer imported")
        if not self.owns_line:
            return [(self.end, self.end, "".join(f"; {text}" for text in statements))]
        pragmas = "".join(one.spaced for one in self._shared_pragmas())
        eol, indent = self._eol(), self._indent()
        new = "".join(f"{eol}{indent}{text}{pragmas}" for text in statements)
        return [(self.line_end, self.line_end, new)]

    def _shared_pragmas(self) -> list[Comment]:
        """Lint pragmas of the statement as a whole: after its end, or after the opening parenthesis."""
        first = min((self.syntax.span(alias)[0] for alias in aliases(self.plan.node)), default=self.end)
        one_line = self.source.line_end(self.start) == self.line_end
        shared = [one for one in self.comments if one.start >= self.end or (one.start < first and not one.own_line)]
        unique = {one.text: one for one in shared if one.is_pragma and (one_line or not one.own_line)}
        return list(unique.values())

    def _eol(self) -> str:
        return self.source.eol_at(self.line_end)

    def _indent(self) -> str:
        line, _ = self.source.position(self.start)
        start = self.source.line_starts[line - 1]
        text = self.source.utf8[start : self.start].decode("utf-8").rpartition("\f")[2]
        return text[: len(text) - len(text.lstrip(" \t"))]
