"""What forbids moving the uses of a name that stands for a TRL module.

A name that is rebound, deleted or probed, a class that is also looked up or patched by its name in a string, a target
whose name is taken: the uses stay, each with a finding.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import libcst as cst

from codemods.class_bodies import always_before
from codemods.context import callee, literal
from codemods.module_uses import RULE_CODE, ModuleUses
from codemods.placement import Action
from codemods.references import Reference
from codemods.scopes import Kind, Scope
from codemods.string_patches import string_patch


@dataclass(frozen=True)
class Obstacle:
    """A finding's code, its place, the reason and the advice."""

    code: str
    where: int
    reason: str
    advice: str


def forbidden(uses: ModuleUses) -> bool:
    """Report what forbids a change, at its place and at every use that stays because of it."""
    if not uses.moved:
        return False
    for look in (
        _foreign,
        _declared_global,
        _in_class_too,
        _probed,
        _patched,
        _looked_up,
        _taken,
        _bound_later,
        _captured,
    ):
        found = look(uses)
        if found is not None:
            message = f"{found.reason}, so the uses of {uses.group.name} stay."
            uses.context.report(found.code, found.where, message, found.advice)
            for one in uses.moved:
                where = one.reference.start
                uses.context.report(found.code, where, f"This use stays: {found.reason}.", found.advice)
            return True
    return any(uses.context.silenced(origin.fact.node, RULE_CODE) for origin in uses.group.origins)


def _foreign(uses: ModuleUses) -> Obstacle | None:
    """Something other than an import of TRL binds the name, or deletes it."""
    if not uses.group.foreign:
        return None
    first, name = uses.group.foreign[0], uses.group.name
    what = "deleted" if first.deletes else "bound to something else as well"
    code = "OC107" if _is_guard(uses) else "OC106"
    return Obstacle(code, first.start, f"{name!r} is {what}", f"Give {name} one meaning.")


def _is_guard(uses: ModuleUses) -> bool:
    """Whether the other binding is the ``name = None`` of an import guard."""
    for binding in uses.group.foreign:
        parents = [parent for parent, _ in uses.context.ancestors(binding.node)]
        if any(isinstance(parent, cst.ExceptHandler) for parent in parents):
            return True
    return False


def _declared_global(uses: ModuleUses) -> Obstacle | None:
    if all(origin.binding.scope is uses.group.home for origin in uses.group.origins):
        return None
    where, name = uses.group.origins[0].binding.start, uses.group.name
    return Obstacle("OC106", where, f"{name!r} is imported through a global statement", "Import it above.")


def _in_class_too(uses: ModuleUses) -> Obstacle | None:
    """A use in a class body may find the class's name or the module's: which of the two is decided as it runs."""
    if uses.group.home.kind is not Kind.CLASS or not uses.group.doubtful:
        return None
    where, name = uses.group.origins[0].binding.start, uses.group.name
    return Obstacle("OC106", where, f"{name!r} is bound in the class and outside it", "Import it once.")


def _probed(uses: ModuleUses) -> Obstacle | None:
    """A ``hasattr`` that asks for one of the classes, or for a name nobody can see."""
    for reference in uses.stays:
        call = uses.call_on(reference)
        path, depth = uses.reached(reference)
        if call is None or len(call.args) < 2 or callee(call) != "hasattr" or depth != len(reference.steps):
            continue
        name = literal(call.args[1].value)
        if name is None or uses.context.move.moves(f"{path}.{name}") or "orpo" in name:
            advice = f"{uses.context.move.target} always has it: drop the question, then migrate again."
            return Obstacle("OC107", reference.start, "The program asks whether TRL has ORPO", advice)
    return None


def _patched(uses: ModuleUses) -> Obstacle | None:
    """A patch names the class by a string, which stays: the uses must stay with it."""
    patch = string_patch(uses.context)
    if patch is None:
        return None
    where = uses.context.syntax.span(patch)[0]
    advice = "Move both together by hand, or with --strings."
    return Obstacle("OC103", where, "A patch names the class in TRL by a string", advice)


