"""One parsed module: libcst's tree, the span of every node, and the parents of the nodes.

libcst does not print every file back exactly: it drops form feeds, part of a blank tail, a last CR. Its spans are
offsets in what it *would* print, so they are carried over to the real text; a file where that cannot be done, because
more than blanks differ, is refused.
"""

from __future__ import annotations

import ast
import dataclasses
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache

import libcst as cst
from libcst.metadata import ByteSpanPositionProvider, CodeSpan
from libcst.metadata.span_provider import SpanProvidingCodegenState, byte_length_in_utf8

from codemods.decode import Decoded
from codemods.errors import UnreadableSource
from codemods.form_feeds import without_form_feeds
from codemods.spelling import identifier

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
    parents: dict[cst.CSTNode, cst.CSTNode]
    """Of the nodes that the survey walks, which fills this in; blanks, commas and names of attributes have none."""
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
        tree = cst.parse_module(without_form_feeds(source.text))
        spans, printed = _spans(tree)
    except cst.ParserSyntaxError as error:
        raise UnreadableSource(f"it does not parse: {_first_line(error.message)}", error.raw_line) from None
    except (RecursionError, ValueError) as error:
        raise UnreadableSource(f"it does not parse: {_first_line(str(error))}") from None
    if not source.text.isascii():
        _spell_out(spans)
    if printed != source.text:
        spans = _carried_over(spans, printed.encode("utf-8"), source.utf8)
    return Syntax(source, tree, spans, {}, ast_accepts(source.text))


def parts(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """Children of a node in order, without blanks, punctuation and operators: what a walk over names needs.

    ``node.children`` gives them all and takes ten times as long.
    """
    for name in _part_fields(type(node)):
        value = getattr(node, name)
        if isinstance(value, cst.CSTNode):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from value


@cache
def _part_fields(kind: type[cst.CSTNode]) -> tuple[str, ...]:
    names = [entry.name for entry in dataclasses.fields(kind)]
    return tuple(name for name in names if not name.startswith("whitespace") and name not in _PUNCTUATION)


_NOT_WALKED = """
    asynchronous colon comma default_indent default_newline dot encoding equal footer has_trailing_newline header
    indent lbrace lbracket leading_lines lines_after_decorators lpar newline operator rbrace rbracket rpar semicolon
    separator star start trailing_whitespace
"""
_PUNCTUATION = frozenset(_NOT_WALKED.split())


def _spans(tree: cst.Module) -> tuple[dict[cst.CSTNode, Span], str]:
    """The byte span of every node, and the module as libcst prints it: one pass for both.

    ``MetadataWrapper.resolve`` would walk the tree twice more, and ``tree.code`` print it again.
    """
    provider = ByteSpanPositionProvider()
    state = SpanProvidingCodegenState(
        default_indent=tree.default_indent,
        default_newline=tree.default_newline,
        provider=provider,
        get_length=byte_length_in_utf8,
    )
    tree._codegen(state)
    found = {node: _as_span(span) for node, span in provider._computed.items()}
    return found, "".join(state.tokens)


def _as_span(found: object) -> Span:
    assert isinstance(found, CodeSpan)
    return found.start, found.start + found.length


def _spell_out(nodes: Iterable[cst.CSTNode]) -> None:
    """Give names the value that Python gives them; what is written is read from the text, never from the tree."""
    for node in nodes:
        if isinstance(node, cst.Name):
            object.__setattr__(node, "value", identifier(node.value))


def ast_accepts(text: str) -> bool:
    """Whether the running Python can parse it."""
    return _goes_through(lambda: ast.parse(text))


def compiles(text: str) -> bool:
    """Whether it obeys what parsing does not check, such as that ``global`` comes before the name is used."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _goes_through(lambda: compile(text, "<text>", "exec", dont_inherit=True))


def _goes_through(step: Callable[[], object]) -> bool:
    try:
        step()
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def libcst_accepts(text: str) -> bool:
    """Whether libcst can parse it."""
    try:
        cst.parse_module(without_form_feeds(text))
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


def _carried_over(spans: Mapping[cst.CSTNode, Span], printed: bytes, text: bytes) -> dict[cst.CSTNode, Span]:
    """Spans in ``printed`` as spans in ``text``, which has some blanks more."""
    places: list[int] = []
    at = 0
    for byte in printed:
        while at < len(text) and text[at] != byte and text[at : at + 1].isspace():
            at += 1
        if at == len(text) or text[at] != byte:
            raise UnreadableSource("libcst does not read it back as it is")
        places.append(at)
        at += 1
    if text[at:].strip():
        raise UnreadableSource("libcst does not read it back as it is")
    ends = [0, *(place + 1 for place in places)]
    places.append(len(text))
    last = len(printed)
    return {
        node: (places[min(start, last)], max(places[min(start, last)], ends[min(end, last)]))
        for node, (start, end) in spans.items()
    }


def _first_line(message: str) -> str:
    return message.strip().splitlines()[0] if message.strip() else "no reason given"
