"""The references to one name that stands for a TRL module, sorted: those that reach a class, and the rest.

Also what of the module's text needs the name. What follows from it is decided in ``codemods.module_moves``, what
forbids it in ``codemods.obstacles``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import libcst as cst

from codemods.context import Context, callee, literal
from codemods.facts import StringFact
from codemods.references import Group, Reference
from codemods.scopes import Kind
from codemods.syntax import dotted

RULE_CODE = "OC002"
_NAMESPACE = re.compile(r"\b(?:globals|locals|vars)\s*\(|sys\.modules\[__name__\]")


@dataclass(eq=False)
class Moved:
    """A reference that reaches a class which moves: ``depth`` attributes lead to it, the class included."""

    reference: Reference
    depth: int


@dataclass(eq=False)
class ModuleUses:
    """One group with its references sorted."""

    context: Context
    group: Group
    moved: list[Moved] = field(default_factory=list)
    stays: list[Reference] = field(default_factory=list)

    def __post_init__(self) -> None:
        for reference in self.group.references:
            found = self._moved(reference) if self._is_settled(reference) else None
            if found is not None and not self.context.silenced(reference.start, RULE_CODE):
                self.moved.append(found)
            else:
                self.stays.append(reference)

    def _is_settled(self, reference: Reference) -> bool:
        """Whether the reference can only find this name, or the group is the class's own, where obstacles are told."""
        return reference not in self.group.doubtful or self.group.home.kind is Kind.CLASS

    def _moved(self, reference: Reference) -> Moved | None:
        if self._is_plain_getattr(reference):
            return Moved(reference, len(reference.steps) + 1)
        for depth in range(1, len(reference.steps) + 1):
            chain = ".".join(reference.chain[:depth])
            if all(self.context.move.moves(f"{path}.{chain}") for path in self.group.paths):
                return Moved(reference, depth)
        return None

    def _is_plain_getattr(self, reference: Reference) -> bool:
        """``getattr(trl, "ORPOTrainer")`` without a default, where strings may be read as names."""
        call = self.call_on(reference) if self.context.options.strings else None
        if call is None or callee(call) != "getattr" or len(call.args) != 2:
            return False
        name = literal(call.args[1].value)
        return all(self.context.move.moves(".".join((path, *reference.chain, str(name)))) for path in self.group.paths)

    def reached(self, reference: Reference) -> tuple[str, int]:
        """The deepest module of interest the reference goes through, and how many steps lead to it."""
        path, depth = min(self.group.paths), 0
        for step in reference.steps:
            if f"{path}.{step.name}" not in self.context.move.packages:
                break
            path, depth = f"{path}.{step.name}", depth + 1
        return path, depth

    def call_on(self, reference: Reference) -> cst.Call | None:
        """The call whose first positional argument the reference is."""
        arg = self.context.syntax.parents.get(reference.whole) if reference.whole is not None else None
        if not isinstance(arg, cst.Arg):
            return None
        call = self.context.syntax.parents.get(arg)
        return call if isinstance(call, cst.Call) and call.args and call.args[0] is arg else None

    def keeps_alias(self) -> bool:
        """Whether every import names the module with ``as``."""
        return all(origin.renamed for origin in self.group.origins)

    def must_stay(self) -> bool:
        """Whether something still needs the name."""
        return bool(self.stays) or self.exported() or self._named_in_text()

    def exported(self) -> bool:
        """Whether others may reach the name: of a package, of a class, in ``__all__`` or looked up by its name."""
        if self.group.home.kind is Kind.CLASS:
            attributes = (node for node in self.context.syntax.spans if isinstance(node, cst.Attribute))
            return any(node.attr.value == self.group.name for node in attributes)
        if self.group.home is not self.context.survey.module:
            return False
        if self.context.path.endswith("__init__.py") or self.group.name in self.context.options.lent:
            return True
        named = [fact.node for fact in self.context.survey.strings if literal(fact.node) == self.group.name]
        return any(self._names_a_binding(node) for node in named)

    def _names_a_binding(self, node: cst.CSTNode) -> bool:
        for parent, _ in self.context.ancestors(node):
            if isinstance(parent, cst.BaseSmallStatement):
                code = self.context.syntax.code(parent)
                return code.startswith("__all__") or _NAMESPACE.search(code) is not None
        return False

    def _named_in_text(self) -> bool:
        """Whether a type comment, a doctest or evaluated text reads an attribute of the name."""
        pattern = re.compile(rf"(?<![\w.]){re.escape(self.group.name)}\s*\.\s*\w")
        for comment in self.context.comments:
            if comment.text.lstrip("# ").startswith("type:") and pattern.search(comment.text):
                return True
        for fact in self.context.survey.strings:
            value = literal(fact.node)
            if value is None or not pattern.search(value):
                continue
            parent = self.context.syntax.parents.get(fact.node)
            call = self.context.syntax.parents.get(parent) if isinstance(parent, cst.Arg) else None
            if ">>>" in value or (isinstance(call, cst.Call) and callee(call) in {"eval", "exec"}):
                return True
            if self._is_unread_type(fact):
                return True
        return False

    def _is_unread_type(self, fact: StringFact) -> bool:
        """Whether the string may be a type whose names are not rewritten: one in quotes within quotes, or an alias."""
        if fact.annotation:
            start, end = self.context.syntax.span(fact.node)
            return not any(start < one.start < end for one in self.group.references)
        index = self.context.syntax.parents.get(fact.node)
        if not isinstance(index, cst.Index):
            return False
        subscript = self.context.syntax.parents[self.context.syntax.parents[index]]
        return not (isinstance(subscript, cst.Subscript) and (dotted(subscript.value) or "").endswith("Literal"))
