"""What a switch may change in a file, checked by other means than the codemod's own.

Before and after are parsed with ``ast`` and compared with every import taken out and every road to an ORPO class
spelled alike; the imports are compared as pairs of the name they bind and what it stands for; comments are counted. A
mention of TRL's ORPO is a line that says both, or a string that is a class's name in a file that speaks of TRL.
Nothing here uses ``codemods``: what it finds is evidence about it.
"""

from __future__ import annotations

import ast
import io
import json
import re
import tokenize
from collections import Counter
from collections.abc import Iterator

CLASSES = ("ORPOTrainer", "ORPOConfig")
_ROADS = re.compile(r"\b(?:trl|orpo_compat)(?:\.\w+)*\.(ORPOTrainer|ORPOConfig)\b")
_SAYS_BOTH = re.compile(
    r"(?<![\w.-])trl(?![\w-]).*(?:\bORPO(?:Trainer|Config)\b|\borpo_(?:trainer|config)\b|\.orpo\b)"
    r"|\bORPO(?:Trainer|Config)\b.*(?<![\w.-])trl(?![\w-])"
)
# A comparison with the name of a class holds for ours as for TRL's, and is no mention of either.
_NAMES_CLASS = re.compile(r"""(?<![=!]=)(?<![=!]= )(['"])ORPO(?:Trainer|Config)\1""")
_CONFIGURED = re.compile(r"""\b(?:rl|rlhf_type|pref_loss)\b['"]?\s*[:= ]\s*['"]?orpo\b|\bloss_type\s*=\s*['"]orpo\b""")
_CONFIGS = (".yaml", ".yml", ".json", ".toml", ".sh")
_WORD = re.compile(r"(?<![\w.-])trl(?![\w-])")
_LISTED = re.compile(r"from\s+trl[\w.]*\s+import\s*\(([^)]*)\)")


class _Alike(ast.NodeTransformer):
    """Takes imports out and spells roads to the classes alike."""

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        if node.attr in CLASSES and _is_dotted(node):
            return ast.Name(id=f"<{node.attr}>", ctx=node.ctx)
        return self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if isinstance(node.value, str):
            return ast.Constant(value=_ROADS.sub(r"<\1>", node.value))
        return node

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        for name in ("body", "orelse", "finalbody"):
            block = getattr(node, name, None)
            if isinstance(block, list):
                kept = [item for item in block if not isinstance(item, (ast.Import, ast.ImportFrom))]
                setattr(node, name, kept)
        return node


def _is_dotted(node: ast.expr) -> bool:
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name)


def _imports(tree: ast.AST) -> Counter[tuple[str, str]]:
    """Pairs of a bound name and what it stands for; the ORPO classes stand for themselves, wherever from."""
    found: Counter[tuple[str, str]] = Counter()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                is_road = alias.name == "orpo_compat" or alias.name == "trl" or alias.name.startswith("trl.")
                if not is_road:
                    found[alias.asname or alias.name, alias.name] += 1
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                ours = not node.level and (node.module or "").partition(".")[0] in ("trl", "orpo_compat")
                if ours and alias.name in ("trainer", "orpo", "orpo_trainer", "orpo_config"):
                    continue
                origin = "<orpo>" if ours and alias.name in CLASSES else f"{'.' * node.level}{node.module}"
                found[alias.asname or alias.name, f"{origin}:{alias.name}"] += 1
    return found


def _comments(text: str) -> Counter[str]:
    tokens = tokenize.generate_tokens(io.StringIO(text, newline="").readline)
    return Counter(token.string.rstrip() for token in tokens if token.type == tokenize.COMMENT)


def unwanted_changes(before: bytes, after: bytes) -> list[str]:
    """What differs between two Python texts beyond the road to the ORPO classes."""
    try:
        old = ast.parse(before)
    except (SyntaxError, ValueError):
        return ["a file that did not parse was changed"]
    try:
        new = ast.parse(after)
    except (SyntaxError, ValueError) as error:
        return [f"does not parse any more: {error}"]
    problems = []
    if _imports(old) != _imports(new):
        problems.append(f"imports: {_imports(old) - _imports(new)} became {_imports(new) - _imports(old)}")
    if ast.dump(_Alike().visit(old)) != ast.dump(_Alike().visit(new)):
        problems.append("code other than imports and ORPO's names differs")
    lost = _comments(before.decode("utf-8", "replace")) - _comments(after.decode("utf-8", "replace"))
    return [*problems, *([f"comments lost: {sorted(lost)}"] if lost else [])]


def unwanted_notebook_changes(before: bytes, after: bytes) -> list[str]:
    """What differs between two notebooks beyond lines of code cells that speak of ORPO or TRL."""
    old, new = json.loads(before), json.loads(after)
    problems = []
    for left, right in zip(_cells(old), _cells(new), strict=True):
        source, result = _text(left.pop("source", "")), _text(right.pop("source", ""))
        if source != result and left.get("cell_type") != "code":
            problems.append("a cell that holds no code changed")
        changed = Counter(source.splitlines()) ^ Counter(result.splitlines())
        problems += [f"a line changed: {line}" for line in changed if not re.search(r"trl|orpo", line, re.IGNORECASE)]
    return problems if old == new else [*problems, "the notebook differs outside its sources"]


def _cells(notebook: dict[str, object]) -> list[dict[str, object]]:
    cells = notebook.get("cells", [])
    assert isinstance(cells, list)
    return cells


def _text(source: object) -> str:
    return "".join(source) if isinstance(source, list) else str(source)


def mentions(path: str, content: bytes) -> Iterator[tuple[int, str]]:
    """Lines of a text file that speak of TRL's ORPO, with their numbers from 1."""
    text = content.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
    speaks = _WORD.search(text) is not None
    listed = {line for match in _LISTED.finditer(text) for line in _lines_naming(text, match.start(1), match.end(1))}
    for number, line in enumerate(text.split("\n"), 1):
        both = _SAYS_BOTH.search(line) or (path.endswith(_CONFIGS) and _CONFIGURED.search(line))
        by_name = speaks and path.endswith((".py", ".pyi", ".ipynb")) and _NAMES_CLASS.search(line)
        if both or by_name or number in listed:
            yield number, line.strip()[:160]


def _lines_naming(text: str, start: int, end: int) -> Iterator[int]:
    for match in re.finditer(r"\bORPO(?:Trainer|Config)\b", text[start:end]):
        yield text.count("\n", 0, start + match.start()) + 1


def statement_of(path: str, content: bytes, line: int) -> range:
    """The lines of the outermost call around a line of a Python file, else the line: one finding speaks for a call."""
    try:
        tree = ast.parse(content) if path.endswith(".py") else None
    except (SyntaxError, ValueError):
        tree = None
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.Call) and node.lineno <= line <= (node.end_lineno or line):
            return range(node.lineno, (node.end_lineno or line) + 1)
    return range(line, line + 1)


def calls_that_do_not_build(content: bytes, accepted: dict[str, set[str]]) -> Iterator[tuple[int, str]]:
    """Calls of the classes with a keyword that ours does not take, with their lines."""
    for node in ast.walk(ast.parse(content)):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        for keyword in node.keywords if name in accepted else ():
            if keyword.arg is not None and keyword.arg not in accepted[name]:
                yield keyword.value.lineno, f"{name}({keyword.arg}=...)"
