"""How a whole import statement is taken out of its block: with its line, or from its chain of semicolons.

A comment on the line stays where it is; a lint pragma that the twin of the statement carries as well goes with it.
Whether anything may be taken out is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence

import libcst as cst

from codemods.comments import Comment
from codemods.syntax import ImportStatement, Span, Syntax


def removed(
    syntax: Syntax, comments: Sequence[Comment], node: ImportStatement, twin: ImportStatement
) -> tuple[int, int, str]:
    """The change that takes the statement out; ``comments`` are those from its start to the end of its line.

    Its block holds ``twin`` besides it, so something remains.
    """
    holder = syntax.parents[node]
    assert isinstance(holder, (cst.SimpleStatementLine, cst.SimpleStatementSuite))
    if len(holder.body) > 1:
        return (*_in_chain(syntax, holder, node), "")
    start, end = syntax.span(node)
    begin, line_end, following = _line(syntax, start, end)
    if not comments:
        return (begin, following, "") if following > line_end else (_end_before(syntax, begin), line_end, "")
    twin_end = syntax.span(twin)[1]
    after_twin = syntax.source.line_end(twin_end)
    shared = syntax.source.utf8[twin_end:after_twin]
    if _end_before(syntax, begin) == after_twin and shared.strip() == syntax.source.utf8[end:line_end].strip():
        return (twin_end, line_end, shared.decode("utf-8"))
    return (start, comments[0].start, "")


def _in_chain(syntax: Syntax, holder: cst.SimpleStatementLine | cst.SimpleStatementSuite, node: cst.CSTNode) -> Span:
    """From the end of the statement before it to its own; of the first one, to the start of the next."""
    place = next(index for index, one in enumerate(holder.body) if one is node)
    start, end = syntax.span(node)
    if place:
        return syntax.span(holder.body[place - 1])[1], end
    return start, syntax.span(holder.body[1])[0]


def _line(syntax: Syntax, start: int, end: int) -> tuple[int, int, int]:
    """Start of the line, its end, and the start of the next (the same as its end for the last one)."""
    begin = syntax.source.line_starts[syntax.source.position(start)[0] - 1]
    line_end = syntax.source.line_end(end)
    following = next((one for one in syntax.source.line_starts if one > line_end), line_end)
    return begin, line_end, following


def _end_before(syntax: Syntax, begin: int) -> int:
    """End of the line before the one that starts at ``begin``, without its line end."""
    text = syntax.source.utf8[:begin]
    return begin - (2 if text.endswith(b"\r\n") else 1 if begin else 0)
