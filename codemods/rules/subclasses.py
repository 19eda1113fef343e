"""Compare what a subclass of ORPOTrainer overrides with what our trainer calls.

TRL's hooks changed their parameters: ``compute_loss`` got ``num_items_in_batch`` in 0.12, ``log`` got ``start_time`` in
0.13, ``get_batch_logps`` and ``concatenated_inputs`` lost ``label_pad_token_id`` in 0.28. Ours calls every hook of 1.16
in its form; a subclass written for an older one breaks here as it does there.
"""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst

from codemods.catalog import TRAINER
from codemods.context import Context
from codemods.facts import parameters
from codemods.findings import Severity
from codemods.hooks import HOOKS, Hook
from codemods.rules import Example, Phase, Rule

RULE = Rule(
    code="OC111",
    title="subclass overrides a hook",
    why="hooks changed their parameters in TRL 0.12, 0.13 and 0.28",
    message="the import moves; every overridden hook is compared with what ours calls",
    example=Example(
        "from trl import ORPOTrainer\n\n\nclass Mine(ORPOTrainer):\n    def log(self, logs): ...\n",
        "from orpo_compat import ORPOTrainer\n\n\nclass Mine(ORPOTrainer):\n    def log(self, logs): ...\n",
    ),
    phase=Phase.REPORT,
)


def apply(context: Context) -> None:
    """Look at the methods of every proven subclass."""
    for fact in context.survey.classes:
        node = fact.node
        assert isinstance(node, cst.ClassDef)
        if any(context.names.is_moved_class(base.value, fact.scope) == TRAINER for base in node.bases):
            for method in _methods(node):
                if method.name.value in HOOKS:
                    _report(context, node, method, HOOKS[method.name.value])


def _methods(node: cst.ClassDef) -> Iterator[cst.FunctionDef]:
    for statement in node.body.body:
        if isinstance(statement, cst.FunctionDef):
            yield statement


def _report(context: Context, owner: cst.ClassDef, method: cst.FunctionDef, hook: Hook) -> None:
    what = f"{owner.name.value} overrides {method.name.value}"
    verify = f"orpo-compat migrate --verify-subclass {context.path}:{owner.name.value} trains it on both sides."
    called = f"{method.name.value}({', '.join(hook.parameters)})"
    problem = _mismatch(method, hook)
    note = f" ({hook.note})" if hook.note else ""
    if problem:
        message = f"{what}, but {problem}; ours calls {called}{note}."
        context.report("OC111", method.name, message, f"Give it those parameters; {verify}")
    else:
        added = {param.name.value for param in parameters(method.params)} - {*hook.parameters, "self"}
        note = note if added else ""
        message = f"{what}; ours calls {called} with TRL's meaning, and takes TRL's padded path where it must{note}."
        context.report("OC111", method.name, message, f"To be sure, {verify}", Severity.INFO)


def _mismatch(method: cst.FunctionDef, hook: Hook) -> str:
    """What keeps our call from fitting, empty when nothing does."""
    params = parameters(method.params)
    static = any(
        isinstance(one.decorator, cst.Name) and one.decorator.value == "staticmethod" for one in method.decorators
    )
    positional = [*method.params.posonly_params, *method.params.params][0 if static else 1 :]
    names = {param.name.value for param in params}
    if isinstance(method.params.star_arg, cst.Param) or method.params.star_kwarg is not None:
        return ""
    missing = [name for name in hook.parameters[hook.required :] if name not in names]
    extra = [param.name.value for param in positional[hook.required :] if param.default is None]
    extra = [name for name in extra if name not in hook.parameters]
    if len(positional) < hook.required:
        return f"takes only {len(positional)} of its {hook.required} arguments"
    if missing:
        return f"does not take {', '.join(missing)}"
    return f"asks for {', '.join(extra)}" if extra else ""
