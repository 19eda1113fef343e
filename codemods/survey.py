"""One walk over a module: its scopes, imports, strings, calls, classes and deletions.

The rules read what this collects and never walk the tree themselves. Order is source order; what a name refers
to is decided in ``codemods.scopes``, what it means in the rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import libcst as cst

from codemods.facts import ImportFact, ScopedNode, StringFact, Survey, bound_name, parameters
from codemods.scopes import Kind, Scope, Use
from codemods.syntax import FromImport, ImportStatement, PlainImport, Syntax, parts


def surveyed(syntax: Syntax) -> Survey:
    """Walk the module once; fills in the parents of ``syntax``."""
    survey = Survey(syntax, Scope(Kind.MODULE, syntax.tree))
    _Walker(survey).walk(syntax.tree, survey.module)
    del syntax.parents[syntax.tree]
    return survey


class _Walker:
    """Walks with the scope in hand; node types that bind names or open scopes have a handler."""

    def __init__(self, survey: Survey) -> None:
        self.survey = survey
        self.spans = survey.syntax.spans
        self.parents = survey.syntax.parents
        self.current: cst.CSTNode = survey.syntax.tree
        self.annotating = False
        self.fields: set[cst.CSTNode] = set()
        self.handlers: dict[type[cst.CSTNode], Callable[[cst.CSTNode, Scope], None]] = {
            cst.Name: self._name,
            cst.Attribute: self._attribute,
            cst.Arg: self._arg,
            cst.Call: self._call,
            cst.Import: self._import,
            cst.LazyImport: self._import,
            cst.ImportFrom: self._from_import,
            cst.LazyImportFrom: self._from_import,
            cst.FunctionDef: self._function,
            cst.Lambda: self._lambda,
            cst.ClassDef: self._class,
            cst.ListComp: self._comprehension,
            cst.SetComp: self._comprehension,
            cst.GeneratorExp: self._comprehension,
            cst.DictComp: self._comprehension,
            cst.NamedExpr: self._walrus,
            cst.AssignTarget: self._assign_target,
            cst.AnnAssign: self._ann_assign,
            cst.AugAssign: self._aug_assign,
            cst.For: self._for,
            cst.AsName: self._as_name,
            cst.Del: self._del,
            cst.Global: self._global,
            cst.Nonlocal: self._global,
            cst.MatchAs: self._match_name,
            cst.MatchStar: self._match_name,
            cst.MatchMapping: self._match_mapping,
            cst.MatchKeywordElement: self._match_keyword,
            cst.TypeAlias: self._type_alias,
            cst.Annotation: self._annotation,
            cst.Subscript: self._subscript,
            cst.SimpleString: self._string,
            cst.ConcatenatedString: self._string,
            cst.FormattedString: self._string,
        }

    def walk(self, node: cst.CSTNode | None, scope: Scope) -> None:
        if node is None:
            return
        if node in self.fields:
            self.fields.discard(node)
            self._as_type(node, scope, True)
            return
        above, self.current = self.current, node
        self.parents[node] = above
        handler = self.handlers.get(type(node))
        if handler is not None:
            handler(node, scope)
        else:
            self._inside(node, scope)
        self.current = above

    def _inside(self, node: cst.CSTNode, scope: Scope) -> None:
        for child in parts(node):
            self.walk(child, scope)

    def _each(self, nodes: Sequence[cst.CSTNode], scope: Scope) -> None:
        for node in nodes:
            self.walk(node, scope)

    def _start(self, node: cst.CSTNode) -> int:
        return self.spans[node][0]

    # Loads.

    def _name(self, node: cst.CSTNode, scope: Scope) -> None:
        assert isinstance(node, cst.Name)
        scope.uses.append(Use(node, scope, self._start(node)))

    def _attribute(self, node: cst.CSTNode, scope: Scope) -> None:
        assert isinstance(node, cst.Attribute)
        self.walk(node.value, scope)

    def _arg(self, node: cst.CSTNode, scope: Scope) -> None:
        assert isinstance(node, cst.Arg)
        self.walk(node.value, scope)

    def _call(self, node: cst.CSTNode, scope: Scope) -> None:
        assert isinstance(node, cst.Call)
        self.survey.calls.append(ScopedNode(node, scope))
        annotating, self.annotating = self.annotating, False
        self.walk(node.func, scope)
        for index, arg in enumerate(node.args):
            self.annotating = reads_as_type(node.func, index, arg)
            self.fields.update(field_types(node.func, index, arg.value))
            self.walk(arg, scope)
        self.annotating = annotating

    def _string(self, node: cst.CSTNode, scope: Scope) -> None:
        assert isinstance(node, (cst.SimpleString, cst.ConcatenatedString, cst.FormattedString))
        self.survey.strings.append(StringFact(node, scope, self.annotating))
        if isinstance(node, cst.FormattedString):
            self._inside(node, scope)
        elif isinstance(node, cst.ConcatenatedString):
            for part in (node.left, node.right):
                if not isinstance(part, cst.SimpleString):
                    self.walk(part, scope)

    # Bindings.

    def _bind(self, target: cst.CSTNode, scope: Scope) -> None:
        """Bind the names of an assignment target; walk what it evaluates."""
        if isinstance(target, cst.Name):
            self.parents[target] = self.current
            scope.bind(target.value, target, self._start(target))
        elif isinstance(target, (cst.Tuple, cst.List)):
            for element in target.elements:
                self._bind(element.value, scope)
        elif isinstance(target, cst.StarredElement):
            self._bind(target.value, scope)
        else:
            self.survey.stores.append(ScopedNode(target, scope))
            self.walk(target, scope)

    def _import(self, node: cst.CSTNode, scope: Scope) -> None:
        assert isinstance(node, PlainImport)
        self.survey.imports.append(ImportFact(node, scope))
        for alias in node.names:
            self._bind_alias(alias, node, scope)

    def _from_import(self, node: cst.CSTNode, scope: Scope) -> None:
        assert isinstance(node, FromImport)
        self.survey.imports.append(ImportFact(node, scope))
        if not isinstance(node.names, cst.ImportStar):
            for alias in node.names:
                self._bind_alias(alias, node, scope)

    def _bind_alias(self, alias: cst.ImportAlias, node: ImportStatement, scope: Scope) -> None:
        name = bound_name(alias)
        self.parents[alias] = node
        if name:
            scope.bind(name, alias, self._start(alias), node)

    def _walrus(self, node: cst.CSTNode, scope: Scope) -> None:
        assert isinstance(node, cst.NamedExpr)
        self._bind(node.target, scope.nearest(walrus=True))
        self.walk(node.value, scope)

    def _assign_target(self, node: cst.CSTNode, scope: Scope) -> None:
        assert isinstance(node, cst.AssignTarget)
        self._bind(node.target, scope)

    def _ann_assign(self, node: cst.CSTNode, scope: Scope) -> None:
        assert isinstance(node, cst.AnnAssign)
        self._bind(node.target, scope)
        self.walk(node.annotation, scope)
        self.walk(node.value, scope)

    def _aug_assign(self, node: cst.CSTNode, scope: Scope) -> None:
        assert isinstance(node, cst.AugAssign)
        self._bind(node.target, scope)
        self.walk(node.value, scope)

    def _for(self, node: cst.CSTNode, scope: Scope) -> None:
        assert isinstance(node, cst.For)
        self._bind(node.target, scope)
        self._each((node.iter, node.body), scope)
        self.walk(node.orelse, scope)

    def _as_name(self, node: cst.CSTNode, scope: Scope) -> None:
        assert isinstance(node, cst.AsName)
        self._bind(node.name, scope)

    def _del(self, node: cst.CSTNode, scope: Scope) -> None:
        assert isinstance(node, cst.Del)
        targets: list[cst.BaseExpression] = [node.target]
        while targets:
            target = targets.pop()
            if isinstance(target, cst.Name):
                scope.delete(target.value, target, self._start(target))
            elif isinstance(target, (cst.Tuple, cst.List)):
                targets += [element.value for element in target.elements]
            else:
                self.survey.stores.append(ScopedNode(target, scope))
                self.walk(target, scope)

    def _global(self, node: cst.CSTNode, scope: Scope) -> None:
        assert isinstance(node, (cst.Global, cst.Nonlocal))
        for item in node.names:
            scope.declare(item.name.value, is_global=isinstance(node, cst.Global))

    def _match_name(self, node: cst.CSTNode, scope: Scope) -> None:
        assert isinstance(node, (cst.MatchAs, cst.MatchStar))
        if isinstance(node, cst.MatchAs):
            self.walk(node.pattern, scope)
        if node.name is not None:
            self._bind(node.name, scope)

    def _match_mapping(self, node: cst.CSTNode, scope: Scope) -> None:
        assert isinstance(node, cst.MatchMapping)
        self._each(node.elements, scope)
        if node.rest is not None:
            self._bind(node.rest, scope)

    def _match_keyword(self, node: cst.CSTNode, scope: Scope) -> None:
        assert isinstance(node, cst.MatchKeywordElement)
        self.walk(node.pattern, scope)

    # Scopes.

    def _function(self, node: cst.CSTNode, scope: Scope) -> None:
        assert isinstance(node, cst.FunctionDef)
        self._each(node.decorators, scope)
        scope.bind(node.name.value, node, self._start(node.name))
        outer = self._type_scope(node, node.type_parameters, scope)
        self._parameters_outside(node.params, scope, outer)
        self.walk(node.returns, outer)
        inner = Scope(Kind.FUNCTION, node, outer)
        self._parameters_inside(node.params, inner)
        self.walk(node.body, inner)

    def _lambda(self, node: cst.CSTNode, scope: Scope) -> None:
        assert isinstance(node, cst.Lambda)
        self._parameters_outside(node.params, scope, scope)
        inner = Scope(Kind.FUNCTION, node, scope)
        self._parameters_inside(node.params, inner)
        self.walk(node.body, inner)

    def _class(self, node: cst.CSTNode, scope: Scope) -> None:
        assert isinstance(node, cst.ClassDef)
        self.survey.classes.append(ScopedNode(node, scope))
        self._each(node.decorators, scope)
        scope.bind(node.name.value, node, self._start(node.name))
        outer = self._type_scope(node, node.type_parameters, scope)
        self._each((*node.bases, *node.keywords), outer)
        self.walk(node.body, Scope(Kind.CLASS, node, outer))

    def _type_scope(self, node: cst.CSTNode, params: cst.TypeParameters | None, scope: Scope) -> Scope:
        if params is None:
            return scope
        outer = Scope(Kind.TYPE, node, scope)
        for one in params.params:
            outer.bind(one.param.name.value, one.param.name, self._start(one.param.name))
            if isinstance(one.param, cst.TypeVar):
                self.walk(one.param.bound, outer)
            self.walk(one.default, outer)
        return outer

    def _type_alias(self, node: cst.CSTNode, scope: Scope) -> None:
        assert isinstance(node, cst.TypeAlias)
        scope.bind(node.name.value, node, self._start(node.name))
        self.walk(node.value, self._type_scope(node, node.type_parameters, scope))

    def _parameters_outside(self, params: cst.Parameters, defaults: Scope, annotations: Scope) -> None:
        for param in parameters(params):
            self.walk(param.default, defaults)
            self.walk(param.annotation, annotations)

    def _parameters_inside(self, params: cst.Parameters, inner: Scope) -> None:
        for param in parameters(params):
            inner.bind(param.name.value, param.name, self._start(param.name))

    def _comprehension(self, node: cst.CSTNode, scope: Scope) -> None:
        assert isinstance(node, (cst.ListComp, cst.SetComp, cst.GeneratorExp, cst.DictComp))
        inner = Scope(Kind.COMPREHENSION, node, scope)
        self.walk(node.for_in.iter, scope)
        loop: cst.CompFor | None = node.for_in
        while loop is not None:
            self._bind(loop.target, inner)
            self._each(loop.ifs, inner)
            loop = loop.inner_for_in
            self.walk(loop.iter if loop is not None else None, inner)
        self._each((node.key, node.value) if isinstance(node, cst.DictComp) else (node.elt,), inner)

    # Types in strings.

    def _annotation(self, node: cst.CSTNode, scope: Scope) -> None:
        assert isinstance(node, cst.Annotation)
        self._as_type(node.annotation, scope, True)

    def _subscript(self, node: cst.CSTNode, scope: Scope) -> None:
        assert isinstance(node, cst.Subscript)
        self.walk(node.value, scope)
        name = node.value.attr.value if isinstance(node.value, cst.Attribute) else None
        name = node.value.value if isinstance(node.value, cst.Name) else name
        for index, element in enumerate(node.slice):
            types = self.annotating and name != "Literal" and not (name == "Annotated" and index)
            self._as_type(element, scope, types)

    def _as_type(self, node: cst.CSTNode, scope: Scope, types: bool) -> None:
        annotating, self.annotating = self.annotating, types
        self.walk(node, scope)
        self.annotating = annotating


def reads_as_type(func: cst.BaseExpression, index: int, arg: cst.Arg) -> bool:
    """Whether a type checker reads this argument of a call as a type (``cast``, ``TypeVar``, ``NewType``)."""
    name = func.attr.value if isinstance(func, cst.Attribute) else None
    name = func.value if isinstance(func, cst.Name) else name
    keyword = arg.keyword.value if arg.keyword is not None else None
    if name == "cast":
        return keyword == "typ" or (keyword is None and index == 0)
    if name == "TypeVar":
        return keyword in {"bound", "default"} or (keyword is None and index > 0)
    return name in {"NewType"} and index == 1


def field_types(func: cst.BaseExpression, index: int, value: cst.BaseExpression) -> Iterator[cst.BaseExpression]:
    """The types of the fields in ``NamedTuple("N", [("a", type)])`` and ``TypedDict("T", {"a": type})``."""
    name = func.attr.value if isinstance(func, cst.Attribute) else None
    name = func.value if isinstance(func, cst.Name) else name
    if index == 1 and name == "TypedDict" and isinstance(value, cst.Dict):
        yield from (one.value for one in value.elements)
    if index == 1 and name == "NamedTuple" and isinstance(value, (cst.List, cst.Tuple)):
        pairs = [one.value for one in value.elements]
        yield from (pair.elements[1].value for pair in pairs if isinstance(pair, cst.Tuple) and len(pair.elements) == 2)
