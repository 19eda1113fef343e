"""The parts of a module that are text, not code: comments, docstrings, other strings; and what to say of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import libcst as cst

from codemods.context import Context, literal
from codemods.findings import Severity
from codemods.mentions import Mention, mentions


@dataclass(frozen=True)
class Text:
    """A stretch of text; ``kind`` is ``comment``, ``docstring``, ``doctest`` or ``string``."""

    start: int
    end: int
    kind: str

    @property
    def code(self) -> str:
        """The code of findings in it."""
        return "OC118" if self.kind in {"docstring", "doctest"} else "OC103"

    def message(self, mention: Mention) -> str:
        """What a finding says."""
        what = {"docstring": "docstring", "doctest": "doctest"}.get(self.kind, self.kind)
        return f"This {what} {'names' if mention.exact else 'speaks of'} TRL's ORPO."

    def advice(self, context: Context) -> str:
        """What a finding advises."""
        target = context.move.target
        if self.kind == "string":
            return f"If it is looked up at run time, write {target} instead; --strings does where the call says so."
        if self.kind == "doctest":
            return f"Import from {target} there; --docs does."
        return f"Reword it for {target} if it describes what the code now does."

    def severity(self, mention: Mention) -> Severity:
        """Strings and doctests can run; comments and prose cannot."""
        runs = self.kind in {"string", "doctest"} and mention.exact
        return Severity.WARNING if runs else Severity.INFO


def hidden_mention(context: Context, node: cst.CSTNode) -> bool:
    """Whether a string spells an exact mention only when it is put together: ``'trl.' 'ORPOTrainer'``."""
    value = literal(node)
    if value is None or (isinstance(node, cst.SimpleString) and "\\" not in node.value):
        return False
    start, end = context.syntax.span(node)
    if any(one.exact for one in mentions(context.source.utf8[start:end], context.move.source_root)):
        return False
    return any(one.exact for one in mentions(value.encode("utf-8", "replace"), context.move.source_root))


def texts(context: Context) -> Iterator[Text]:
    """Every stretch of text, comments last."""
    for fact in context.survey.strings:
        start, end = context.syntax.span(fact.node)
        if isinstance(fact.node, cst.FormattedString):
            for part in fact.node.parts:
                if isinstance(part, cst.FormattedStringText):
                    yield Text(*context.syntax.span(part), "string")
            continue
        if isinstance(context.syntax.parents.get(fact.node), cst.Expr):
            doctest = b">>>" in context.source.utf8[start:end]
            yield Text(start, end, "doctest" if doctest else "docstring")
        else:
            yield Text(start, end, "string")
    for comment in context.comments:
        yield Text(comment.start, comment.end, "comment")
