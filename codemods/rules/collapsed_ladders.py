"""Collapse an import ladder whose rungs all come to the same (``--modernize``).

``try: from trl import ORPOTrainer / except ImportError: from trl.experimental.orpo import ORPOTrainer`` bridged TRL
0.25 and 0.29; with orpo_compat one import is enough. Only ladders of nothing but ORPO imports, without a comment.
"""

from __future__ import annotations

from collections.abc import Sequence

import libcst as cst

from codemods.context import Context
from codemods.facts import bound_name
from codemods.options import Options
from codemods.placement import aliases
from codemods.rules import Example, Phase, Rule
from codemods.syntax import FromImport, dotted

RULE = Rule(
    code="OC007",
    title="import ladder with twin rungs (`--modernize`)",
    why="the rungs bridged the move of TRL 0.26 and the removal of 0.29",
    message="one import remains, if the rungs hold ORPO imports and nothing else",
    example=Example(
        "try:\n    from trl import ORPOTrainer\nexcept ImportError:\n"
        "    from trl.experimental.orpo import ORPOTrainer\n",
        "from orpo_compat import ORPOTrainer\n",
        Options(modernize=True),
    ),
    phase=Phase.DECIDE,
    edits=True,
)

Ladder = cst.Try


def apply(context: Context) -> None:
    """Look at every ``try`` around an import, outermost first."""
    if not context.options.modernize or not context.forward:
        return
    tried: set[cst.CSTNode] = set()
    for fact in context.survey.imports:
        ladders = [parent for parent, _ in context.ancestors(fact.node) if isinstance(parent, Ladder)]
        for ladder in reversed(ladders):
            if ladder in tried:
                if ladder in context.settled:
                    break
                continue
            tried.add(ladder)
            if _collapses(context, ladder) and not context.silenced(ladder, RULE.code):
                _collapse(context, ladder)
                context.settled.add(ladder)
                break


def _collapses(context: Context, ladder: Ladder) -> bool:
    start, end = context.syntax.span(ladder)
    if ladder.orelse is not None or ladder.finalbody is not None:
        return False
    if any(start <= comment.start < context.source.line_end(end) for comment in context.comments):
        return False
    first = _imports(ladder.body)
    if first is None or not all(_reaches(context, node) for node in first):
        return False
    names = {bound_name(alias) for node in first for alias in aliases(node)}
    return all(_falls_back(context, handler, names) for handler in ladder.handlers)


def _imports(block: cst.BaseSuite) -> list[FromImport] | None:
    """The imports of a block, None when it holds anything else."""
    found: list[FromImport] = []
    for line in block.body:
        if not isinstance(line, cst.SimpleStatementLine):
            return None
        for statement in line.body:
            if not isinstance(statement, FromImport) or isinstance(statement.names, cst.ImportStar):
                return None
            found.append(statement)
    return found


def _reaches(context: Context, node: FromImport) -> bool:
    """Whether every name of the statement is one of the classes, of either side."""
    module = dotted(node.module) or ""
    names = [dotted(alias.name) or "" for alias in aliases(node)]
    ours = module == context.move.target and not node.relative
    return all((ours or context.move.moves(f"{module}.{name}")) and not node.relative for name in names)


def _falls_back(context: Context, handler: cst.ExceptHandler, names: set[str | None]) -> bool:
    rungs: Sequence[cst.BaseSuite] = [handler.body]
    inner = handler.body.body[0] if len(handler.body.body) == 1 else None
    if isinstance(inner, Ladder) and inner.orelse is None and inner.finalbody is None:
        rungs = [inner.body]
        if not all(_falls_back(context, deeper, names) for deeper in inner.handlers):
            return False
    for rung in rungs:
        imports = _imports(rung)
        if imports is None or not all(_reaches(context, node) for node in imports):
            return False
        if {bound_name(alias) for node in imports for alias in aliases(node)} - names:
            return False
    return True


def _collapse(context: Context, ladder: Ladder) -> None:
    """Replace the whole statement by the imports of its body."""
    start, end = context.syntax.span(ladder)
    line = context.source.position(start)[0]
    indent = context.source.utf8[context.source.line_starts[line - 1] : start].decode("utf-8")
    texts = []
    for node in _imports(ladder.body) or ():
        assert node.module is not None
        first, last = context.syntax.span(node)
        token = context.syntax.span(node.module)
        utf8 = context.source.utf8
        texts.append((utf8[first : token[0]] + context.move.target.encode() + utf8[token[1] : last]).decode("utf-8"))
    text = f"{context.source.eol_at(start)}{indent}".join(texts)
    context.replace(start, _without_line_end(context, start, end), text, RULE.code)
    for fact in context.survey.imports:
        if start <= context.syntax.span(fact.node)[0] < end:
            context.plans.pop(fact.node, None)
            context.excuse(fact.node)


def _without_line_end(context: Context, start: int, end: int) -> int:
    """The end of the statement's last token: libcst counts the line end of a block to it."""
    text = context.source.utf8[start:end]
    return start + len(text.rstrip())
