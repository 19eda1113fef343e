"""Suppressions for findings that no rule makes: a Python file's installs and doubles are silenced as all else is.

The rules have judged the file's suppressions before, so one that is of use here was called useless there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from codemods.findings import Finding, Severity

_IGNORE = re.compile(rb"#\s*orpo-compat:\s*(ignore-file|ignore)\b(?:\[([^\]]*)\])?([^\r\n]*)")


@dataclass(frozen=True)
class _Comment:
    line: int
    speaks_for: int
    """A line; 0 for the whole file."""
    codes: frozenset[str]
    reason: str


def silenced(source: bytes, judged: Iterable[Finding], added: Iterable[Finding]) -> list[Finding]:
    """All findings, with those of ``added`` that a comment suppresses turned into notes that they are."""
    comments = _comments(source) if b"orpo-compat:" in source else []
    used: set[int] = set()
    found = []
    for finding in added:
        comment = next((one for one in comments if _covers(one, finding)), None)
        if comment is not None:
            used.add(comment.line)
            reason = f"Reason given: {comment.reason}." if comment.reason else "No reason was given."
            message = f"{finding.code} is suppressed here by a comment."
            finding = replace(finding, code="OC116", message=message, advice=reason, severity=Severity.INFO)
        found.append(finding)
    return [*(one for one in judged if one.code != "OC116" or one.line not in used), *found]


def _covers(comment: _Comment, finding: Finding) -> bool:
    return comment.speaks_for in (0, finding.line) and (not comment.codes or finding.code in comment.codes)


def _comments(source: bytes) -> list[_Comment]:
    found = []
    for number, line in enumerate(re.split(rb"\r\n|\r|\n", source), 1):
        match = _IGNORE.search(line)
        if match is not None:
            own = not line[: match.start()].strip()
            speaks_for = 0 if match[1] == b"ignore-file" else number + own
            codes = frozenset(one.strip().decode("ascii", "replace") for one in (match[2] or b"").split(b","))
            reason = match[3].decode("utf-8", "replace").strip(" :-.")
            found.append(_Comment(number, speaks_for, codes - {""}, reason))
    return found
