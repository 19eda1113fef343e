"""What the names of a module stand for: dotted paths, found through imports and scopes.

``Names.qualified`` answers for any expression; a ``Group`` is one name of one scope that imports bind to modules
the move is about, with every reference to it. Strings that a type checker reads as types count as references.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import libcst as cst

from codemods.catalog import Move
from codemods.class_bodies import second_home
from codemods.facts import ImportFact, StringFact, Survey
from codemods.scopes import Binding, Scope
from codemods.spelling import identifier
from codemods.syntax import FromImport, dotted

_TYPE_NAME = re.compile(r"[^\W\d]\w*(?:\s*\.\s*[^\W\d]\w*)*")


@dataclass(frozen=True)
class Step:
    """One ``.name`` of a reference: where the name starts and ends."""

    name: str
    start: int
    end: int
    node: cst.Attribute | None = None


@dataclass(eq=False)
class Reference:
    """A load of a name and the attributes read from it, in code (``node``) or in a type string."""

    name: str
    scope: Scope
    start: int
    end: int
    steps: tuple[Step, ...]
    node: cst.Name | None = None

    @property
    def chain(self) -> tuple[str, ...]:
        """Names of the attributes."""
        return tuple(step.name for step in self.steps)

    @property
    def whole(self) -> cst.CSTNode | None:
        """The outermost node of the chain."""
        return self.steps[-1].node if self.steps else self.node


@dataclass(eq=False)
class Origin:
    """An import alias that binds a module of interest."""

    binding: Binding
    fact: ImportFact
    alias: cst.ImportAlias
    path: str
    """What the bound name is: ``trl`` for ``import trl.trainer``."""
    module: str
    """What the statement loads: ``trl.trainer`` for ``import trl.trainer``."""
    renamed: bool
    """Bound by ``as``."""


@dataclass(eq=False)
class Group:
    """One name of one scope, bound by imports of modules of interest and perhaps by other things."""

    name: str
    home: Scope
    origins: list[Origin] = field(default_factory=list)
    foreign: list[Binding] = field(default_factory=list)
    references: list[Reference] = field(default_factory=list)
    doubtful: list[Reference] = field(default_factory=list)
    """References, of a class body, that may find this name or that of another scope: it is settled as they run."""

    @property
    def paths(self) -> frozenset[str]:
        """Every module the name can stand for."""
        return frozenset(origin.path for origin in self.origins)


class Names:
    """Answers what names stand for."""

    def __init__(self, survey: Survey, move: Move) -> None:
        self.survey = survey
        self.syntax = survey.syntax
        self.move = move
        self.facts = {fact.node: fact for fact in survey.imports}

    def imported(self, binding: Binding) -> str | None:
        """The dotted name an import binding stands for; None for bindings of any other kind."""
        alias = binding.node
        if not isinstance(alias, cst.ImportAlias) or binding.statement is None:
            return None
        path = dotted(alias.name)
        if isinstance(binding.statement, FromImport):
            if binding.statement.relative or binding.statement.module is None:
                return None
            return f"{dotted(binding.statement.module)}.{path}"
        return path if alias.asname is not None or path is None else path.partition(".")[0]

    def qualified(self, node: cst.CSTNode, scope: Scope) -> frozenset[str]:
        """Dotted names the expression can stand for; empty when any binding of its root is not an import."""
        found = self._readings(node, scope)
        return frozenset() if None in found else frozenset(str(one) for one in found)

    def possible(self, node: cst.CSTNode, scope: Scope) -> frozenset[str]:
        """Like ``qualified``, but what some bindings say counts even when others say nothing."""
        return frozenset(one for one in self._readings(node, scope) if one is not None)

    def _readings(self, node: cst.CSTNode, scope: Scope) -> set[str | None]:
        path = dotted(node)
        if path is None:
            return set()
        root, _, rest = path.partition(".")
        start = self.syntax.span(node)[0]
        homes = self._homes(scope, root, start)
        bindings = [
            one
            for home in homes
            for one in home.bindings[root]
            if not self._is_none(one) and not self._opens(one, start)
        ]
        found = [self.imported(binding) for binding in bindings]
        return {f"{one}.{rest}" if one is not None and rest else one for one in found}

    def _homes(self, scope: Scope, name: str, start: int) -> list[Scope]:
        """The scopes whose binding the load may find, the likely one first."""
        found = (scope.resolve(name, start), second_home(self.syntax, scope, name, start))
        return [one for one in found if one is not None]

    def _opens(self, binding: Binding, start: int) -> bool:
        """Whether the binding is a class in whose head the offset lies: ``class A(A)`` reads the A before it."""
        if not isinstance(binding.node, cst.ClassDef):
            return False
        return self.syntax.span(binding.node)[0] <= start < self.syntax.span(binding.node.body)[0]

    def _is_none(self, binding: Binding) -> bool:
        """Whether the binding is the ``name = None`` that stands in for an import that failed."""
        target = self.syntax.parents.get(binding.node)
        assign = self.syntax.parents.get(target) if isinstance(target, cst.AssignTarget) else None
        return isinstance(assign, cst.Assign) and isinstance(assign.value, cst.Name) and assign.value.value == "None"

    def is_moved_class(self, node: cst.CSTNode, scope: Scope) -> str | None:
        """``ORPOTrainer`` or ``ORPOConfig`` when the expression can only be that class of either side, else None."""
        found = self.qualified(node, scope)
        names = {one.rpartition(".")[2] for one in found}
        if len(names) == 1 and all(self.move.moves(one) or one in self._targets() for one in found):
            return names.pop()
        return None

    def _targets(self) -> frozenset[str]:
        names = {name for moved in self.move.sources.values() for name in moved}
        return frozenset(f"{self.move.target}.{name}" for name in names)

    @cached_property
    def groups(self) -> list[Group]:
        """Names bound to modules of interest, in source order, with their references."""
        groups: dict[tuple[Scope, str], Group] = {}
        for scope in self.survey.module.walk():
            for name, bindings in scope.bindings.items():
                group = self._group(name, scope, bindings)
                if group.origins:
                    groups[scope, name] = group
        interesting = {name for _, name in groups}
        for reference in self._references(interesting):
            homes = self._homes(reference.scope, reference.name, reference.start)
            for group in (groups[home, reference.name] for home in homes if (home, reference.name) in groups):
                group.references.append(reference)
                if len(homes) > 1:
                    group.doubtful.append(reference)
        return list(groups.values())

    def _group(self, name: str, scope: Scope, bindings: Sequence[Binding]) -> Group:
        group = Group(name, scope)
        for binding in bindings:
            path = self.imported(binding)
            if path in self.move.packages and isinstance(binding.node, cst.ImportAlias):
                assert path is not None
                assert binding.statement is not None
                fact = self.facts[binding.statement]  # type: ignore[index]
                renamed = binding.node.asname is not None
                plain = not isinstance(fact.node, FromImport)
                module = str(dotted(binding.node.name)) if plain else path
                group.origins.append(Origin(binding, fact, binding.node, path, module, renamed))
            else:
                group.foreign.append(binding)
        return group

    def _references(self, names: set[str]) -> Iterator[Reference]:
        for use in self.survey.uses():
            if use.name in names:
                start, end = self.syntax.span(use.node)
                yield Reference(use.name, use.scope, start, end, tuple(self._steps(use.node)), use.node)
        for fact in self.survey.strings:
            if fact.annotation:
                yield from self._in_string(fact, names)

    def _steps(self, node: cst.CSTNode) -> Iterator[Step]:
        parent = self.syntax.parents.get(node)
        while isinstance(parent, cst.Attribute) and parent.value is node:
            start, end = self.syntax.span(parent.attr)
            yield Step(parent.attr.value, start, end, parent)
            node, parent = parent, self.syntax.parents.get(parent)

    def _in_string(self, fact: StringFact, names: set[str]) -> Iterator[Reference]:
        if not isinstance(fact.node, cst.SimpleString):
            return
        content = fact.node.raw_value
        if fact.node.prefix or "\\" in content or "'" in content or '"' in content:
            return
        offset = self.syntax.span(fact.node)[0] + len(fact.node.quote)
        for match in _TYPE_NAME.finditer(content):
            words = list(re.finditer(r"\w+", match.group()))
            steps = []
            for word in words:
                start = offset + len(content[: match.start() + word.start()].encode())
                steps.append(Step(identifier(word.group()), start, start + len(word.group().encode())))
            root, *rest = steps
            if root.name in names:
                yield Reference(root.name, fact.scope, root.start, root.end, tuple(rest))
