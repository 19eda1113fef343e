"""The exit codes every command shares. Data goes to stdout, progress and summaries to stderr."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What a command's exit status means, the same for all of them."""

    DONE = 0
    """Done, or nothing to do."""
    PENDING = 1
    """``--check`` would change something, or the verdict is DIFFERENT."""
    USAGE = 2
    """Bad usage, or an error of our own."""
    FINDINGS = 3
    """Done, but findings or failed files remain, or the verdict is INVESTIGATE."""
    PARITY_NOT_RUN = 4
    """No reference to compare with, or the arms were not comparable."""
    GATE_REFUSED = 5
    """The parity gate refused the switch; nothing was written."""
    REFUSED = 6
    """Refused before starting: dirty tree, merge in progress, lock held, shadowed package."""
    INTERRUPTED = 130
    """Interrupted by the user, after recovery."""
