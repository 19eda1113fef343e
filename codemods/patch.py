"""Unified diffs that ``git apply`` takes: bytes in, bytes out, names relative to the top of the repository.

Lines end at ``\\n`` only, so a lone CR, a form feed or U+2028 inside a line cannot shift the counts, and a missing
final newline is marked. Knows nothing about colours or terminals.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator

from codemods.plan import FilePlan

_CONTEXT = 3
_ESCAPES = {
    ord("\a"): b"\\a",
    8: b"\\b",
    9: b"\\t",
    10: b"\\n",
    11: b"\\v",
    12: b"\\f",
    13: b"\\r",
    34: b'\\"',
    92: b"\\\\",
}


def split_lines(source: bytes) -> list[bytes]:
    """Lines with their ends; only ``\\n`` ends a line."""
    lines = source.split(b"\n")
    return [line + b"\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])


def _escape(byte: int) -> bytes:
    if byte in _ESCAPES:
        return _ESCAPES[byte]
    return b"\\%03o" % byte if byte < 32 or byte > 126 else bytes((byte,))


def quoted(name: bytes) -> bytes:
    """A file name as git writes it in a diff: bare, or in C quotes when it holds anything unusual."""
    if all(32 <= byte < 127 and byte not in b'"\\' for byte in name):
        return name
    return b'"' + b"".join(map(_escape, name)) + b'"'


def _range(start: int, count: int) -> bytes:
    # An empty range names the line before it, as diff has always done.
    first = start + 1 if count else start
    return b"%d" % first if count == 1 else b"%d,%d" % (first, count)


def _marked(sign: bytes, lines: Iterable[bytes]) -> Iterator[bytes]:
    for line in lines:
        yield sign + line if line.endswith(b"\n") else sign + line + b"\n\\ No newline at end of file\n"


def _hunk(group: list[tuple[str, int, int, int, int]], ours: list[bytes], theirs: list[bytes]) -> Iterator[bytes]:
    first, last = group[0], group[-1]
    old, new = _range(first[1], last[2] - first[1]), _range(first[3], last[4] - first[3])
    yield b"@@ -%s +%s @@\n" % (old, new)
    for tag, i, j, k, m in group:
        if tag == "equal":
            yield from _marked(b" ", ours[i:j])
            continue
        yield from _marked(b"-", ours[i:j])
        yield from _marked(b"+", theirs[k:m])


def unified(name: bytes, source: bytes, result: bytes) -> bytes:
    """The diff of one file; ``name`` is its path from the top of the repository."""
    ours, theirs = split_lines(source), split_lines(result)
    matcher = difflib.SequenceMatcher(None, ours, theirs, autojunk=False)
    hunks = b"".join(line for group in matcher.get_grouped_opcodes(_CONTEXT) for line in _hunk(group, ours, theirs))
    before, after = quoted(b"a/" + name), quoted(b"b/" + name)
    # A tab ends a bare name with blanks in it; without one, patch tools cut the name at the first blank.
    end = b"\t\n" if b" " in name and not before.startswith(b'"') else b"\n"
    return b"diff --git %s %s\n--- %s%s+++ %s%s%s" % (before, after, before, end, after, end, hunks)


def whole(files: Iterable[FilePlan], prefix: str = "") -> bytes:
    """One patch of every file; ``prefix`` leads from the top of the repository to the plan's root (``a/b/``)."""
    return b"".join(unified(_encode(prefix + file.path), file.source, file.result) for file in files)


def _encode(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")
