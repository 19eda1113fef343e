"""Which expressions ask whether TRL can be imported, and which names hold the answer.

``find_spec("trl")``, ``is_trl_available()`` and ``"trl" in sys.modules`` ask; a flag set from one of them, or in the
branches of a guarded ``import trl``, and a function that returns such an answer, hold it. What follows from that is
for the rules.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import libcst as cst

from codemods.context import Context
from codemods.placement import aliases
from codemods.scopes import Binding, Scope
from codemods.syntax import FromImport, PlainImport, dotted

_ASKING = re.compile(
    r"find_spec|find_loader|get_loader|hasattr\s*\(|avail|installed|distribution|sys\.modules|import_module"
    r"|__import__|importorskip"
)
_BY_NAME = re.compile(r"(?i)(?:has|have|with|require[sd]?|got)_?trl|trl_?(?:avail|installed|ok|found|present|exists)")
IMPORT_ERRORS = frozenset(
    {"ImportError", "ModuleNotFoundError", "Exception", "BaseException", "RuntimeError", "AttributeError"}
)


def catches(guard: cst.Try | cst.TryStar, errors: frozenset[str]) -> bool:
    """Whether a handler of the ``try`` names one of ``errors``, or everything."""
    return any(_catches(handler, errors) for handler in guard.handlers)


def _catches(handler: cst.ExceptHandler | cst.ExceptStarHandler, errors: frozenset[str]) -> bool:
    if handler.type is None:
        return "ImportError" in errors
    nodes = [one.value for one in handler.type.elements] if isinstance(handler.type, cst.Tuple) else [handler.type]
    names = {node.attr.value if isinstance(node, cst.Attribute) else getattr(node, "value", "") for node in nodes}
    return not names.isdisjoint(errors)


class Probes:
    """Answers for one file."""

    def __init__(self, context: Context) -> None:
        self.context = context
        root = re.escape(context.move.source_root)
        self._about = re.compile(rf"(?i)(?:\b|_){root}(?:\b|_)")
        self._known: dict[tuple[Scope, str], bool] = {}

    def asks(self, node: cst.CSTNode, scope: Scope) -> bool:
        """Whether the expression asks, or reads the name of an answer."""
        text = self.context.syntax.code(node)
        if _BY_NAME.search(text) or (_ASKING.search(text) and self._about.search(text)):
            return True
        return any(self._holds_answer(name, scope) for name in dict.fromkeys(_names(node)))

    def mentions(self, node: cst.CSTNode) -> bool:
        """Whether the expression names TRL at all."""
        return self._about.search(self.context.syntax.code(node)) is not None

    def _holds_answer(self, name: str, scope: Scope) -> bool:
        home = scope.resolve(name)
        if home is None:
            return False
        if (home, name) not in self._known:
            self._known[home, name] = False  # a name that is made from itself adds nothing
            self._known[home, name] = any(self._is_answer(one) for one in home.bindings[name])
        return self._known[home, name]

    def _is_answer(self, binding: Binding) -> bool:
        node, parents = binding.node, self.context.syntax.parents
        if isinstance(node, cst.FunctionDef):
            return self._answers(node)
        if isinstance(node, cst.ImportAlias):
            return False
        target = parents.get(node)
        assign = parents.get(target) if isinstance(target, cst.AssignTarget) else target
        value = getattr(assign, "value", None)
        if isinstance(assign, (cst.Assign, cst.AnnAssign, cst.NamedExpr)) and isinstance(value, cst.BaseExpression):
            return self.asks(value, binding.scope) or self._set_by_guard(binding)
        return False

    def _answers(self, function: cst.FunctionDef) -> bool:
        """Whether what the function does is ask: by a probe in what it returns, or by a guarded import."""
        text = self.context.syntax.code(function.body)
        returns = re.search(r"\breturn\b", text) is not None
        tries = any(self._imports_source(one) for one in _inside(function.body) if isinstance(one, cst.Try))
        probes = _ASKING.search(text) is not None and self._about.search(text) is not None
        return returns and (tries or (probes and len(text) < _LONGEST_PROBE))

    def _set_by_guard(self, binding: Binding) -> bool:
        """Whether the name is set in a ``try`` that imports TRL and catches that it is missing."""
        guards = (parent for parent, _ in self.context.ancestors(binding.node) if isinstance(parent, cst.Try))
        return any(self._imports_source(guard) for guard in guards)

    def _imports_source(self, guard: cst.Try) -> bool:
        if not catches(guard, IMPORT_ERRORS | {"PackageNotFoundError", "DistributionNotFound"}):
            return False
        for node in _inside(guard.body):
            if isinstance(node, FromImport) and not node.relative and self.context.concerns_source(dotted(node.module)):
                return True
            plain = aliases(node) if isinstance(node, PlainImport) else ()
            if any(self.context.concerns_source(dotted(alias.name)) for alias in plain):
                return True
            if isinstance(node, cst.Call) and self.mentions(node):
                return True
        return False


_LONGEST_PROBE = 600
"""A function that asks is short; a long one that mentions TRL does other things."""


def _inside(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    stack = [node]
    while stack:
        one = stack.pop()
        yield one
        stack.extend(reversed(one.children))


def _names(node: cst.CSTNode) -> Iterator[str]:
    """Names that the expression reads; those of attributes and keywords are none."""
    stack = [node]
    while stack:
        one = stack.pop()
        if isinstance(one, cst.Name):
            yield one.value
        elif isinstance(one, (cst.Attribute, cst.Arg)):
            stack.append(one.value)
        else:
            stack.extend(reversed(one.children))
