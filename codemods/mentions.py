"""Text that speaks of the classes that move: dotted names, import statements and prose.

Only text is looked at here, never meaning; code is resolved elsewhere. The patterns are what a careful person would
grep for, and they are the last net: what they find and no finding covers gets one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from codemods.catalog import OURS


@dataclass(frozen=True)
class Mention:
    """A place in some text. ``exact`` when it is a dotted name or an import, not prose."""

    start: int
    end: int
    exact: bool


@dataclass(frozen=True)
class _Patterns:
    exact: tuple[re.Pattern[bytes], ...]
    prose: tuple[re.Pattern[bytes], ...]


@cache
def _patterns(root: str) -> _Patterns:
    name = re.escape(root).encode()
    names = rb"(?:ORPOTrainer|ORPOConfig|orpo_trainer|orpo_config)"
    dotted = rb"(?<![\w.])" + name + rb"(?:\.\w+)*\." + names + rb"\b"
    package = rb"(?<![\w.])" + name + rb"\.experimental\.orpo\b"
    start = rb"\bfrom\s+" + name + rb"(?:\.\w+)*\s+import\b"
    listed = rb"(?:[ \t]*\([^()]{0,600}?|(?:[^()#;:\r\n\\]|\\\r?\n){1,400}?)\b(?:" + names + rb"|orpo)\b"
    imports = start + listed
    orpo = rb"\borpo[ _-]?(?:trainer|config)\b"
    package_word = rb"(?<![\w.])" + name + rb"\b"
    prose = (package_word + rb"[^\r\n]{0,200}?" + orpo, orpo + rb"[^\r\n]{0,200}?" + package_word)
    if root == OURS:
        return _Patterns((re.compile(dotted), re.compile(imports)), ())
    return _Patterns(
        (re.compile(dotted), re.compile(package), re.compile(imports)),
        tuple(re.compile(one, re.IGNORECASE) for one in prose),
    )


def mentions(text: bytes, root: str) -> Iterator[Mention]:
    """Mentions in ``text`` of the classes of package ``root``, exact ones first."""
    patterns = _patterns(root)
    for exact, group in ((True, patterns.exact), (False, patterns.prose)):
        for pattern in group:
            for match in pattern.finditer(text):
                yield Mention(match.start(), match.end(), exact)
