"""``# orpo-compat: ignore`` comments: which lines they speak for, and whether anything was there to ignore.

``ignore`` alone silences every rule, ``ignore[OC103, OC001]`` the named ones; at the end of a line it speaks for that
line (and for the statement that ends there), on a line of its own for the line below. ``ignore-file`` speaks for all.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from codemods.comments import Comment
from codemods.decode import Decoded

_IGNORE = re.compile(r"#\s*orpo-compat:\s*(ignore-file|ignore)\b(?:\[([^\]]*)\])?(.*)")


@dataclass
class Suppression:
    """One comment. ``line`` is the line it speaks for, 0 for the whole file; no ``codes`` means every code."""

    start: int
    line: int
    codes: frozenset[str]
    reason: str
    used: bool = False

    def covers(self, first: int, last: int, code: str) -> bool:
        """Whether it speaks for ``code`` on one of the lines from ``first`` to ``last``."""
        return (self.line == 0 or first <= self.line <= last) and (not self.codes or code in self.codes)

    @property
    def advice(self) -> str:
        """What the reader is told."""
        return f"Reason given: {self.reason}." if self.reason else "No reason was given."


def suppressions(source: Decoded, comments: Sequence[Comment]) -> list[Suppression]:
    """Read the suppressions among ``comments``."""
    found = []
    for comment in comments:
        match = _IGNORE.search(comment.text)
        if match is None:
            continue
        line = source.position(comment.start)[0] + (1 if comment.own_line else 0)
        codes = frozenset(code.strip() for code in (match.group(2) or "").split(",") if code.strip())
        whole = match.group(1) == "ignore-file"
        found.append(Suppression(comment.start, 0 if whole else line, codes, match.group(3).strip(" :-.")))
    return found
