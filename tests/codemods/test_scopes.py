"""Python's own symbol tables as the oracle: whatever they say a name is, our scopes must say too."""

from __future__ import annotations

import symtable
import sys

import pytest

from codemods.decode import decoded
from codemods.scopes import Kind, Scope
from codemods.survey import surveyed
from codemods.syntax import parsed

SOURCES = {
    "parameters": "def f(a, /, b, *c, d=x, **e): return a, b, c, d, e, x\n",
    "nested functions": "x = 1\ndef f():\n    y = x\n    def g():\n        nonlocal y\n        y = z\n    return g\n",
    "globals": "def f():\n    global x\n    x = 1\n    return x, y\n",
    "class bodies": "x = 1\nclass C:\n    x = 2\n    y = x\n    def m(self): return x, y, C\n",
    "comprehensions": "x = [y for x in z if x for y in x]\nw = {k: v for k, v in w}\n",
    "walrus": "def f():\n    [y := x for x in z]\n    return y\n",
    "targets": "def f():\n    for a, (b, *c) in d: pass\n    with e as (g, h): del i\n    j += 1; k: int = 2\n",
    "handlers": "def f():\n    try: import a.b, c as d\n    except E as e: from m import n as o, p\n",
    "patterns": "def f(x):\n    match x:\n        case A(b=c, d=[*e]), {'k': g, **h}: c\n        case i: A\n",
    "lambdas": "f = lambda a, b=c: (a, b, c, d)\n",
    "decorators": "@d(x)\ndef f(a: t = x) -> r: return a\n@e\nclass C(B, metaclass=M): pass\n",
    "attributes and keywords": "a.b.c = d.e(f=g)\nh[i] = j\n",
    "generators": "def f(x):\n    return (a for a in x for b in a)\n",
    "f-strings": "def f(x):\n    return f'{x!r:>{w}} {y}'\n",
}


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES.keys())
@pytest.mark.skipif(sys.version_info >= (3, 12), reason="symtable shows inlined comprehensions differently since 3.12")
def test_bound_names_are_those_of_the_symbol_table(source: str) -> None:
    assert sorted(_ours(_scopes(source))) == sorted(_theirs(symtable.symtable(source, "x", "exec")))


def _scopes(source: str) -> Scope:
    return surveyed(parsed(decoded(source.encode()))).module


def _ours(scope: Scope) -> list[tuple[str, ...]]:
    """For each scope, the names bound in it."""
    rows = [tuple(sorted(name for name, found in scope.bindings.items() if found))]
    for child in scope.children:
        rows += _ours(child)
    return rows


def _theirs(table: symtable.SymbolTable) -> list[tuple[str, ...]]:
    names = [
        symbol.get_name()
        for symbol in table.get_symbols()
        if (symbol.is_local() or (table.get_type() == "module" and _assigned(table, symbol.get_name())))
        and not symbol.get_name().startswith(".")
    ]
    rows = [tuple(sorted(names))]
    for child in table.get_children():
        rows += _theirs(child)
    return rows


def _assigned(table: symtable.SymbolTable, name: str) -> bool:
    """Whether the module binds the name, itself or from a function that declares it global."""
    symbol = table.lookup(name)
    below = [inner for child in table.get_children() for inner in _below(child)]
    declared = any(
        inner.lookup(name).is_declared_global() and inner.lookup(name).is_assigned()
        for inner in below
        if name in inner.get_identifiers()
    )
    return symbol.is_assigned() or symbol.is_imported() or declared


def _below(table: symtable.SymbolTable) -> list[symtable.SymbolTable]:
    return [table, *(inner for child in table.get_children() for inner in _below(child))]


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("x = 1\nclass C:\n    y = x\n    x = 2\n", Kind.MODULE),
        ("x = 1\nclass C:\n    x = 2\n    y = x\n", Kind.CLASS),
        ("class C:\n    x = 1\n    def f(self): y = x\n", None),
        ("class C[x]:\n    y = x\n", Kind.TYPE),
        ("def f[x](a: x): y = x\n", Kind.TYPE),
        ("type y[x] = x\n", Kind.TYPE),
        ("def f():\n    x = 1\n    class C:\n        def g(self): y = x\n", Kind.FUNCTION),
    ],
)
def test_a_load_sees_the_binding_that_python_would(source: str, kind: Kind | None) -> None:
    found = [scope.resolve("x", use.start) for scope in _scopes(source).walk() for use in scope.uses if use.name == "x"]
    assert found[-1].kind is kind if found[-1] is not None else kind is None
