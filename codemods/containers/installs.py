"""Commands that install TRL: pip, uv, poetry, pdm, conda and their kin, in shells, notebooks and recipes.

Found by spelling and only ever reported: what a command line does belongs to whoever runs it.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from codemods.containers.mentions import Places, excerpt
from codemods.findings import Finding

_REST = rb"(?:[^\n\\&|;]|\\[^\n]|\\\r?\n|;(?=[^\n]*['\"]))*?"
_INSTALL = re.compile(
    rb"\b(?:pip3?(?:\.\d+)?|uv|uvx|poetry|pdm|conda|mamba|micromamba|pipenv|rye|pixi|hatch)\b"
    + _REST
    + rb"(?:\b(?:install|add|run|sync)\b|--with)"
    + _REST
    + rb"(?<![\w./:@-])(?P<trl>trl(?:\[[^\]\n]*\])?(?=[\s'\"=<>!~;@,\\)]|$)"
    rb"|git\+(?:https|ssh)://[^\s'\"]*?/trl(?:\.git)?(?![\w-]))"
)
_SESSION = re.compile(rb"\.install\([^()\n]*?['\"](?P<trl>trl(?:\[[^\]\n]*\])?)(?=[\s'\"=<>!~;@])")

ADVICE = "Install orpo-compat there too (pip install orpo-compat), and keep trl only if something else needs it."


def install_offsets(text: bytes) -> list[int]:
    """The byte offsets of `trl` in commands that install it."""
    found = [match.start("trl") for pattern in (_INSTALL, _SESSION) for match in pattern.finditer(text)]
    return sorted(offset for offset in found if not _commented(text, offset))


def _commented(text: bytes, offset: int) -> bool:
    """A hash after white space ends a command; a comment that says `pip install trl` installs nothing."""
    start = text.rfind(b"\n", 0, offset) + 1
    return re.search(rb"(?:^|\s)#(?!\s*[!%])", text[start:offset]) is not None


def report_installs(
    path: str,
    places: Places,
    text: bytes | None = None,
    home: Callable[[int], int] = lambda offset: offset,
    label: str = "",
) -> list[Finding]:
    """A finding per command in `text` (the whole file, if none is given); `home` turns its offsets into the file's."""
    within = places.text if text is None else text
    findings = []
    for offset in install_offsets(within):
        line, column = places.at(home(offset))
        message = (
            f"{label}installs trl: {excerpt(within, offset)}" if label else f"Installs trl: {excerpt(within, offset)}"
        )
        findings.append(Finding("OC120", path, line, column, message, ADVICE))
    return findings
