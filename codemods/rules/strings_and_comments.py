"""Report TRL's ORPO where it is written in strings, comments and docstrings.

Strings are not rewritten: ``mock.patch("trl.ORPOTrainer")`` must follow the code it patches, a registry of dotted
names may be somebody else's interface, code in strings runs elsewhere. The names in them fail since TRL 0.29 all the
same.
"""

from __future__ import annotations

import re

import libcst as cst

from codemods.context import Context, callee, literal
from codemods.findings import Severity
from codemods.mentions import Mention, mentions
from codemods.rules import Example, Phase, Rule
from codemods.text import Text, hidden_mention, texts

RULE = Rule(
    code="OC103",
    title="dotted name or code inside a string or comment",
    why="`trl.ORPOTrainer` in a string is as dead as in code since TRL 0.29",
    message="the text stays; `--strings` rewrites strings whose call says what they mean",
    example=Example("TRAINERS = {'orpo': 'trl.ORPOTrainer'}\n", None),
    phase=Phase.LAST,
)


_FILTERS = {"filterwarnings", "getLogger"}
_ABOUT_TRL = re.compile(r"trl\b")


def apply(context: Context) -> None:
    """Report every mention that nothing else speaks for."""
    for text in texts(context):
        for mention in mentions(context.source.utf8[text.start : text.end], context.move.source_root):
            offset = text.start + mention.start
            if not context.covered(offset, text.start + mention.end):
                context.report(text.code, offset, text.message(mention), text.advice(context), text.severity(mention))
    for fact in context.survey.strings:
        start = context.syntax.span(fact.node)[0]
        if hidden_mention(context, _sum_of(context, fact.node)) and not context.covered(start):
            text = Text(start, start, "string")
            context.report("OC103", start, text.message(Mention(0, 0, True)), text.advice(context))
    _report_filters(context)


def _sum_of(context: Context, node: cst.CSTNode) -> cst.CSTNode:
    """The whole of ``"trl" + ".ORPOTrainer"`` for its first part."""
    above = context.syntax.parents.get(node)
    while isinstance(above, cst.BinaryOperation) and above.left is node:
        node, above = above, context.syntax.parents.get(above)
    return node


def _report_filters(context: Context) -> None:
    """Warning filters and loggers go by module name, and the module is another one now."""
    if not context.forward or not any(plan.changes for plan in context.plans.values()):
        return
    for fact in context.survey.calls:
        call = fact.node
        assert isinstance(call, cst.Call)
        if callee(call).rpartition(".")[2] in _FILTERS and any(
            _ABOUT_TRL.match(literal(arg.value) or "") for arg in call.args
        ):
            context.report(
                "OC103",
                call,
                "This goes by the name of TRL's modules; ORPO's messages now come from orpo_compat.",
                "Name orpo_compat as well if it is meant for ORPO.",
                Severity.INFO,
            )
