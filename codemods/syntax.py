"""One parsed module: libcst's tree, the span of every node, and the parents of the nodes.

libcst does not print every file back exactly (whitespace-only tails, a last CR). Its spans are offsets in what it
*would* print, so they are trusted only as far as that print and the real text agree: ``trusted`` is that length.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass

import libcst as cst
from libcst.metadata import ByteSpanPositionProvider, MetadataWrapper

from codemods.decode import Decoded
from codemods.errors import UnreadableSource

Span = tuple[int, int]
ImportStatement = cst.Import | cst.ImportFrom | cst.LazyImport | cst.LazyImportFrom
FromImport = cst.ImportFrom | cst.LazyImportFrom
PlainImport = cst.Import | cst.LazyImport


@dataclass(frozen=True, eq=False)
class Syntax:
    """A module that parsed."""

    source: Decoded
    tree: cst.Module
    spans: Mapping[cst.CSTNode, Span]
    parents: Mapping[cst.CSTNode, cst.CSTNode]
    trusted: int
    ast_reads_it: bool

    def span(self, node: cst.CSTNode) -> Span:
        """Start and end of ``node`` in ``source.utf8``, without the whitespace and parentheses around it."""
        return self.spans[node]

    def code(self, node: cst.CSTNode) -> str:
        """The node as it is written."""
        start, end = self.spans[node]
        return self.source.utf8[start:end].decode("utf-8")

    def position(self, node: cst.CSTNode) -> tuple[int, int]:
        """Line and column of the node, 1-based."""
        return self.source.position(self.spans[node][0])


def parsed(source: Decoded) -> Syntax:
    """Parse with libcst, which knows more syntax than the running Python's ``ast``.

    Raises:
        UnreadableSource: neither parser accepts it, or it nests too deeply.
    """
    try:
        tree = cst.parse_module(source.text)
        wrapper = MetadataWrapper(tree, unsafe_skip_copy=True)
        found = wrapper.resolve(ByteSpanPositionProvider)
        parents = _parents(tree)
        printed = tree.code
    except cst.ParserSyntaxError as error:
        raise UnreadableSource(f"it does not parse: {_first_line(error.message)}", error.raw_line) from None
    except (RecursionError, ValueError) as error:
        raise UnreadableSource(f"it does not parse: {_first_line(str(error))}") from None
    spans = {node: (span.start, span.start + span.length) for node, span in found.items()}
    trusted = len(source.utf8) if printed == source.text else _agreement(printed, source.text)
    return Syntax(source, tree, spans, parents, trusted, ast_accepts(source.text))


def ast_accepts(text: str) -> bool:
    """Whether the running Python can parse it."""
    try:
        ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def libcst_accepts(text: str) -> bool:
    """Whether libcst can parse it."""
    try:
        cst.parse_module(text)
    except (cst.ParserSyntaxError, ValueError, RecursionError):
        return False
    return True


def dotted(node: cst.CSTNode | None) -> str | None:
    """``a.b.c`` for a chain of names, None for any other expression."""
    if isinstance(node, cst.Name):
        return node.value
    if isinstance(node, cst.Attribute):
        base = dotted(node.value)
        return f"{base}.{node.attr.value}" if base else None
    return None


def _parents(tree: cst.Module) -> dict[cst.CSTNode, cst.CSTNode]:
    parents: dict[cst.CSTNode, cst.CSTNode] = {}
    stack: list[cst.CSTNode] = [tree]
    while stack:
        node = stack.pop()
        for child in node.children:
            parents[child] = node
            stack.append(child)
    return parents


def _agreement(printed: str, text: str) -> int:
    """How many bytes of the two texts agree from the start."""
    pairs = enumerate(zip(printed, text, strict=False))
    length = next((index for index, (ours, theirs) in pairs if ours != theirs), min(len(printed), len(text)))
    return len(text[:length].encode("utf-8"))


def _first_line(message: str) -> str:
    return message.strip().splitlines()[0] if message.strip() else "no reason given"
