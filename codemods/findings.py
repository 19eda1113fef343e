"""What was seen and not decided: a code, a place, a reason and the next step.

The codes are stable and public (reports, suppressions and docs use them); their meaning is one line each in
``CODES``. Findings say nothing about how they are shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Severity(str, Enum):
    """How much a reader should care."""

    ERROR = "error"
    """Left as it is, the program trains something else or stops."""
    WARNING = "warning"
    """Somebody has to look."""
    INFO = "info"
    """Good to know."""


CODES: dict[str, str] = {
    "OC101": "star import",
    "OC102": "dynamic import",
    "OC103": "dotted name or code inside a string or comment",
    "OC104": "test double in sys.modules",
    "OC105": "getattr or a silent fall-back",
    "OC106": "module object escapes, is rebound or deleted",
    "OC107": "availability probe or import guard",
    "OC108": "version branch or pin",
    "OC109": "re-export",
    "OC110": "the target's name is taken",
    "OC111": "subclass overrides a hook",
    "OC112": "a third party patches TRL in place",
    "OC113": "trl or orpo_compat is a local package",
    "OC114": "file skipped",
    "OC115": "cannot decode or parse",
    "OC116": "suppressed by comment, or a suppression without effect",
    "OC117": "notebook magic or cell",
    "OC118": "documentation, docstring or doctest",
    "OC119": "configuration file",
    "OC120": "dependency list",
    "OC121": "name that does not move, from a module that is gone",
    "OC122": "class identity across modules or saved artefacts",
    "OC123": "monkeypatch",
    "OC124": "signature or default differs",
    "OC125": "ORPO asked of another trainer",
    "OC126": "left as it is",
}


@dataclass(frozen=True, order=True)
class Finding:
    """One thing to look at. ``line`` and ``column`` are 1-based; columns count characters."""

    code: str
    path: str
    line: int
    column: int
    message: str
    advice: str
    severity: Severity = Severity.WARNING

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}: {self.code} {self.message} {self.advice}"
