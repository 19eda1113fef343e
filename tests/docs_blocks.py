"""The code blocks of the documents: where each stands, what kind it is, and whether it says that it is not run.

A block with a title is a file of that name. ``<!-- not run: REASON -->`` on the line above a block says why no test
runs it; docs/contributing.md lists every such block.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_FENCE = re.compile(
    r"^(?:<!-- not run: (?P<reason>[^\n]+?) -->\n\s*)?"
    r"^(?P<indent> *)```(?P<info>[^\n`]*)\n(?P<body>.*?)^(?P=indent)```",
    re.MULTILINE | re.DOTALL,
)
_EXIT = re.compile(r"#.*\bexits with (\d+)")


@dataclass(frozen=True, slots=True)
class Command:
    """One line for a shell."""

    text: str
    shown: tuple[str, ...] = ()
    """The lines of output that the page shows below it."""

    @property
    def exit_codes(self) -> set[int]:
        """What the line says it exits with; unsaid, 0, or 3 of the commands that may leave findings."""
        if said := _EXIT.search(self.text):
            return {int(said[1])}
        return {0, 3} if re.match(r"orpo-compat (scan|migrate|diagnose|data inspect)\b", self.text) else {0}


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block."""

    page: Path
    line: int
    language: str
    title: str
    body: str
    reason: str
    """Why it is not run; empty where it is."""

    @property
    def name(self) -> str:
        """Page and line, as an editor takes them."""
        return f"{self.page.relative_to(ROOT).as_posix()}:{self.line}"

    @property
    def commands(self) -> list[Command]:
        """The lines for a shell that it holds, comments and blank lines left out."""
        if self.language == "bash":
            joined = self.body.replace("\\\n", " ")
            return [Command(line) for line in joined.splitlines() if line.strip() and not line.startswith("#")]
        if self.language != "console":
            return []
        parts = re.split(r"^\$ ", self.body, flags=re.MULTILINE)[1:]
        return [Command(first, tuple(rest)) for first, *rest in (part.splitlines() for part in parts)]


def blocks_of(page: Path) -> Iterator[Block]:
    """Every fenced block of a page, in order."""
    text = page.read_text("utf-8")
    for found in _FENCE.finditer(text):
        language, _, rest = found["info"].strip().partition(" ")
        title = re.search(r'title="([^"]+)"', rest)
        body = re.sub(rf"^{found['indent']}", "", found["body"], flags=re.MULTILINE)
        line = text.count("\n", 0, found.start("info")) + 1
        yield Block(page, line, language, title[1] if title else "", body, found["reason"] or "")


def all_blocks() -> list[Block]:
    """Every fenced block of README.md and docs/."""
    return [block for page in PAGES for block in blocks_of(page)]
