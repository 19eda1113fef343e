"""Report imports whose module or name is a string.

``importlib.import_module("trl.trainer.orpo_trainer")`` and helpers that take a module and a name as strings failed
with the release that moved the module (0.29 for the old ones), like the statements they stand for.
"""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst

from codemods.catalog import CLASSES
from codemods.computed_names import may_become_source, speaks_of_source
from codemods.context import Context, callee, literal
from codemods.mentions import mentions
from codemods.rules import Example, Phase, Rule
from codemods.syntax import dotted

RULE = Rule(
    code="OC102",
    title="dynamic import",
    why="module names in strings followed the classes through TRL 0.26 and 0.29 no better than statements did",
    message="the call stays; `--strings` rewrites those whose meaning is certain",
    example=Example("import importlib\n\nmodule = importlib.import_module('trl.trainer.orpo_trainer')\n", None),
    phase=Phase.REPORT,
)

_EVALUATORS = {"exec", "eval", "find_spec", "run_module"}
LOADERS = {"import_module", "__import__", "importorskip", "reload", "resolve_name", "import_string", "locate"}


def apply(context: Context) -> None:
    """Look at calls that name the source package, or one of its ORPO modules, in a string."""
    for fact in context.survey.calls:
        call = fact.node
        assert isinstance(call, cst.Call)
        if context.covered(*context.syntax.span(call)):
            continue
        values = [literal(arg.value) for arg in call.args]
        modules = [value for value in values if value is not None and value in context.move.packages]
        loads = callee(call).rpartition(".")[2] in LOADERS
        names_class = any(value in CLASSES for value in values)
        if not modules:
            continue
        if _reads_orpo(context, call, modules, names_class) if loads or names_class else _is_read(context, call):
            context.report(
                "OC102",
                call,
                f"A string names the module: {_code(context, call)}.",
                f"Load {context.move.target} there, which has both classes.",
            )
            _report_reads(context, call)
    _report_loaded(context)
    _report_computed(context)


def _report_computed(context: Context) -> None:
    """Names that are put together as the program runs: nobody can tell what they come to."""
    for fact in context.survey.strings:
        if context.covered(*context.syntax.span(fact.node)) or fact.annotation or _is_spelt(context, fact.node):
            continue
        loaded = _is_loaded(context, fact.node) and speaks_of_source(context.move, fact.node)
        if loaded or may_become_source(context.move, fact.node):
            message = f"A name is put together here that may be TRL's ORPO: {_code(context, fact.node)}."
            advice = f"Let ORPO come from {context.move.target}; nothing here can tell when it is meant."
            context.report("OC102", fact.node, message, advice)


def _is_spelt(context: Context, node: cst.CSTNode) -> bool:
    """Whether the whole name is written in the string: that is told as any string that names ORPO."""
    value = literal(node)
    text = context.syntax.code(node) if value is None else value
    return any(one.exact for one in mentions(text.encode("utf-8", "replace"), context.move.source_root))


def _is_loaded(context: Context, node: cst.CSTNode) -> bool:
    """Whether the string is part of what a call imports or evaluates, and not the whole of it."""
    for parent, child in context.ancestors(node):
        if isinstance(parent, (cst.BaseSmallStatement, cst.BaseCompoundStatement)):
            return False
        if isinstance(parent, cst.Call) and callee(parent).rpartition(".")[2] in LOADERS | _EVALUATORS:
            return isinstance(child, cst.Arg) and literal(child.value) is None
    return False


def _report_reads(context: Context, loaded: cst.BaseExpression) -> None:
    for start in _reads(context, loaded):
        context.report("OC102", start, "This reads from a module named by a string; it stays.", "See above.")


def _report_loaded(context: Context) -> None:
    """``sys.modules["trl"]``, where a class is read from it."""
    for fact in context.survey.strings:
        index = context.syntax.parents.get(fact.node)
        element = context.syntax.parents.get(index) if isinstance(index, cst.Index) else None
        entry = context.syntax.parents.get(element) if isinstance(element, cst.SubscriptElement) else None
        if not isinstance(entry, cst.Subscript) or literal(fact.node) not in context.move.packages:
            continue
        if (dotted(entry.value) or "").endswith("modules") and _is_read(context, entry):
            message = f"A class is read from what sys.modules holds: {_code(context, entry)}."
            context.report("OC102", entry, message, f"Import it from {context.move.target}.")
            _report_reads(context, entry)


def _is_read(context: Context, loaded: cst.BaseExpression) -> bool:
    """Whether a class is read from the value, at once or through the name it is assigned to."""
    parent = context.syntax.parents.get(loaded)
    at_once = isinstance(parent, cst.Attribute) and parent.attr.value in CLASSES
    return at_once or any(True for _ in _reads(context, loaded))


def _reads_orpo(context: Context, call: cst.Call, modules: list[str], names_class: bool) -> bool:
    """Whether the call is about ORPO; loading plain ``trl`` is when something in the file could read ORPO from it."""
    if names_class or any(module in context.move.modules for module in modules):
        return True
    if b"ORPO" in context.source.utf8[slice(*context.syntax.span(call))]:
        return True
    return _result_reads_orpo(context, call)


def _result_reads_orpo(context: Context, call: cst.Call) -> bool:
    parent = context.syntax.parents.get(call)
    if isinstance(parent, cst.Attribute):
        return parent.attr.value in CLASSES | {"trainer", "experimental"}
    if isinstance(parent, cst.Arg):
        outer = context.syntax.parents.get(parent)
        if not isinstance(outer, cst.Call):
            return False
        names = [literal(arg.value) for arg in outer.args]
        computed = callee(outer) == "getattr" and len(names) > 1 and names[1] is None
        return computed or any(name in CLASSES for name in names)
    return any(True for _ in _reads(context, call))


def _reads(context: Context, call: cst.BaseExpression) -> Iterator[int]:
    """Where the classes are read from the name that the loaded module is assigned to."""
    parent = context.syntax.parents.get(call)
    if not isinstance(parent, cst.Assign):
        return
    targets = {dotted(one.target) for one in parent.targets}
    for use in context.survey.uses():
        owner = context.syntax.parents.get(use.node)
        while isinstance(owner, cst.Attribute) and use.name in targets:
            if owner.attr.value in CLASSES:
                yield use.start
            owner = context.syntax.parents.get(owner)


def _code(context: Context, call: cst.CSTNode) -> str:
    code = " ".join(context.syntax.code(call).split())
    return code if len(code) <= 80 else code[:77] + "..."
