"""What to cut out of an import statement when some of its names leave.

A line that holds nothing but leaving names goes as a whole, with the comment lines right above it; otherwise a run
of leaving names goes with the comma and blanks on the side where the line stays tidy. Comments inside what is cut
travel with their names and are handed back.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from codemods.comments import Comment
from codemods.decode import Decoded

_BETWEEN = re.compile(rb"[\s,\\]*")


@dataclass(frozen=True)
class Name:
    """One name of the statement: its span, its text (``a as b``) and what becomes of it."""

    start: int
    end: int
    text: str
    action: object


@dataclass(frozen=True)
class Trimming:
    """Spans to delete, the comments in them by the start of their name, and the indentation of a name's line."""

    deletions: tuple[tuple[int, int], ...]
    travelling: dict[int, list[Comment]]
    indent: str | None


def trimmed(
    source: Decoded,
    comments: Sequence[Comment],
    names: Sequence[Name],
    leaving: Sequence[Name],
    statement: tuple[int, int],
) -> Trimming:
    """Work out the cut; at least one of ``names`` must remain."""
    cutter = _Cutter(source, comments, names, leaving, statement)
    spans = merged([*cutter.whole_lines(), *cutter.runs()])
    return Trimming(tuple(spans), cutter.travelling(spans), cutter.indent())


def merged(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Sort spans and join those that touch or overlap."""
    result: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if result and start <= result[-1][1]:
            result[-1] = (result[-1][0], max(end, result[-1][1]))
        else:
            result.append((start, end))
    return result


class _Cutter:
    def __init__(
        self,
        source: Decoded,
        comments: Sequence[Comment],
        names: Sequence[Name],
        leaving: Sequence[Name],
        statement: tuple[int, int],
    ) -> None:
        self.source = source
        self.comments = comments
        self.names = names
        self.leaving = set(leaving)
        self.statement = statement
        lines = {self._line(one.start) for one in leaving}
        self.gone = sorted(line for line in lines if self._goes(line))

    def _line(self, offset: int) -> int:
        return self.source.position(offset)[0] - 1

    def _bounds(self, line: int) -> tuple[int, int]:
        starts = self.source.line_starts
        return starts[line], starts[line + 1] if line + 1 < len(starts) else len(self.source.utf8)

    def _on(self, line: int) -> list[Name]:
        return [one for one in self.names if self._line(one.start) == line]

    def _goes(self, line: int) -> bool:
        """Whether the line holds leaving names with their commas and a comment, and nothing else."""
        start, end = self._bounds(line)
        here = self._on(line)
        if start <= self.statement[0] or end > self.statement[1]:
            return False
        if any(one not in self.leaving or one.end > end for one in here):
            return False
        code = bytearray(self.source.utf8[start:end])
        for one in self.comments:
            if start <= one.start < end:
                code[one.start - start : one.end - start] = b" " * (one.end - one.start)
        for name in here:
            code[name.start - start : name.end - start] = b"N" * (name.end - name.start)
        last = here[-1] is self.names[-1]
        text = bytes(code)
        shape = rb"\s*N+(\s*,\s*N+)*\s*,?\s*" if not last else rb"\s*,?\s*N+(\s*,\s*N+)*\s*,?\s*"
        tidy = re.fullmatch(shape, text) is not None
        return tidy and (last or b"," in text[text.rindex(b"N") :])

    def whole_lines(self) -> list[tuple[int, int]]:
        """Lines that go, each with the comment lines right above it."""
        spans = []
        for line in self.gone:
            first = line
            while self._is_comment(first - 1) and self._bounds(first - 1)[0] > self.statement[0]:
                first -= 1
            spans.append((self._bounds(first)[0], self._bounds(line)[1]))
        return spans

    def _is_comment(self, line: int) -> bool:
        start, end = self._bounds(line)
        return any(one.own_line and start <= one.start < end for one in self.comments)

    def runs(self) -> list[tuple[int, int]]:
        """Spans that cut the leaving names of lines that stay."""
        spans = []
        run: list[int] = []
        for index, name in enumerate(self.names):
            if name in self.leaving and self._line(name.start) not in self.gone:
                run.append(index)
            elif run:
                spans.append(self._run(run[0], run[-1]))
                run = []
        return [*spans, self._run(run[0], run[-1])] if run else spans

    def _run(self, first: int, last: int) -> tuple[int, int]:
        start, end = self.names[first].start, self.names[last].end
        before = self._kept(range(first - 1, -1, -1))
        after = self._kept(range(last + 1, len(self.names)))
        if after is not None and self._line(after.start) == self._line(end):
            return start, after.start
        if before is not None and self._line(before.end) == self._line(start):
            return before.end, end
        if after is not None:
            return start, after.start
        assert before is not None
        if any(before.end <= one.start < start for one in self.comments):
            return start, self._past_comma(end)
        return before.end, end

    def _kept(self, order: range) -> Name | None:
        return next((self.names[index] for index in order if self.names[index] not in self.leaving), None)

    def _past_comma(self, end: int) -> int:
        match = _BETWEEN.match(self.source.utf8, end)
        assert match is not None
        comma = match.group().find(b",")
        return end + comma + 1 if comma >= 0 else end

    def travelling(self, spans: Sequence[tuple[int, int]]) -> dict[int, list[Comment]]:
        """Comments inside ``spans``, under the start of the name each belongs to."""
        found: dict[int, list[Comment]] = {}
        ordered = [one for one in self.names if one in self.leaving]
        for note in self.comments:
            if any(start <= note.start < end for start, end in spans):
                before = [one for one in ordered if one.start < note.start]
                below = [one for one in ordered if one.start > note.start]
                owner = below[0] if (note.own_line and below) or not before else before[-1]
                found.setdefault(owner.start, []).append(note)
        return found

    def indent(self) -> str | None:
        """Indentation of the first line that goes as a whole."""
        if not self.gone:
            return None
        start, end = self._bounds(self.gone[0])
        text = self.source.utf8[start:end].decode("utf-8")
        return text[: len(text) - len(text.lstrip(" \t"))]
