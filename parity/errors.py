"""Every exception of the parity harness, headed by its tree. Each message says what, where, and what to do next.

ParityError                        anything a user can mend; the command line shows it without a traceback
|-- SpecError (ValueError)         a question that cannot be asked: model, scenario, setting
|-- ReferenceUnavailable           no TRL to compare with; the message says how to get one
|-- ArmFailed                      an arm crashed, hung or wrote nothing; carries the tail of what it said
|-- TraceDamaged (ValueError)      a trace that is cut off, doubled or unreadable
`-- EvidenceInvalid (ValueError)   a sealed file that does not verify; says what was altered
"""

from __future__ import annotations

from pathlib import Path


class ParityError(Exception):
    """Anything a user can mend. Show ``str(error)``; a traceback helps nobody."""


class SpecError(ParityError, ValueError):
    """A question that cannot be asked. The message names the field, the value and what is allowed."""


class ReferenceUnavailable(ParityError):
    """There is no TRL to compare with. The message says exactly how to get it."""


class ArmFailed(ParityError):
    """An arm did not finish.

    Args:
        arm: ``"theirs"``, ``"floor"`` or ``"ours"``.
        reason: What happened, in a sentence.
        tail: The last lines of what the arm printed.
        log: Where all of it is.
    """

    def __init__(self, arm: str, reason: str, *, tail: str = "", log: Path | None = None) -> None:
        self.arm = arm
        self.reason = reason
        self.tail = tail
        where = f"\nAll of its output: {log}" if log is not None else ""
        said = f"\nIt said last:\n{tail.rstrip()}" if tail.strip() else ""
        super().__init__(f"the arm '{arm}' {reason}.{said}{where}")


class TraceDamaged(ParityError, ValueError):
    """A trace is cut off, doubled or unreadable. Run the arm again."""


class EvidenceInvalid(ParityError, ValueError):
    """Sealed evidence does not verify. Run ``orpo-compat parity`` again to make new evidence."""
