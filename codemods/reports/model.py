"""What every report format is made from, and where a finding's line went once the files were switched.

Findings are placed in the text as it was before the run. A split import adds lines, so a reader who looks at the
switched file needs the line after it too; both are given.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath

from codemods.containers.mentions import Places
from codemods.edits import Edit
from codemods.findings import Finding, Severity
from codemods.inventory import Usage
from codemods.plan import FilePlan, Plan

_LINE_END = re.compile(rb"\r\n|\r|\n")


@dataclass(frozen=True)
class Report:
    """A plan with what became of it."""

    command: str
    """``migrate``, ``rollback`` or ``scan``."""
    mode: str
    """``written``, ``dry-run``, ``check`` or ``refused``."""
    version: str
    plan: Plan
    exit_code: int
    gate: dict[str, str] = field(default_factory=dict)
    run: str = ""
    how: dict[str, str] = field(default_factory=dict)
    usages: tuple[Usage, ...] = ()

    @cached_property
    def changed(self) -> dict[str, FilePlan]:
        return {file.path: file for file in self.plan.files}

    def line_after(self, finding: Finding) -> int:
        """The finding's line in the file as the run leaves it."""
        file = self.changed.get(finding.path)
        return line_after(file.source, file.edits, finding.line) if file else finding.line

    def count(self, severity: Severity) -> int:
        return sum(finding.severity is severity for finding in self.plan.findings)


def line_after(source: bytes, edits: tuple[Edit, ...], line: int) -> int:
    """Where line ``line`` (1-based) of ``source`` is once ``edits`` are made."""
    start = Places(source).offset(line)
    before = [edit for edit in edits if edit.end <= start]
    return max(1, line + sum(len(_LINE_END.findall(edit.new)) - len(_LINE_END.findall(edit.old)) for edit in before))


def shown(path: str) -> str:
    """A path fit for a line of text: quoted when it holds control characters or bytes that are not UTF-8."""
    clean = path.isprintable() and "\\" not in path
    return path if clean else ascii(path) if not path.isprintable() else repr(path)


def uri(path: str) -> str:
    """A path as the relative URI reference that SARIF and links want."""
    from urllib.parse import quote

    return quote(PurePosixPath(path).as_posix().encode("utf-8", "surrogateescape"))
