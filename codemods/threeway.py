"""Takes edits back out of a text that somebody went on editing: three texts in, one text out.

The spans of a migration are found again in the current text through the lines that did not change since, or, when
a line moved, by its content if that is unique. A span whose lines were edited is a conflict: it is left alone and
named. Spans on neighbouring lines stand or fall together. Knows nothing of Python or of files.
"""

from __future__ import annotations

import difflib
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from codemods.edits import Edit, inverted, splice
from codemods.patch import split_lines

_Block = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Merge:
    """The text with every findable span restored, and the edits that could not be taken back."""

    text: bytes
    conflicts: tuple[Edit, ...]


class _Lines:
    """A text as lines, with the offset at which each begins."""

    def __init__(self, text: bytes) -> None:
        self.text = text
        self.lines = split_lines(text)
        self.starts = [0, *accumulate(map(len, self.lines))]

    def covering(self, start: int, end: int) -> tuple[int, int]:
        """First line and line after the last that the bytes ``start:end`` lie on."""
        last = max(len(self.lines) - 1, 0)
        first = min(bisect_right(self.starts, start) - 1, last)
        final = min(bisect_right(self.starts, max(start, end - 1)) - 1, last)
        return first, final + 1


def _blocks(ours: _Lines, theirs: _Lines) -> list[_Block]:
    matcher = difflib.SequenceMatcher(None, ours.lines, theirs.lines, autojunk=False)
    return [(block.a, block.b, block.size) for block in matcher.get_matching_blocks()]


def _through(blocks: Sequence[_Block], first: int, stop: int) -> int | None:
    """Where lines ``first:stop`` begin on the other side, if they came through whole."""
    for here, there, size in blocks:
        if here <= first and stop <= here + size:
            return there + first - here
    return None


def _by_content(ours: _Lines, theirs: _Lines, first: int, stop: int) -> int | None:
    """Where lines ``first:stop`` begin on the other side, if their text is there exactly once."""
    wanted = ours.lines[first:stop]
    if not b"".join(wanted).strip():
        return None
    num = stop - first
    if sum(ours.lines[at : at + num] == wanted for at in range(len(ours.lines))) != 1:
        return None
    places = [at for at in range(len(theirs.lines)) if theirs.lines[at : at + num] == wanted]
    return places[0] if len(places) == 1 else None


def _groups(edits: Sequence[Edit], spans: Sequence[tuple[int, int]]) -> list[list[int]]:
    groups: list[list[int]] = []
    for index, (first, _) in enumerate(spans):
        if groups and first <= spans[groups[-1][-1]][1]:
            groups[-1].append(index)
        else:
            groups.append([index])
    return groups


def merge(before: bytes, edits: Sequence[Edit], current: bytes) -> Merge:
    """Undo ``edits`` (which once led on from ``before``) in ``current``, keeping everything else in it."""
    switched, now, original = _Lines(splice(before, edits)), _Lines(current), _Lines(before)
    back = inverted(edits)
    spans = [switched.covering(edit.start, edit.end) for edit in back]
    kept, untouched = _blocks(switched, now), _blocks(original, now)
    undo: list[Edit] = []
    conflicts: list[Edit] = []
    for group in _groups(back, spans):
        first, stop = spans[group[0]][0], max(spans[index][1] for index in group)
        found = _through(kept, first, stop)
        if found is None:
            found = _by_content(switched, now, first, stop)
        if found is not None:
            shift = now.starts[found] - switched.starts[first]
            undo += [_moved(back[index], shift) for index in group]
        elif not _still_original(original, untouched, [edits[index] for index in group]):
            conflicts += [edits[index] for index in group]
    undo.sort(key=lambda edit: (edit.start, edit.end))
    return Merge(splice(current, undo), tuple(conflicts))


def _moved(edit: Edit, shift: int) -> Edit:
    return Edit(edit.start + shift, edit.end + shift, edit.old, edit.new, edit.rule)


def _still_original(original: _Lines, untouched: Sequence[_Block], edits: Sequence[Edit]) -> bool:
    first = original.covering(edits[0].start, edits[0].end)[0]
    stop = original.covering(edits[-1].start, edits[-1].end)[1]
    return _through(untouched, first, stop) is not None
