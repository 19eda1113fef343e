"""Dotted names that a program puts together as it runs, and that may come out as one of TRL's ORPO names.

``f"trl.trainer.{kind}_trainer"``, ``"trl." + name`` and ``"trl.%s" % name`` say where they begin and not where they
end. What they end as is not worked out: only whether one of the names that move begins that way.
"""

from __future__ import annotations

import re

import libcst as cst

from codemods.catalog import Move
from codemods.context import literal

_HOLE = "\0"
_FORMAT_HOLES = re.compile(r"%\(\w+\)[sr]|%[sr]|\{[^{}\s]*\}|\$\{?\w+\}?")
_BREAKS_OFF = re.compile(r"\.(?:orpo\w*|ORPO\w*)?$")
_BEGUN = re.compile(rf"(?<![\w.])(\w+(?:\.\w+)*\.)(\w*){_HOLE}")
_BEGUN_IMPORT = re.compile(rf"\bfrom\s+(\w+(?:\.\w+)*)\s+import\s+(\w*){_HOLE}")


def may_become_source(move: Move, node: cst.CSTNode) -> bool:
    """Whether the string, with what is put into it or after it, can spell a name that moves."""
    text = _with_holes(node)
    if text is None or move.source_root not in text:
        return False
    found = [*_BEGUN.findall(text), *((f"{module}.", start) for module, start in _BEGUN_IMPORT.findall(text))]
    return any(_leads_on(move, module.rstrip("."), start) for module, start in found)


def speaks_of_source(move: Move, node: cst.CSTNode) -> bool:
    """Whether any part of the string is about the package or one of its ORPO modules."""
    text = _with_holes(node) or ""
    words = re.findall(r"\w+", text)
    return move.source_root in words or any("orpo" in word.lower() for word in words)


def _leads_on(move: Move, module: str, start: str) -> bool:
    """Whether ``module`` holds a name that moves, or leads to one, which begins with ``start``."""
    names = set(move.sources.get(module, ()))
    names |= {path[len(module) + 1 :] for path in move.packages if path.startswith(f"{module}.")}
    return any(name.startswith(start) for name in names)


def _with_holes(node: cst.CSTNode) -> str | None:
    """The text of a string with a zero character for everything that is put in, or after it where it breaks off."""
    if isinstance(node, cst.ConcatenatedString):
        left, right = _with_holes(node.left), _with_holes(node.right)
        return None if left is None or right is None else left.removesuffix(_HOLE) + right
    if isinstance(node, cst.FormattedString):
        parts = (part.value if isinstance(part, cst.FormattedStringText) else _HOLE for part in node.parts)
        return _open_ended("".join(parts))
    value = literal(node)
    return None if value is None else _open_ended(_FORMAT_HOLES.sub(_HOLE, value))


def _open_ended(text: str) -> str:
    return text + _HOLE if _BREAKS_OFF.search(text) else text
