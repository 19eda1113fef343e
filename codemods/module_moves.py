"""What becomes of one name that stands for a TRL module: its uses, and the imports that bind it.

Used by the rule for module imports. A name that is rebound, deleted or probed is left alone with a finding; a name
that escapes as a value keeps its import.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import libcst as cst

from codemods.catalog import LIFETIMES
from codemods.context import Context, callee, literal
from codemods.findings import Severity
from codemods.placement import Action
from codemods.references import Group, Origin, Reference
from codemods.string_patches import string_patch
from codemods.syntax import FromImport

RULE_CODE = "OC002"


@dataclass(eq=False)
class Moved:
    """A reference that reaches a class which moves: ``depth`` attributes lead to it, the class included."""

    reference: Reference
    depth: int
    modules: frozenset[str]


@dataclass(eq=False)
class ModuleMove:
    """Decides for one group."""

    context: Context
    group: Group
    moved: list[Moved] = field(default_factory=list)
    stays: list[Reference] = field(default_factory=list)

    def decide(self) -> None:
        """Sort the references, then decide about the imports unless something forbids it."""
        for reference in self.group.references:
            found = self._moved(reference)
            if found is not None and not self.context.silenced(reference.start, RULE_CODE):
                self.moved.append(found)
            else:
                self.stays.append(reference)
        if self._forbidden():
            return
        for reference in self.stays:
            self._report_stay(reference)
        if self.moved:
            self._carry_out()
        self._report_orpo_modules()

    # What the references are.

    def _moved(self, reference: Reference) -> Moved | None:
        if self._is_plain_getattr(reference):
            modules = frozenset(".".join((path, *reference.chain)) for path in self.group.paths)
            return Moved(reference, len(reference.steps) + 1, modules)
        for depth in range(1, len(reference.steps) + 1):
            chain = ".".join(reference.chain[:depth])
            if all(self.context.move.moves(f"{path}.{chain}") for path in self.group.paths):
                modules = frozenset(f"{path}.{chain}".rpartition(".")[0] for path in self.group.paths)
                return Moved(reference, depth, modules)
        return None

    def _is_plain_getattr(self, reference: Reference) -> bool:
        """``getattr(trl, "ORPOTrainer")`` without a default, where strings may be read as names."""
        call = self._call_on(reference) if self.context.options.strings else None
        if call is None or callee(call) != "getattr" or len(call.args) != 2:
            return False
        name = literal(call.args[1].value)
        return all(self.context.move.moves(".".join((path, *reference.chain, str(name)))) for path in self.group.paths)

    def _reached(self, reference: Reference) -> tuple[str, int]:
        """The deepest module of interest the reference goes through, and how many steps lead to it."""
        path, depth = min(self.group.paths), 0
        for step in reference.steps:
            if f"{path}.{step.name}" not in self.context.move.packages:
                break
            path, depth = f"{path}.{step.name}", depth + 1
        return path, depth

    # What forbids a change.

    def _forbidden(self) -> bool:
        """Report what forbids a change, at its place and at every use that stays because of it."""
        if not self.moved:
            return False
        group, target = self.group, self.context.move.target
        if group.foreign:
            what = "deleted" if group.foreign[0].deletes else "bound to something else as well"
            code = "OC107" if self._is_guard() else "OC106"
            self._forbid(code, group.foreign[0].start, f"{group.name!r} is {what}", f"Give {group.name} one meaning.")
            return True
        if any(origin.binding.scope is not group.home for origin in group.origins):
            where = group.origins[0].binding.start
            self._forbid("OC106", where, f"{group.name!r} is imported through a global statement", "Import it above.")
            return True
        probe = self._probe()
        if probe is not None:
            advice = f"{target} always has it: drop the question, then migrate again."
            self._forbid("OC107", probe.start, "The program asks whether TRL has ORPO", advice)
            return True
        if self._looked_up():
            return True
        taken = self._target_taken()
        if taken is not None:
            name = self.context.move.target_root
            advice = f"Rename it, or import the classes by name: from {target} import ORPOTrainer."
            self._forbid("OC110", self.context.syntax.span(taken)[0], f"{name!r} names something else here", advice)
            return True
        return any(self.context.silenced(origin.fact.node, RULE_CODE) for origin in group.origins)

    def _looked_up(self) -> bool:
        """Whether a class is also got by its name in a string, which stays: the uses must stay with it."""
        patch = string_patch(self.context)
        if patch is not None:
            advice = "Move both together by hand, or with --strings."
            where = self.context.syntax.span(patch)[0]
            self._forbid("OC103", where, "A patch names the class in TRL by a string", advice)
            return True
        for reference in self.stays:
            call = self._call_on(reference)
            if call is None or callee(call) != "getattr" or len(call.args) < 2:
                continue
            name = literal(call.args[1].value)
            if all(self.context.move.moves(f"{path}.{name}") for path in self.group.paths):
                advice = f"Import {name} from {self.context.move.target}, then migrate again."
                self._forbid("OC105", reference.start, f"{name} is also looked up by name", advice)
                return True
        return False

    def _forbid(self, code: str, where: int, reason: str, advice: str) -> None:
        self.context.report(code, where, f"{reason}, so the uses of {self.group.name} stay.", advice)
        for one in self.moved:
            self.context.report(code, one.reference.start, f"This use stays: {reason}.", advice)

    def _is_guard(self) -> bool:
        """Whether the other binding is the ``name = None`` of an import guard."""
        for binding in self.group.foreign:
            parents = [parent for parent, _ in self.context.ancestors(binding.node)]
            if any(isinstance(parent, cst.ExceptHandler) for parent in parents):
                return True
        return False

    def _probe(self) -> Reference | None:
        """A ``hasattr`` that asks for one of the classes, or for a name nobody can see."""
        for reference in self.stays:
            call = self._call_on(reference)
            if call is None or len(call.args) < 2 or callee(call) != "hasattr":
                continue
            name = literal(call.args[1].value)
            path, depth = self._reached(reference)
            if depth != len(reference.steps):
                continue
            if name is None or self.context.move.moves(f"{path}.{name}") or "orpo" in name:
                return reference
        return None

    def _call_on(self, reference: Reference) -> cst.Call | None:
        """The call whose first positional argument the reference is."""
        arg = self.context.syntax.parents.get(reference.whole) if reference.whole is not None else None
        if not isinstance(arg, cst.Arg):
            return None
        call = self.context.syntax.parents.get(arg)
        return call if isinstance(call, cst.Call) and call.args and call.args[0] is arg else None

    def _target_taken(self) -> cst.CSTNode | None:
        if self._keeps_alias() and not self._must_stay():
            return None
        target = self.context.move.target_root
        scopes = [self.group.home, *(one.reference.scope for one in self.moved)]
        for scope in scopes:
            home = scope.resolve(target)
            for binding in home.bindings[target] if home is not None else ():
                path = self.context.names.imported(binding)
                if path is None or path.partition(".")[0] != target:
                    return binding.node
        return None

    # What happens to the imports.

    def _keeps_alias(self) -> bool:
        return all(origin.renamed for origin in self.group.origins)

    def _must_stay(self) -> bool:
        """Whether something still needs the name."""
        return bool(self.stays) or self._exported() or self._named_in_text()

    def _exported(self) -> bool:
        module_level = self.group.home is self.context.survey.module
        if not module_level:
            return False
        if self.context.path.endswith("__init__.py"):
            return True
        return any(literal(fact.node) == self.group.name for fact in self.context.survey.strings)

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
        return False

    def _carry_out(self) -> None:
        stays = self._must_stay()
        alias = self._keeps_alias() and not stays
        for one in self.moved:
            self._rewrite(one, self.group.name if alias else self.context.move.target)
        if not stays:
            for origin in self.group.origins:
                self._act(origin, Action.SWAP)
            return
        swapped = [origin for origin in self.group.origins if self._can_go(origin)]
        left_out = self._left_out(swapped)
        for origin in self.group.origins:
            if origin in swapped:
                self._act(origin, Action.SWAP)
            elif left_out:
                self.context.plan(origin.fact.node).add_import = True

    def _act(self, origin: Origin, action: Action) -> None:
        plan = self.context.plan(origin.fact.node)
        plan.actions[origin.alias] = action
        plan.rule = RULE_CODE

    def _can_go(self, origin: Origin) -> bool:
        """Whether a dotted ``import trl.experimental.orpo`` may go although the name ``trl`` stays."""
        if origin.renamed or isinstance(origin.fact.node, FromImport) or len(self.group.origins) == 1:
            return False
        if origin.module not in self.context.move.modules or self._exported():
            return False
        if any(self._reached(one)[0] in self.context.move.modules for one in self.stays):
            return False
        return any(other.module not in self.context.move.modules for other in self.group.origins)

    def _left_out(self, swapped: list[Origin]) -> bool:
        """Whether a use can run without any of the swapped imports having run before it."""
        return any(not any(self._precedes(origin, one.reference) for origin in swapped) for one in self.moved)

    def _precedes(self, origin: Origin, reference: Reference) -> bool:
        """Whether the import always runs before the reference: it stands before it, in a block around it."""
        syntax = self.context.syntax
        line = syntax.parents[origin.fact.node]
        block = syntax.parents[line]
        inside = isinstance(block, cst.Module)
        if isinstance(block, cst.IndentedBlock):
            start, end = syntax.span(block)
            inside = start <= reference.start < end
        return inside and origin.binding.start < reference.start

    def _rewrite(self, one: Moved, root: str) -> None:
        """Replace what leads to the class by ``root``."""
        reference = one.reference
        end = reference.end if one.depth == 1 else reference.steps[one.depth - 2].end
        text = self.context.source.utf8[reference.start : end]
        if b"\n" not in text and b"\r" not in text:
            self.context.replace(reference.start, end, root, RULE_CODE)
            return
        self.context.replace(reference.start, reference.end, root, RULE_CODE)
        previous = reference.end
        for step in reference.steps[: one.depth - 1]:
            between = self.context.source.utf8[previous : step.start].decode("utf-8")
            self.context.replace(previous, step.end, _without_dot(between), RULE_CODE)
            previous = step.end

    # What is worth telling.

    def _report_stay(self, reference: Reference) -> None:
        path, depth = self._reached(reference)
        if depth < len(reference.steps) and reference.steps[depth].name != "__dict__":
            if path in self.context.move.modules and self.context.forward:
                self._report_helper(reference, path, reference.steps[depth].name)
            return
        if not (self.moved or path in self.context.move.modules or self._read_by_name()):
            return
        call = self._call_on(reference)
        if call is not None and callee(call) in {"hasattr", "getattr", "setattr", "delattr"}:
            return
        self.context.report(
            "OC106",
            reference.start,
            f"The module {path} is handed on as a value; who receives it may read ORPO from it.",
            f"Hand on {self.context.move.target} if that is what the receiver wants.",
        )
        self._report_second_name(reference)

    def _class_names(self) -> set[str]:
        return {name for moved in self.context.move.sources.values() for name in moved}

    def _read_by_name(self) -> bool:
        """Whether the file reads one of the classes from something nobody can name, or by a string."""
        names = self._class_names()
        if any(literal(fact.node) in names for fact in self.context.survey.strings):
            return True
        attributes = (node for node in self.context.syntax.spans if isinstance(node, cst.Attribute))
        return any(node.attr.value in names and not self._explained(node) for node in attributes)

    def _explained(self, node: cst.Attribute) -> bool:
        """Whether an import says what the chain reads, or it reads an attribute of an object."""
        root: cst.BaseExpression = node
        while isinstance(root, cst.Attribute):
            root = root.value
        if not isinstance(root, cst.Name) or root.value in {"self", "cls"}:
            return True
        uses = (use for use in self.context.survey.uses() if use.node is root)
        return any(self.context.names.possible(use.node, use.scope) for use in uses)

    def _report_second_name(self, reference: Reference) -> None:
        """``rl = trl``: reads of the classes through the second name stay, and are told."""
        assign = self.context.syntax.parents.get(reference.whole) if reference.whole is not None else None
        if not isinstance(assign, cst.Assign):
            return
        seconds = {target.target.value for target in assign.targets if isinstance(target.target, cst.Name)}
        for use in self.context.survey.uses():
            owner = self.context.syntax.parents.get(use.node)
            if use.name in seconds and isinstance(owner, cst.Attribute) and owner.attr.value in self._class_names():
                message = f"{use.name} is another name of {self.group.name}; this use stays."
                self.context.report("OC106", use.start, message, f"Read it from {self.context.move.target}.")

    def _report_helper(self, reference: Reference, path: str, name: str) -> None:
        self.context.report(
            "OC121",
            reference.start,
            f"{name!r} is read from {path}, which only {LIFETIMES[path]} has.",
            "Import it from where it lives now; it did not move with the classes.",
        )

    def _report_orpo_modules(self) -> None:
        """An import of an ORPO module that stays must not stay unseen."""
        for origin in self.group.origins:
            plan = self.context.plans.get(origin.fact.node)
            gone = plan is not None and plan.actions.get(origin.alias) is Action.SWAP
            if gone or origin.module not in self.context.move.modules or not self.context.forward:
                continue
            self.context.report(
                "OC121",
                origin.binding.start,
                f"This import of {origin.module} stays, and only {LIFETIMES[origin.module]} has that module.",
                "Drop it once nothing reads other names through it.",
                Severity.WARNING,
            )


def _without_dot(between: str) -> str:
    """The text between two names of a chain without its dot; comments keep theirs."""
    lines = between.split("\n")
    for index, line in enumerate(lines):
        code, mark, comment = line.partition("#")
        if "." in code:
            lines[index] = code.replace(".", "", 1) + mark + comment
            break
    return "\n".join(lines)
