"""What becomes of one name that stands for a TRL module: its uses, and the imports that bind it.

Used by the rule for module imports. Uses are rewritten where they stand; the import is swapped when nothing else needs
the name, and otherwise stays with ours right after it.
"""

from __future__ import annotations

from codemods.class_bodies import always_before
from codemods.context import Context
from codemods.module_reports import StayReports
from codemods.module_uses import RULE_CODE, ModuleUses, Moved
from codemods.obstacles import forbidden
from codemods.placement import Action
from codemods.references import Group, Origin, Reference
from codemods.repeats import Repeats
from codemods.syntax import FromImport


class ModuleMove:
    """Decides for one group."""

    def __init__(self, context: Context, group: Group) -> None:
        self.context = context
        self.group = group
        self.uses = ModuleUses(context, group)
        self.repeats = Repeats(context, group.home)

    def decide(self) -> None:
        """Report what stays, move what may."""
        reports = StayReports(self.uses)
        if forbidden(self.uses):
            return reports.report_helpers()
        reports.report()
        if self.uses.moved:
            self._carry_out()
        reports.report_orpo_modules()

    def _carry_out(self) -> None:
        # A name bound with `as` here and without it there has no one spelling to replace it by.
        stays = self.uses.must_stay() or len({origin.renamed for origin in self.group.origins}) > 1
        alias = self.uses.keeps_alias() and not stays
        for one in self.uses.moved:
            self._rewrite(one, self.group.name if alias else self.context.move.target)
        if not stays:
            return self._swap_or_drop()
        bringing = [origin for origin in self.group.origins if self._can_go(origin)]
        for origin in self.group.origins:
            if origin in bringing:
                self._act(origin, Action.SWAP)
            elif self._left_out(bringing):
                self._bring(origin)
                bringing.append(origin)

    def _swap_or_drop(self) -> None:
        """Nothing else needs the name: each import is swapped, or dropped where it would be there twice."""
        for origin in self.group.origins:
            twin = self.repeats.twin_of(origin)
            self._act(origin, Action.SWAP if twin is None else Action.DROP)
            if twin is None:
                self.repeats.add(origin.fact.node)
            else:
                self.context.plan(origin.fact.node).twin = twin

    def _bring(self, origin: Origin) -> None:
        """Write the import of the target beside one that stays, unless it is there."""
        if self.repeats.beside(origin.fact.node) is None:
            self.context.plan(origin.fact.node).add_import = True
            self.repeats.add(origin.fact.node)

    def _act(self, origin: Origin, action: Action) -> None:
        plan = self.context.plan(origin.fact.node)
        plan.actions[origin.alias] = action
        plan.rule = RULE_CODE

    def _can_go(self, origin: Origin) -> bool:
        """Whether a dotted ``import trl.experimental.orpo`` may go although the name ``trl`` stays."""
        if origin.renamed or isinstance(origin.fact.node, FromImport) or len(self.group.origins) == 1:
            return False
        if origin.module not in self.context.move.modules or self.uses.exported():
            return False
        if any(self.uses.reached(one)[0] in self.context.move.modules for one in self.uses.stays):
            return False
        others = [other for other in self.group.origins if other.module not in self.context.move.modules]
        # What stays must find the name without this import: one of the others has to come before each use.
        return bool(others) and all(any(self._precedes(other, one) for other in others) for one in self.uses.stays)

    def _left_out(self, bringing: list[Origin]) -> bool:
        """Whether a use can run without any of the imports that bring ours having run before it."""
        starts = [one.reference for one in self.uses.moved if not self.repeats.given_before(one.reference.start)]
        return any(not any(self._precedes(origin, one) for origin in bringing) for one in starts)

    def _precedes(self, origin: Origin, reference: Reference) -> bool:
        """Whether the import always runs before the reference."""
        return always_before(self.context.syntax, origin.fact.node, reference.start)

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


def _without_dot(between: str) -> str:
    """The text between two names of a chain without its dot; comments keep theirs."""
    lines = between.split("\n")
    for index, line in enumerate(lines):
        code, mark, comment = line.partition("#")
        if "." in code:
            lines[index] = code.replace(".", "", 1) + mark + comment
            break
    return "\n".join(lines)
