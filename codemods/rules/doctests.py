"""Rewrite the examples in docstrings (``--docs``).

Doctests import what their readers will type; those that say ``from trl import ORPOTrainer`` fail since TRL 0.29. Each
docstring is one session: its lines behind the prompts are rewritten like a module of their own.
"""

from __future__ import annotations

import re

import libcst as cst

from codemods.context import Context
from codemods.options import Options
from codemods.rules import Example, Phase, Rule

RULE = Rule(
    code="OC009",
    title="doctests (`--docs`)",
    why="the examples fail since TRL 0.29 as the code does",
    message="statements behind prompts are rewritten, the prompts and the output stay",
    example=Example(
        '"""Train.\n\n>>> from trl import ORPOTrainer\n"""\n',
        '"""Train.\n\n>>> from orpo_compat import ORPOTrainer\n"""\n',
        Options(docs=True),
    ),
    phase=Phase.EDIT,
    edits=True,
)

_LINE = re.compile(rb"^(?P<prompt>[ \t]*(?:>>>|\.\.\.)(?: |(?=[\r\n]|$)))(?P<code>[^\r\n]*)(?P<eol>\r\n|\r|\n|$)", re.M)


def apply(context: Context) -> None:
    """Rewrite each docstring that holds examples."""
    if not context.options.docs or not context.forward:
        return
    for fact in context.survey.strings:
        if isinstance(fact.node, cst.SimpleString) and isinstance(context.syntax.parents.get(fact.node), cst.Expr):
            start, end = context.syntax.span(fact.node)
            raw = "r" in fact.node.prefix.lower()
            if b">>>" in context.source.utf8[start:end] and not context.silenced(fact.node, RULE.code):
                _rewrite_session(context, start, end, raw)


def _rewrite_session(context: Context, start: int, end: int, raw: bool) -> None:
    from codemods.rewrite import rewrite

    lines = list(_LINE.finditer(context.source.utf8, start, end))
    code = b"".join(line.group("code") + b"\n" for line in lines)
    if b"\\" in code and not raw:
        return
    done = rewrite(code, path=context.path, options=Options(strings=context.options.strings))
    places = _places(lines)
    if done.changed and all(_lands(places, edit.start) == _lands(places, edit.end) for edit in done.edits):
        for edit in done.edits:
            line = lines[_lands(places, edit.start)]
            at = line.start("code") + edit.start - places[_lands(places, edit.start)]
            prompt = line.group("prompt").replace(b"...", b">>>").decode("utf-8")
            eol = (line.group("eol") or b"\n").decode("utf-8")
            new = edit.new.decode("utf-8").replace("\n", eol + prompt)
            context.replace(at, at + len(edit.old), new, RULE.code)


def _places(lines: list[re.Match[bytes]]) -> list[int]:
    """Offset in the joined code of each line's start."""
    places, offset = [], 0
    for line in lines:
        places.append(offset)
        offset += len(line.group("code")) + 1
    return places


def _lands(places: list[int], offset: int) -> int:
    """Index of the line that holds an offset of the joined code."""
    return max(index for index, place in enumerate(places) if place <= offset)
