"""Which files can matter, in two steps, neither of which needs libcst.

A search over the raw bytes first: a file matters only when it says both ``trl`` and ORPO; what lacks either word is
done with at the speed of a grep. Then one walk over ``ast``: a class of the same name beside some other import from
``trl`` is nobody's ORPO but its own. Files in UTF-16 or UTF-32 are let through so that they can be reported.
"""

from __future__ import annotations

import ast
import re

from codemods.catalog import Move
from codemods.errors import UnreadableSource
from codemods.mentions import mentions
from codemods.options import Options
from codemods.spelling import spelt_out

_ORPO = re.compile(rb"orpo", re.IGNORECASE)
_TRL = re.compile(rb"(?<![A-Za-z0-9_])trl(?![A-Za-z0-9_])", re.IGNORECASE)
_OURS = re.compile(rb"(?<![A-Za-z0-9_])orpo_compat(?![A-Za-z0-9_])")
_SUPPRESSION = b"orpo-compat: ignore"
_WORD = re.compile(r"(?<![A-Za-z0-9_.])trl(?![A-Za-z0-9_])")


def concerns(source: bytes, move: Move, options: Options) -> bool:
    """Whether the file has to be looked at, judged by its bytes alone."""
    if not _ORPO.search(source) or not _TRL.search(source):
        source = spelt_out(source)
    if not _ORPO.search(source):
        return _is_wide(source)
    if move.source_root == "trl":
        if _TRL.search(source) or _SUPPRESSION in source:
            return True
        return (options.modernize or options.pin_defaults) and _OURS.search(source) is not None
    return _OURS.search(source) is not None


def worth_parsing(text: str, utf8: bytes, move: Move) -> bool:
    """Whether anything in the file can be about the package that names move away from.

    Raises:
        UnreadableSource: it nests more deeply than Python allows, which libcst's parser answers with a crash.
    """
    try:
        tree = ast.parse(text)
    except (RecursionError, MemoryError):
        raise UnreadableSource("it nests too deeply") from None
    except (SyntaxError, ValueError) as error:
        if "too many nested" in str(error):
            raise UnreadableSource("it nests too deeply") from None
        return True
    if _SUPPRESSION in utf8 or _OURS.search(utf8) or next(mentions(utf8, move.source_root), None) is not None:
        return True
    speaks_of_trl = reads_orpo = False
    for node in ast.walk(tree):
        if _leads_to_orpo(node, move):
            return True
        speaks_of_trl = speaks_of_trl or _WORD.search(_text(node)) is not None or _imports_from(node, move)
        reads_orpo = reads_orpo or "orpo" in _name(node).lower()
    return speaks_of_trl and reads_orpo


def _leads_to_orpo(node: ast.AST, move: Move) -> bool:
    """Whether the node by itself is about ORPO: an import, or ``loss_type="orpo"``."""
    if isinstance(node, ast.Import):
        return any(_root(alias.name) == move.source_root for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        module = node.module or ""
        if not _imports_from(node, move):
            return False
        paths = {f"{module}.{alias.name}" for alias in node.names}
        return module in move.modules or any(
            path in move.packages or move.moves(path) or path.endswith(".*") for path in paths
        )
    return isinstance(node, ast.keyword) and node.arg == "loss_type"


def _imports_from(node: ast.AST, move: Move) -> bool:
    return isinstance(node, ast.ImportFrom) and not node.level and _root(node.module) == move.source_root


def _root(module: str | None) -> str:
    return (module or "").partition(".")[0]


def _text(node: ast.AST) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _name(node: ast.AST) -> str:
    """What a string says or an attribute is called: where a class can be read by name."""
    return node.attr if isinstance(node, ast.Attribute) else _text(node)


def _is_wide(source: bytes) -> bool:
    """Whether zero bytes hide the words: UTF-16 and UTF-32 spell a letter with one or three of them."""
    if b"\0" not in source[:400]:
        return False
    narrow = source.replace(b"\0", b"")
    return _ORPO.search(narrow) is not None and _TRL.search(narrow) is not None
