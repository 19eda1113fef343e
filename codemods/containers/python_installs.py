"""Python that installs packages: nox sessions, subprocesses that run pip, images and jobs that are given a list.

Only ever reported. A string counts by where it stands, never by itself: an error message that says
``pip install trl`` installs nothing.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from codemods.containers.installs import ADVICE, install_offsets
from codemods.containers.mentions import Places, excerpt
from codemods.findings import Finding
from codemods.python_tree import python_tree

_REQUIREMENT = re.compile(r"\s*trl\s*(?:\[[^\]]*\])?\s*(?:[=<>!~@;].*)?$", re.DOTALL)
_OURS = re.compile(r"orpo[-_]compat(?![\w-])")
_MAY = re.compile(rb"[\"'\s]trl[\"'\s\[=<>!~@;,]")
_INSTALLER = re.compile(r"(?i)(?:^|_)(?:install|packages|requirements|add_packages|ensure)(?:_|$)|pip_|_pip")
_RUNNER = re.compile(r"(?i)^(?:system|popen|run\w*|call|check_\w+|get\w*output|shell|sh|sudo|local|execute|exec|bash)$")
_LIST_KEY = re.compile(r"(?i)pip(?!e)|require|depend|^deps$|_deps$|packages?(?:_|$)|libraries|wheels|conda|pypi")
_COMMAND_KEY = re.compile(r"(?i)cmds?$|commands?$|^setup|script$|entrypoint|^run$")
_TOOLS = frozenset({"uv", "poetry", "pdm", "rye", "pixi", "pipenv"})


def report_python_installs(path: str, places: Places, told: frozenset[int] = frozenset()) -> list[Finding]:
    """A finding for every place in a module that installs trl, and not orpo-compat beside it."""
    findings: dict[int, Finding] = {}
    for node in python_installs(places.text):
        line, column = places.at(places.offset(node.lineno) + _bom(places.text, node.lineno) + node.col_offset)
        if line not in told:
            at = places.offset(line)
            message = f"Installs trl: {excerpt(places.text, at)}"
            findings.setdefault(line, Finding("OC120", path, line, column, message, ADVICE))
    return list(findings.values())


def python_installs(source: bytes) -> list[ast.expr]:
    """The strings that have trl installed, in source order; none if the module does not parse."""
    if not _MAY.search(source):
        return []
    tree = python_tree(source)
    if tree is None:
        return []
    finder = _Finder(tree)
    found = [node for node in finder.strings() if finder.installs(node)]
    return [node for node in found if not finder.served(node)]


def _bom(source: bytes, line: int) -> int:
    return 3 if line == 1 and source.startswith(b"\xef\xbb\xbf") else 0


class _Finder:
    def __init__(self, tree: ast.Module) -> None:
        self.tree = tree
        self.parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}

    def strings(self) -> Iterator[ast.expr]:
        """String literals that name trl; f-strings as a whole."""
        for node in ast.walk(self.tree):
            whole = isinstance(node, (ast.Constant, ast.JoinedStr)) and not isinstance(
                self.parents.get(node), ast.JoinedStr
            )
            if whole and isinstance(node, ast.expr) and "trl" in _text(node):
                yield node

    def installs(self, node: ast.expr) -> bool:
        """Whether the string's place has what it names installed."""
        text = _text(node)
        if _REQUIREMENT.match(text):
            return self._is_listed(node)
        if not install_offsets(text.encode("utf-8", "replace")):
            return False
        return self._is_run(node)

    def served(self, node: ast.expr) -> bool:
        """Whether the function around it, or the module's own statements, install orpo-compat as well."""
        home: ast.AST = node
        while not isinstance(home, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Module)):
            home = self.parents[home]
        texts = (one for one in self._own(home) if isinstance(one, ast.Constant) and _OURS.search(_text(one)))
        return any(self._is_listed(one) or self._is_run(one) for one in texts)

    def _own(self, home: ast.AST) -> Iterator[ast.AST]:
        stack = list(ast.iter_child_nodes(home))
        while stack:
            node = stack.pop()
            yield node
            if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                stack.extend(ast.iter_child_nodes(node))

    def _up(self, node: ast.AST) -> Iterator[ast.AST]:
        """What is around an expression, up to its statement."""
        while not isinstance(node, (ast.stmt, ast.Module)):
            node = self.parents[node]
            yield node

    def _is_listed(self, node: ast.expr) -> bool:
        """Whether a requirement is handed to an installer, or stands in a list of packages."""
        for around in self._up(node):
            if isinstance(around, (ast.List, ast.Tuple)) and _is_command(around.elts):
                return True
        if any(_INSTALLER.search(_called(call)) or _is_command(call.args) for call in self._calls(node)):
            return True
        return any(_LIST_KEY.search(key) for key in self._keys(node))

    def _is_run(self, node: ast.expr) -> bool:
        """Whether a text is handed to what runs commands, or is called a command."""
        return any(map(_runs, self._calls(node))) or any(map(_COMMAND_KEY.search, self._keys(node)))

    def _calls(self, node: ast.expr) -> Iterator[ast.Call]:
        """Calls that are given the string, by itself or in a list."""
        before: ast.AST = node
        for around in self._up(node):
            if isinstance(around, ast.Call) and before is not around.func:
                yield around
            before = around

    def _keys(self, node: ast.expr) -> Iterator[str]:
        """Names that the string, or the list it stands in, is given: of an argument, an entry, a variable."""
        before: ast.AST = node
        for around in self._up(node):
            if isinstance(around, ast.keyword) and around.arg:
                yield around.arg
            elif isinstance(around, ast.Dict) and before in around.values:
                yield _text(around.keys[around.values.index(before)])
            elif isinstance(around, (ast.Assign, ast.AnnAssign)):
                targets = around.targets if isinstance(around, ast.Assign) else [around.target]
                yield from (target.id for target in targets if isinstance(target, ast.Name))
            elif not isinstance(around, (ast.List, ast.Tuple, ast.Set, ast.Starred, ast.BinOp, ast.Dict)):
                return
            before = around


def _text(node: ast.AST | None) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) or "{}" for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _called(call: ast.Call) -> str:
    """The last part of what is called."""
    func = call.func
    return func.attr if isinstance(func, ast.Attribute) else func.id if isinstance(func, ast.Name) else ""


def _runs(call: ast.Call) -> bool:
    return _RUNNER.search(_called(call)) is not None


def _is_command(words: list[ast.expr]) -> bool:
    """Whether words, one a string, make a command that installs: `"pip", "install", ...`."""
    said = {_text(word) for word in words}
    return "install" in said or ("add" in said and not said.isdisjoint(_TOOLS))
