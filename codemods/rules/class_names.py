"""Report strings, listed or handed on, that are the name of a class and nothing more, in files that speak of TRL.

``{"orpo": "ORPOTrainer"}`` beside a ``getattr(trl, name)`` finds nothing since TRL 0.29; a list of trainers to patch
or to tell by name may have to know ours. Which of the two it is, only a reader can say.
"""

from __future__ import annotations

import libcst as cst

from codemods.catalog import CLASSES
from codemods.context import Context, callee, literal
from codemods.findings import Severity
from codemods.rules import Example, Phase, Rule
from codemods.scopes import Binding
from codemods.syntax import FromImport, dotted

RULE = Rule(
    code="OC103",
    title="class named by a string",
    why="what is looked up in TRL by that name is missing since TRL 0.29; ours has the same name and another module",
    message="the string stays",
    example=Example("import trl\n\nNAMES = {'orpo': 'ORPOTrainer'}\nTrainer = getattr(trl, NAMES[kind])\n", None),
    phase=Phase.LAST,
)


def apply(context: Context) -> None:
    """Report each such string that no other finding speaks for; a name that the module binds is its own."""
    if not context.forward or not speaks_of_source(context):
        return
    for fact in context.survey.strings:
        start = context.syntax.span(fact.node)[0]
        name = literal(fact.node)
        if (
            name in CLASSES - set(context.survey.module.bindings)
            and _is_listed(context, fact.node)
            and not context.covered(start)
        ):
            message = f"A string names {name}."
            advice = f"If it is looked up in TRL, look in {context.move.target}; if it tells trainers apart, keep it."
            context.report("OC103", start, message, advice, Severity.INFO)


def speaks_of_source(context: Context) -> bool:
    """Whether the file reads TRL: an import of it, or a string that is a module of it."""
    if any(context.concerns_source(literal(fact.node)) for fact in context.survey.strings):
        return True
    froms = (fact.node for fact in context.survey.imports if isinstance(fact.node, FromImport))
    if any(context.concerns_source(dotted(node.module)) and not node.relative for node in froms):
        return True
    paths = (context.names.imported(one) for scope in context.survey.module.walk() for one in _bindings(scope.bindings))
    return any(context.concerns_source(path) for path in paths)


def _bindings(bindings: dict[str, list[Binding]]) -> list[Binding]:
    return [one for found in bindings.values() for one in found]


def _is_listed(context: Context, node: cst.CSTNode) -> bool:
    """Whether the string is handed to a call, or stands in a dictionary, list, tuple or set, and not in ``__all__``.

    What ``getattr`` and its like are given is looked at by the rules about those.
    """
    parent = context.syntax.parents.get(node)
    if isinstance(parent, cst.Arg):
        call = context.syntax.parents.get(parent)
        return isinstance(call, cst.Call) and callee(call) not in {"getattr", "hasattr", "setattr", "delattr"}
    if not isinstance(parent, (cst.BaseElement, cst.DictElement)):
        return False
    statements = (parent for parent, _ in context.ancestors(node) if isinstance(parent, cst.BaseSmallStatement))
    statement = next(statements, None)
    return statement is None or not context.syntax.code(statement).startswith("__all__")
