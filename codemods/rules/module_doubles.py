"""Leave files alone that put a double of TRL into ``sys.modules``.

Tests do this to run without TRL (it takes about a gigabyte of imports). ``from trl import ORPOTrainer`` then means
the double; rewriting the import would load the real thing and leave the double unused.
"""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst

from codemods.context import Context, callee, literal
from codemods.rules import Example, Phase, Rule
from codemods.syntax import dotted

RULE = Rule(
    code="OC104",
    title="double of TRL in sys.modules",
    why="imports of `trl` mean the double, whatever TRL release is installed",
    message="the whole file stays",
    example=Example("import sys\n\nsys.modules['trl'] = fake\nfrom trl import ORPOTrainer\n", None),
    phase=Phase.REFUSE,
)

_WRITERS = {"setitem", "delitem", "dict", "setdefault", "update", "pop", "__setitem__", "MonkeyPatch"}


def apply(context: Context) -> None:
    """Refuse a file that writes an entry for the source package."""
    for place in _writes(context):
        context.refuse(
            "OC104",
            place,
            f"A double stands in for {context.move.source_root} in sys.modules, so its imports stay.",
            f"Let the double stand in for {context.move.target} too, then migrate the file by hand.",
        )


def _writes(context: Context) -> Iterator[cst.CSTNode]:
    for store in context.survey.stores:
        if isinstance(store.node, cst.Subscript) and _is_modules(store.node.value):
            index = store.node.slice[0].slice
            if isinstance(index, cst.Index) and context.concerns_source(literal(index.value)):
                yield store.node
    indirect = False
    for fact in context.survey.calls:
        call = fact.node
        assert isinstance(call, cst.Call)
        name = callee(call).rpartition(".")[2]
        if name == "ModuleType" and call.args and context.concerns_source(literal(call.args[0].value)):
            yield call
        elif name in _WRITERS and _about_modules(call):
            indirect = True
            if _names_source(context, call):
                yield call
    if indirect:
        yield from _keys(context)


def _keys(context: Context) -> Iterator[cst.CSTNode]:
    """Entries of dictionaries that may be what is put into ``sys.modules`` somewhere in the file."""
    for fact in context.survey.strings:
        entry = context.syntax.parents.get(fact.node)
        if (
            isinstance(entry, cst.DictElement)
            and entry.key is fact.node
            and literal(fact.node) in context.move.packages
        ):
            yield fact.node


def _is_modules(node: cst.CSTNode) -> bool:
    path = dotted(node) or ""
    return path == "modules" or path.endswith("sys.modules")


def _about_modules(call: cst.Call) -> bool:
    owner = call.func.value if isinstance(call.func, cst.Attribute) else None
    candidates = [arg.value for arg in call.args] + ([owner] if owner is not None else [])
    return any(_is_modules(node) or literal(node) == "sys.modules" for node in candidates)


def _names_source(context: Context, call: cst.Call) -> bool:
    if any(arg.keyword is not None and arg.keyword.value == context.move.source_root for arg in call.args):
        return True
    inside: list[cst.CSTNode] = list(call.args)
    while inside:
        node = inside.pop()
        if context.concerns_source(literal(node)):
            return True
        inside.extend(node.children)
    return False