def _looked_up(uses: ModuleUses) -> Obstacle | None:
    """A class is also got with ``getattr``, which stays."""
    for reference in uses.stays:
        name = _name_read(uses, reference)
        if all(uses.context.move.moves(f"{path}.{name}") for path in uses.group.paths):
            advice = f"Import {name} from {uses.context.move.target}, then migrate again."
            return Obstacle("OC105", reference.start, f"{name} is also looked up by name", advice)
    return None


def _name_read(uses: ModuleUses, reference: Reference) -> str | None:
    call = uses.call_on(reference)
    if call is None or callee(call) != "getattr" or len(call.args) < 2:
        return None
    return ".".join((*reference.chain, literal(call.args[1].value) or ""))


def _bound_later(uses: ModuleUses) -> Obstacle | None:
    """A function has the target as a name of its own, perhaps not yet bound where the use stands."""
    if uses.keeps_alias() and not uses.must_stay():
        return None
    target = uses.context.move.target_root
    for one in uses.moved:
        scope: Scope | None = one.reference.scope
        while scope is not None and scope is not uses.group.home:
            statements = list(_statements_that_bind(uses, scope)) if scope.kind is Kind.FUNCTION else []
            start, syntax = one.reference.start, uses.context.syntax
            if statements and not any(always_before(syntax, statement, start) for statement in statements):
                where = syntax.span(statements[0])[0]
                return Obstacle("OC110", where, f"{target!r} may not be imported here yet", "Import it further up.")
            scope = scope.parent
    return None


def _captured(uses: ModuleUses) -> Obstacle | None:
    """A function reads the target's name from outside before the import that would make it a name of its own."""
    home, target = uses.group.home, uses.context.move.target_root
    if home.kind is not Kind.FUNCTION or home.bindings.get(target) or (uses.keeps_alias() and not uses.must_stay()):
        return None
    for scope in home.walk():
        for use in (one for one in scope.uses if one.name == target):
            found = scope.resolve(target, use.start)
            inside = found is not None and found is not home and found in home.walk()
            if found is None or inside or _always_imported(uses, use.start):
                continue
            advice = "Import it further up."
            return Obstacle("OC110", use.start, f"{target!r} is read here, and would be imported only later", advice)
    return None


def _always_imported(uses: ModuleUses, start: int) -> bool:
    syntax = uses.context.syntax
    return any(always_before(syntax, origin.fact.node, start) for origin in uses.group.origins)


def _statements_that_bind(uses: ModuleUses, scope: Scope) -> Iterator[cst.CSTNode]:
    """Imports that make the target a name of the scope, and those decided to (inner scopes are decided first)."""
    for binding in scope.bindings.get(uses.context.move.target_root, ()):
        if binding.statement is not None:
            yield binding.statement
    for fact in uses.context.survey.imports:
        plan = uses.context.plans.get(fact.node) if fact.scope is scope else None
        swapped = (alias for alias, action in plan.actions.items() if action is Action.SWAP) if plan else ()
        if plan is not None and (plan.add_import or any(alias.asname is None for alias in swapped)):
            yield fact.node


def _taken(uses: ModuleUses) -> Obstacle | None:
    """The name that the uses would be written with means something else where they stand."""
    if uses.keeps_alias() and not uses.must_stay():
        return None
    target, names = uses.context.move.target_root, uses.context.names
    for scope in (uses.group.home, *(one.reference.scope for one in uses.moved)):
        home = scope.resolve(target)
        for binding in home.bindings[target] if home is not None else ():
            if names.imported(binding) != target:
                where = uses.context.syntax.span(binding.node)[0]
                advice = (
                    f"Rename it, or import the classes by name: from {uses.context.move.target} import ORPOTrainer."
                )
                return Obstacle("OC110", where, f"{target!r} names something else here", advice)
    return None
