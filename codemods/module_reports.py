"""What to tell about the references to a TRL module that stay, and about imports of ORPO's own modules that do."""

from __future__ import annotations

from dataclasses import dataclass

import libcst as cst

from codemods.catalog import LIFETIMES
from codemods.context import callee, literal
from codemods.module_uses import ModuleUses
from codemods.placement import Action
from codemods.references import Reference


@dataclass(eq=False)
class StayReports:
    """Reports for one group."""

    uses: ModuleUses

    def report(self) -> None:
        """One finding for every reference worth one."""
        for reference in self.uses.stays:
            self._report_stay(reference)

    def report_helpers(self) -> None:
        """What is read through an ORPO module beside the classes; enough where the uses stay and are told."""
        move = self.uses.context.move
        for reference in self.uses.stays:
            path, depth = self.uses.reached(reference)
            steps = reference.steps[depth:]
            if (
                steps
                and path in move.modules
                and self.uses.context.forward
                and steps[0].name not in self._class_names()
            ):
                self._report_helper(reference, path, steps[0].name)

    def _report_stay(self, reference: Reference) -> None:
        path, depth = self.uses.reached(reference)
        if depth < len(reference.steps) and reference.steps[depth].name != "__dict__":
            if path in self.uses.context.move.modules and self.uses.context.forward:
                self._report_helper(reference, path, reference.steps[depth].name)
            return
        if not (self.uses.moved or path in self.uses.context.move.modules or self._read_by_name()):
            return
        call = self.uses.call_on(reference)
        if call is not None and callee(call) in {"hasattr", "getattr", "setattr", "delattr"}:
            return
        self.uses.context.report(
            "OC106",
            reference.start,
            f"The module {path} is handed on as a value; who receives it may read ORPO from it.",
            f"Hand on {self.uses.context.move.target} if that is what the receiver wants.",
        )
        self._report_second_name(reference)

    def _class_names(self) -> set[str]:
        return {name for moved in self.uses.context.move.sources.values() for name in moved}

    def _read_by_name(self) -> bool:
        """Whether the file reads one of the classes from something nobody can name, or by a string."""
        names = self._class_names()
        values = (literal(fact.node) or "" for fact in self.uses.context.survey.strings)
        if any(value.rpartition(".")[2] in names for value in values):
            return True
        attributes = (node for node in self.uses.context.syntax.spans if isinstance(node, cst.Attribute))
        return any(node.attr.value in names and not self._explained(node) for node in attributes)

    def _explained(self, node: cst.Attribute) -> bool:
        """Whether an import says what the chain reads, or it reads an attribute of an object."""
        root: cst.BaseExpression = node
        while isinstance(root, cst.Attribute):
            root = root.value
        if not isinstance(root, cst.Name) or root.value in {"self", "cls"}:
            return True
        uses = (use for use in self.uses.context.survey.uses() if use.node is root)
        return any(self.uses.context.names.possible(use.node, use.scope) for use in uses)

    def _report_second_name(self, reference: Reference) -> None:
        """``rl = trl``: reads of the classes through the second name stay, and are told."""
        assign = self.uses.context.syntax.parents.get(reference.whole) if reference.whole is not None else None
        if not isinstance(assign, cst.Assign):
            return
        seconds = {target.target.value for target in assign.targets if isinstance(target.target, cst.Name)}
        for use in self.uses.context.survey.uses():
            owner = self.uses.context.syntax.parents.get(use.node)
            if use.name in seconds and isinstance(owner, cst.Attribute) and owner.attr.value in self._class_names():
                message = f"{use.name} is another name of {self.uses.group.name}; this use stays."
                self.uses.context.report("OC106", use.start, message, f"Read it from {self.uses.context.move.target}.")

    def _report_helper(self, reference: Reference, path: str, name: str) -> None:
        self.uses.context.report(
            "OC121",
            reference.start,
            f"{name!r} is read from {path}, which only {LIFETIMES[path]} has.",
            "Import it from where it lives now; it did not move with the classes.",
        )

    def report_orpo_modules(self) -> None:
        """An import of an ORPO module that stays must not stay unseen."""
        for origin in self.uses.group.origins:
            plan = self.uses.context.plans.get(origin.fact.node)
            gone = plan is not None and plan.actions.get(origin.alias) is Action.SWAP
            if gone or origin.module not in self.uses.context.move.modules or not self.uses.context.forward:
                continue
            self.uses.context.report(
                "OC121",
                origin.binding.start,
                f"This import of {origin.module} stays, and only {LIFETIMES[origin.module]} has that module.",
                "Drop it once nothing reads other names through it.",
            )
