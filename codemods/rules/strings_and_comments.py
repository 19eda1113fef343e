"""Report TRL's ORPO where it is written in strings, comments and docstrings.

Strings are not rewritten: ``mock.patch("trl.ORPOTrainer")`` must follow the code it patches, a registry of dotted
names may be somebody else's interface, code in strings runs elsewhere. The names in them fail since TRL 0.29 all the
same.
"""

from __future__ import annotations

from codemods.context import Context
from codemods.mentions import mentions
from codemods.rules import Example, Phase, Rule
from codemods.text import texts

RULE = Rule(
    code="OC103",
    title="dotted name or code inside a string or comment",
    why="`trl.ORPOTrainer` in a string is as dead as in code since TRL 0.29",
    message="the text stays; `--strings` rewrites strings whose call says what they mean",
    example=Example("TRAINERS = {'orpo': 'trl.ORPOTrainer'}\n", None),
    phase=Phase.LAST,
)


def apply(context: Context) -> None:
    """Report every mention that nothing else speaks for."""
    for text in texts(context):
        for mention in mentions(context.source.utf8[text.start : text.end], context.move.source_root):
            offset = text.start + mention.start
            if not context.covered(offset):
                context.report(text.code, offset, text.message(mention), text.advice(context), text.severity(mention))
