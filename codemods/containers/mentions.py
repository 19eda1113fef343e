"""Where text of any kind speaks of TRL's ORPO, found by spelling alone.

This is the net under everything else: whatever could not be read as Python is searched for the dotted
paths and import statements TRL ever had, and each line found is reported. It never decides what to edit.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable

from codemods.findings import Finding, Severity

CLASSES = (b"ORPOTrainer", b"ORPOConfig")

MODULE = rb"trl(?:\.trainer(?:\.orpo_(?:trainer|config))?|\.experimental\.orpo(?:\.orpo_(?:trainer|config))?)?"
"""Every module that ever exported the two classes."""

DOTTED = re.compile(rb"(?<![\w.])(" + MODULE + rb")([.:])(ORPOTrainer|ORPOConfig)(?!\w)")
"""A class by its dotted path: module, separator, name."""

_MENTION = re.compile(
    rb"(?<![\w.])" + MODULE + rb"[.:](?:ORPOTrainer|ORPOConfig)(?!\w)"
    rb"|(?<![\w.])trl\.(?:trainer\.orpo_(?:trainer|config)|experimental\.orpo)(?!\w)"
    rb"|(?<![\w.])experimental\.orpo\.ORPO(?:Trainer|Config)(?!\w)"
    rb"|\bfrom[ \t]+" + MODULE + rb"[ \t]+import\b[^\n]{0,2000}?(?:\bORPO(?:Trainer|Config)\b|\*|\()"
    rb"|\bfrom[ \t]+trl\.experimental[ \t]+import\b[^\n]{0,2000}\borpo\b"
)
_PROSE = re.compile(
    rb"(?<![\w.])trl\b[^\r\n]{0,200}?(?<![\w.])orpo[ _-]?(?:trainer|config)\b"
    rb"|(?<![\w.])orpo[ _-]?(?:trainer|config)\b[^\r\n]{0,200}?(?<![\w.])trl\b",
    re.IGNORECASE,
)
"""Words for readers: TRL and one of the classes on one line. No code is to be searched for this."""

_BLOCK = re.compile(rb"\bfrom[ \t]+" + MODULE + rb"[ \t]+import\b[ \t]*\([^()]*\bORPO(?:Trainer|Config)\b[^()]*\)")


def mention_spans(text: bytes, start: int = 0, end: int | None = None) -> list[tuple[int, int]]:
    """The spans in `text[start:end]` that speak of TRL's ORPO, one a line, in order."""
    found: dict[int, int] = {}
    for match in _MENTION.finditer(text, start, len(text) if end is None else end):
        stop = _end_of_mention(text, match)
        if stop:
            found.setdefault(match.start(), stop)
    spans: list[tuple[int, int]] = []
    line_end = -1
    for first in sorted(found):
        if first > line_end:
            spans.append((first, found[first]))
            line_end = text.find(b"\n", first)
            line_end = len(text) if line_end < 0 else line_end
    return spans


def prose_spans(text: bytes, start: int = 0, end: int | None = None) -> list[tuple[int, int]]:
    """The spans in `text[start:end]` where a sentence speaks of TRL and of one of the classes, in order."""
    return [match.span() for match in _PROSE.finditer(text, start, len(text) if end is None else end)]


def _end_of_mention(text: bytes, match: re.Match[bytes]) -> int:
    """Where a mention ends; 0 when an open parenthesis or a star has nothing to do with ORPO after all."""
    if match.group().endswith(b"("):
        block = _BLOCK.match(text, match.start())
        return block.end() if block else 0
    if match.group().endswith(b"*") and b"orpo" not in match.group():
        return 0
    return match.end()


class Places:
    """Byte offsets as 1-based lines and columns (columns count characters)."""

    def __init__(self, text: bytes) -> None:
        self.text = text
        self._ascii = text.isascii()
        self._starts = [0]
        self._starts += [match.end() for match in re.finditer(rb"\r\n|\r|\n", text)]

    def at(self, offset: int) -> tuple[int, int]:
        line = bisect_right(self._starts, offset) - 1
        start = self._starts[line]
        if self._ascii:
            return line + 1, offset - start + 1
        return line + 1, len(self.text[start:offset].decode("utf-8", "replace")) + 1

    def offset(self, line: int, column: int = 1) -> int:
        """The byte offset of a 1-based line and column; past the end of a line, its end."""
        if line > len(self._starts):
            return len(self.text)
        start = self._starts[line - 1]
        end = self._starts[line] if line < len(self._starts) else len(self.text)
        characters = self.text[start:end].decode("utf-8", "replace")
        return start + len(characters[: column - 1].encode("utf-8", "replace"))


def report_mentions(
    path: str,
    places: Places,
    *,
    code: str,
    message: str,
    advice: str,
    severity: Severity = Severity.WARNING,
    told: Iterable[int] = (),
    spans: Callable[[bytes], list[tuple[int, int]]] = mention_spans,
) -> list[Finding]:
    """A finding for every mention of TRL's ORPO that `spans` finds, but for those that touch a line in `told`.

    `message` may hold `{mention}`, which becomes the line itself, shortened.
    """
    text, known = places.text, set(told)
    findings: list[Finding] = []
    for first, last in spans(text):
        line, column = places.at(first)
        if not known.isdisjoint(range(line, places.at(last)[0] + 1)):
            continue
        known.add(line)
        words = message.replace("{mention}", excerpt(text, first))
        findings.append(Finding(code, path, line, column, words, advice, severity))
    return findings


def excerpt(text: bytes, offset: int, width: int = 80) -> str:
    """The line around `offset` as the end of a sentence: shortened, in back quotes, with the full stop."""
    start = max(text.rfind(b"\n", 0, offset), text.rfind(b"\r", 0, offset)) + 1
    end = text.find(b"\n", offset)
    line = text[start : len(text) if end < 0 else end].strip().decode("utf-8", "replace")
    if len(line) > width:
        begin = max(len(text[start:offset].decode("utf-8", "replace")) - width // 4, 0)
        line = "..." + line[begin : begin + width].strip() + "..."
    return f"`{line}`."
