"""Leave files alone that put a double of TRL into ``sys.modules``.

Tests do this to run without TRL (it takes about a gigabyte of imports). ``from trl import ORPOTrainer`` then means
the double; rewriting the import would load the real thing and leave the double unused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import libcst as cst

from codemods.context import Context, callee, literal
from codemods.placement import aliases
from codemods.rules import Example, Phase, Rule
from codemods.syntax import FromImport, ImportStatement, dotted

RULE = Rule(
    code="OC104",
    title="double of TRL in sys.modules",
    why="imports of `trl` mean the double, whatever TRL release is installed",
    message="the whole file stays; `--strings` moves a single double and its imports together",
    example=Example("import sys\n\nsys.modules['trl'] = fake\nfrom trl import ORPOTrainer\n", None),
    phase=Phase.REFUSE,
)

_WRITERS = {"setitem", "delitem", "dict", "setdefault", "update", "pop", "__setitem__", "MonkeyPatch"}


def apply(context: Context) -> None:
    """Refuse a file that writes an entry for the source package, or move the one entry with ``--strings``."""
    places = list(_writes(context))
    key = _movable_key(context, places) if context.options.strings and context.forward else None
    if key is not None:
        start = context.syntax.span(key)[0] + len(key.prefix) + len(key.quote)
        context.replace(start, start + len(key.raw_value), context.move.target, RULE.code)
        return
    for place in places:
        context.refuse(
            "OC104",
            place,
            f"A double stands in for {context.move.source_root} in sys.modules, so its imports stay.",
            f"Let the double stand in for {context.move.target} too, then migrate the file by hand.",
        )


def _movable_key(context: Context, places: Sequence[cst.CSTNode]) -> cst.SimpleString | None:
    """The one string that names TRL in the one such place, if the file imports nothing from TRL but the classes."""
    named = [fact.node for fact in context.survey.strings if context.concerns_source(literal(fact.node))]
    if len(places) != 1 or len(named) != 1 or not all(_is_orpo(context, fact.node) for fact in context.survey.imports):
        return None
    key, (start, end) = named[0], context.syntax.span(places[0])
    plain = isinstance(key, cst.SimpleString) and "\\" not in key.value and literal(key) in context.move.sources
    return key if isinstance(key, cst.SimpleString) and plain and start <= context.syntax.span(key)[0] < end else None


def _is_orpo(context: Context, node: ImportStatement) -> bool:
    """Whether an import moves whole, or is not from the source package."""
    if not isinstance(node, FromImport):
        return not any(context.concerns_source(dotted(alias.name)) for alias in aliases(node))
    module = dotted(node.module)
    if node.relative or not context.concerns_source(module):
        return True
    names = [dotted(alias.name) for alias in aliases(node)]
    return bool(names) and all(context.move.moves(f"{module}.{name}") for name in names)


def _writes(context: Context) -> Iterator[cst.CSTNode]:
    for store in context.survey.stores:
        if isinstance(store.node, cst.Subscript) and _is_modules(store.node.value):
            index = store.node.slice[0].slice
            if isinstance(index, cst.Index) and context.concerns_source(literal(index.value)):
                yield store.node
    found: list[cst.CSTNode] = []
    indirect = False
    for fact in context.survey.calls:
        call = fact.node
        assert isinstance(call, cst.Call)
        name = callee(call).rpartition(".")[2]
        if name == "ModuleType" and call.args and context.concerns_source(literal(call.args[0].value)):
            found.append(call)
        elif name in _WRITERS and _about_modules(call):
            indirect = True
            if _names_source(context, call):
                found.append(call)
    yield from found
    if indirect and not found:
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
