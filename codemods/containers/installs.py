"""Commands that install TRL: pip, uv, poetry, pdm, conda and their kin, in shells, notebooks and recipes.

Found by spelling and only ever reported: what a command line does belongs to whoever runs it. Lists of packages in
files of other tools are ``codemods.containers.package_lists``, calls in Python ``codemods.containers.python_installs``.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from codemods.containers.mentions import Places, excerpt
from codemods.findings import Finding

_NAMED = re.compile(
    rb"(?<![\w./:@-])trl(?:\[[^\]\n]*\])?(?=[\s'\"=<>!~;@,\\)]|$)|(?:git\+)?(?:https|ssh)://[^\s'\"]*?/trl(?:\.git)?(?![\w-])"
)
_COMMAND = re.compile(
    rb"\b(?:pip3?(?:\.\d+)?|uv|uvx|poetry|pdm|conda|mamba|micromamba|pipenv|rye|pixi|hatch)\b.*\b(?:install|add|sync)\b"
    rb"|\buvx?\b.*--with"
    rb"|\.install\([^()]*['\"]$",
    re.DOTALL,
)
_ENDS_COMMAND = re.compile(rb"&&|\|\||[|&]|;(?![^'\"\n]*['\"])|(?<!\\)(?:\r\n|\n|\r)")
_LONGEST_COMMAND = 4000

_OURS = re.compile(rb"(?<![\w./:@-])orpo[-_]compat(?![\w-])")

ADVICE = "Install orpo-compat there too (pip install orpo-compat), and keep trl only if something else needs it."


def install_offsets(text: bytes) -> list[int]:
    """The byte offsets of `trl` in commands that install it, one a line."""
    offsets: list[int] = []
    line_end = -1
    for match in _NAMED.finditer(text):
        if match.start() > line_end and _is_installed(text, match.start()):
            offsets.append(match.start())
            line_end = text.find(b"\n", match.start())
            line_end = len(text) if line_end < 0 else line_end
    return offsets


def unserved_offsets(text: bytes) -> list[int]:
    """Those of the offsets whose environment does not get orpo-compat as well, as far as the text tells.

    A command may name both; one that installs orpo-compat alone serves one that installs trl alone.
    """
    ours = sum(
        _is_installed(text, match.start()) and not _NAMED.search(text, *_command(text, match.start()))
        for match in _OURS.finditer(text)
    )
    alone = [at for at in install_offsets(text) if not _names_ours(text, *_command(text, at))]
    return alone[ours:]


def _names_ours(text: bytes, start: int, end: int) -> bool:
    return any(not _commented(text, match.start()) for match in _OURS.finditer(text, start, end))


def _command(text: bytes, offset: int) -> tuple[int, int]:
    """The span of the command around ``offset``."""
    first = max(offset - _LONGEST_COMMAND, 0)
    start = max((match.end() for match in _ENDS_COMMAND.finditer(text, first, offset)), default=first)
    end = _ENDS_COMMAND.search(text, offset, offset + _LONGEST_COMMAND)
    return start, end.start() if end else len(text)


def _is_installed(text: bytes, offset: int) -> bool:
    """Whether the command that `offset` stands in, up to there, is one that installs."""
    before = text[max(offset - _LONGEST_COMMAND, 0) : offset]
    start = max((match.end() for match in _ENDS_COMMAND.finditer(before)), default=0)
    return _COMMAND.search(before, start) is not None and not _commented(text, offset)


def _commented(text: bytes, offset: int) -> bool:
    """A hash after white space ends a command; a comment that says `pip install trl` installs nothing."""
    start = text.rfind(b"\n", 0, offset) + 1
    return re.search(rb"(?:^|\s)#(?!\s*(?:MAGIC\s*)?[!%])", text[start:offset]) is not None


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
    for offset in unserved_offsets(within):
        line, column = places.at(home(offset))
        message = (
            f"{label}installs trl: {excerpt(within, offset)}" if label else f"Installs trl: {excerpt(within, offset)}"
        )
        findings.append(Finding("OC120", path, line, column, message, ADVICE))
    return findings
