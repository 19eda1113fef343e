"""Report ORPO asked of another trainer.

``DPOConfig(loss_type="orpo")`` is widely copied advice for TRL 0.29; no release from 0.8.2 to 1.16 has that loss, and
the first training step raises "Unknown loss type".
"""

from __future__ import annotations

import libcst as cst

from codemods.context import Context, callee, literal
from codemods.findings import Severity
from codemods.rules import Example, Phase, Rule

RULE = Rule(
    code="OC125",
    title="ORPO asked of another trainer",
    why="no TRL release has a DPO loss called orpo",
    message="the call stays",
    example=Example('from trl import DPOConfig\n\nargs = DPOConfig(loss_type="orpo")\n', None),
    phase=Phase.REPORT,
)


def apply(context: Context) -> None:
    """Look for ``loss_type="orpo"`` in calls."""
    if not context.forward:
        return
    for fact in context.survey.calls:
        call = fact.node
        assert isinstance(call, cst.Call)
        for arg in call.args:
            values = [literal(arg.value)]
            if isinstance(arg.value, cst.List):
                values = [literal(one.value) for one in arg.value.elements]
            if arg.keyword is not None and arg.keyword.value == "loss_type" and "orpo" in values:
                context.report(
                    "OC125",
                    call,
                    f'{callee(call).rpartition(".")[2]}(loss_type="orpo"): no TRL release has that loss.',
                    f"Use ORPOTrainer and ORPOConfig of {context.move.target}.",
                    Severity.ERROR,
                )
