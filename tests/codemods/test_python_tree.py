from __future__ import annotations

import ast
import warnings

import pytest

from codemods.python_tree import python_tree


@pytest.mark.parametrize("source", ["x = 1\n", b"# -*- coding: latin-1 -*-\ns = '\xe9'\n"])
def test_a_module_is_parsed_as_python_does(source: str | bytes) -> None:
    tree = python_tree(source)
    assert tree is not None
    assert ast.dump(tree) == ast.dump(ast.parse(source))


@pytest.mark.parametrize("source", ["x = = 1\n", b"s = '\xff'\n", b"a\0b\n", "(" * 3000 + ")" * 3000])
def test_what_python_does_not_read_has_no_tree(source: str | bytes) -> None:
    assert python_tree(source) is None


def test_an_odd_escape_is_parsed_in_silence() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert python_tree("path = '\\d'\n") is not None
