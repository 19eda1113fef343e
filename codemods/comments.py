"""Comments: where they are, and which are orders to a linter.

A pragma at the end of a statement is copied to both halves when the statement is split; every other comment keeps
to the name it was written for. Which name that is, ``codemods.placement`` decides.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import libcst as cst

from codemods.syntax import Syntax

_PRAGMA = re.compile(
    r"#\s*(?:noqa\b|type:\s*ignore|pylint\s*:|isort\s*:|ruff\s*:|flake8\s*:|mypy\s*:|pyright\s*:|pyre-|pytype\s*:|"
    r"pragma\s*:|nosec\b|nosemgrep|NOSONAR|fmt\s*:|yapf\s*:|noinspection\b|lint-(?:ignore|fixme)|codespell)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Comment:
    """One comment, with the blanks before it; ``own_line`` when nothing else is on its line."""

    start: int
    end: int
    text: str
    blanks: str
    own_line: bool

    @property
    def is_pragma(self) -> bool:
        """Whether a linter or type checker obeys it."""
        return _PRAGMA.search(self.text) is not None

    @property
    def spaced(self) -> str:
        """The comment as it follows code: with the blanks it had, or two."""
        return (self.blanks or "  ") + self.text


def comments_of(syntax: Syntax) -> list[Comment]:
    """Every comment of the module, in order."""
    spans = sorted(span for node, span in syntax.spans.items() if isinstance(node, cst.Comment))
    return [_comment(syntax.source.utf8, start, end) for start, end in spans]


def _comment(utf8: bytes, start: int, end: int) -> Comment:
    first = start
    while first > 0 and utf8[first - 1 : first] in {b" ", b"\t"}:
        first -= 1
    own_line = first == 0 or utf8[first - 1 : first] in {b"\n", b"\r"}
    return Comment(start, end, utf8[start:end].decode("utf-8"), utf8[first:start].decode("utf-8"), own_line)
