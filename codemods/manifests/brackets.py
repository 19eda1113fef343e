"""A string among others in a bracketed list: TOML arrays and Python lists share commas, comments and habits.

One element a line stays one element a line; a list on one line stays on one line. Comments stay with the
element they follow.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from codemods.manifests.entry import Entry, Style, requirement_name

Span = tuple[int, int]

_REST = re.compile(rb"[ \t]*(,?)([ \t]*(?:#[^\r\n]*)?)(\r\n|\r|\n|$)")
_COMMA = re.compile(rb"[ \t]*,")


def bracket_entry(
    source: bytes, spans: Sequence[Span], index: int, label: str, *, constraint: bool = False, names: bool = False
) -> Entry:
    """The entry for the quoted string at `spans[index]`, among the elements `spans` of one list."""
    start, end = spans[index]
    quote = source[start : start + 1]
    text = source[start + 1 : end - 1].decode("utf-8", "replace")
    line_start = max(source.rfind(b"\n", 0, start), source.rfind(b"\r", 0, start)) + 1
    indent = source[line_start:start]
    rest = _REST.match(source, end)
    alone = not indent.strip() and rest is not None and line_start > 0
    is_last = index + 1 == len(spans)
    before, after, comma_at, insert_at = b", " + quote, quote, None, end
    cut, comma_cut = _inline_cut(source, spans, index), None
    if alone and rest is not None and (rest[1] or is_last):
        cut = (line_start, rest.end())
        comma_cut = _comma_before(source, spans, index) if not rest[1] else None
        insert_at = rest.end(2)
        before = (rest[3] or b"\n") + indent + quote
        after = quote + rest[1]
        comma_at = None if rest[1] else end
    if comma_at == insert_at:
        before, comma_at = b"," + before, None
    plain = (
        quote in (b'"', b"'") and source[start : start + 3] not in (b'"""', b"'''") and b"\\" not in source[start:end]
    )
    return Entry(
        name=requirement_name(text) if plain else "",
        text=text,
        label=label,
        start=start + 1,
        end=end - 1,
        cut=cut,
        insert_at=insert_at,
        before=before,
        after=after,
        comma_at=comma_at,
        comma_cut=comma_cut,
        style=Style.NAME if names else Style.REQUIREMENT,
        constraint=constraint,
    )


def _inline_cut(source: bytes, spans: Sequence[Span], index: int) -> Span:
    """The element with one of the commas around it."""
    start, end = spans[index]
    if index + 1 < len(spans):
        return start, spans[index + 1][0]
    if index:
        return spans[index - 1][1], end
    comma = _COMMA.match(source, end)
    return start, comma.end() if comma else end


def _comma_before(source: bytes, spans: Sequence[Span], index: int) -> Span | None:
    """The comma after the element before, which a list without a final comma would not have."""
    comma = _COMMA.match(source, spans[index - 1][1]) if index else None
    return (comma.end() - 1, comma.end()) if comma else None
