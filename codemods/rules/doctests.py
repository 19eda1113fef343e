"""Rewrite the examples in docstrings (``--docs``).

Doctests import what their readers will type; those that say ``from trl import ORPOTrainer`` fail since TRL 0.29. Each
docstring is one session: its lines behind the prompts are rewritten like a module of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import libcst as cst

from codemods.context import Context
from codemods.edits import Edit
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
    code = _code(lines)
    if b"\\" in code and not raw:
        return
    done = rewrite(code, path=context.path, options=Options(strings=context.options.strings))
    changes = [_change(lines, edit) for edit in done.edits]
    # Prompts were taken off and are put back: what they then enclose must be what was worked out.
    result, shift = context.source.utf8[start:end], -start
    for first, last, new in changes:
        result = result[: first + shift] + new + result[last + shift :]
        shift += len(new) - (last - first)
    if _code(_LINE.finditer(result)) == done.result:
        for first, last, new in changes:
            context.replace(first, last, new.decode("utf-8"), RULE.code)


def _code(lines: Iterable[re.Match[bytes]]) -> bytes:
    return b"".join(line.group("code") + b"\n" for line in lines)


def _change(lines: list[re.Match[bytes]], edit: Edit) -> tuple[int, int, bytes]:
    """An edit of the code as a span of the file and what replaces it, prompts and line ends put back."""
    (first, at), (last, end) = _place(lines, edit.start), _place(lines, edit.end)
    eol = lines[first].group("eol") or b"\n"
    indent = lines[first].group("prompt").partition(b">>>")[0].partition(b"...")[0]
    head, *more = edit.new.split(b"\n")
    prompts = (b"... " if text[:1] in (b" ", b"\t", b")") else b">>> " for text in more)
    new = head + b"".join(eol + indent + prompt + text for prompt, text in zip(prompts, more, strict=True))
    return lines[first].start("code") + at, lines[last].start("code") + end, new


def _place(lines: list[re.Match[bytes]], offset: int) -> tuple[int, int]:
    """The line that holds an offset of the joined code, and the offset within it."""
    for index, line in enumerate(lines):
        length = len(line.group("code")) + 1
        if offset < length:
            return index, offset
        offset -= length
    return len(lines) - 1, len(lines[-1].group("code"))
