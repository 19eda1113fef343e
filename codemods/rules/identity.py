"""Report places where the identity of the class matters beyond this module.

Pickled arguments (``training_args.bin``) hold ``trl.trainer.orpo_config.ORPOConfig`` as a path, which loads up to TRL
0.28 only; ``isinstance`` against the moved class is false for objects that unmigrated code built.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import libcst as cst

from codemods.context import Context, callee, literal
from codemods.findings import Severity
from codemods.rules import Example, Phase, Rule

RULE = Rule(
    code="OC122",
    title="class identity across modules or saved artefacts",
    why="TRL's shims of 0.26 to 0.28 are subclasses of the real classes, ours are neither",
    message="the code moves like the rest; over a whole tree, type tests against a class that another file takes from "
    "the other side, and imports by way of a module that moved, are listed",
    example=Example(
        "import trl\n\nok = isinstance(trainer, trl.ORPOTrainer)\n",
        "import orpo_compat\n\nok = isinstance(trainer, orpo_compat.ORPOTrainer)\n",
    ),
    phase=Phase.REPORT,
)

_ARTEFACT = re.compile(r"args\.bin$")


def apply(context: Context) -> None:
    """Look at type tests, at names of modules in tests, and at loads of saved arguments."""
    for fact in context.survey.calls:
        call = fact.node
        assert isinstance(call, cst.Call)
        name = callee(call)
        if name in {"isinstance", "issubclass"} and len(call.args) == 2:
            second = call.args[1].value
            nodes = [one.value for one in second.elements] if isinstance(second, cst.Tuple) else [second]
            if any(context.names.is_moved_class(node, fact.scope) for node in nodes):
                context.report(
                    "OC122",
                    call,
                    "The test is true for objects of the moved class only.",
                    "Migrate whatever builds them together with this file.",
                    Severity.INFO,
                )
        elif name.rpartition(".")[2] == "load" and _loads_arguments(call):
            context.report(
                "OC122",
                call,
                "Saved training arguments name their class by its path in TRL.",
                "Loading them still needs the TRL release that wrote them; build the config anew.",
            )
    if context.forward:
        _report_module_names(context)


def _report_module_names(context: Context) -> None:
    """``type(x).__module__.startswith("trl")``: the classes say another module now."""
    for fact in context.survey.strings:
        if not context.concerns_source(literal(fact.node)):
            continue
        around = list(_expressions_around(context, fact.node))
        if around and "__module__" in context.syntax.code(around[-1]):
            target = context.move.target
            message = f"A class is told by the name of its module, and those that moved say {target}."
            context.report("OC122", fact.node, message, f"Ask for {target} as well, or for the class itself.")


def _expressions_around(context: Context, node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """Comparisons and calls that the string is part of, innermost first."""
    for parent, _ in context.ancestors(node):
        if isinstance(parent, (cst.BaseSmallStatement, cst.BaseCompoundStatement)):
            return
        if isinstance(parent, (cst.Comparison, cst.Call)):
            yield parent


def _loads_arguments(call: cst.Call) -> bool:
    return any(_ARTEFACT.search(literal(arg.value) or "") for arg in call.args)
