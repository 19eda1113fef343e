"""What the codemod raises.

CodemodError
|-- EditConflict         spans overlap, or the text is not what the edit was planned on
|-- UnreadableSource     bytes that are not Python text, or Python that no parser here accepts
|-- Refused              nothing was written; the message says what to change first
|   |-- DirtyTree            uncommitted work in the git tree
|   |-- OperationUnderway    a merge, rebase, cherry-pick or revert is not finished
|   |-- LockHeld             another run works on the same tree
|   |-- NotWritable          a file or folder cannot be replaced
|   |-- NoLocks              this system cannot keep a second run out
|   |-- NoSpace              the disk cannot hold the journal and the switched files
|   `-- ShadowedPackage      ``trl`` or ``orpo_compat`` is a package of the tree itself
|-- StaleInput           a file changed between the plan and the write; what was written is undone
|-- WriteFailed          the operating system refused a write; what was written is undone
|-- JournalDamaged       the journal does not match its own digests, or points outside the tree
`-- GitFailed            git itself returned an error

The first two do not reach a user of ``rewrite``: it turns them into findings and leaves the file alone.
"""

from __future__ import annotations


class CodemodError(Exception):
    """Root of what this package raises."""


class EditConflict(CodemodError):
    """An edit does not fit the text it is applied to."""


class UnreadableSource(CodemodError):
    """The bytes cannot be decoded or parsed as Python.

    ``line`` is where (1-based; 1 when unknown).
    """

    def __init__(self, message: str, line: int = 1) -> None:
        super().__init__(message)
        self.line = line


class Refused(CodemodError):
    """The run stops before its first write."""


class DirtyTree(Refused):
    """The git tree holds work that no commit holds yet."""


class OperationUnderway(Refused):
    """Git is in the middle of a merge, rebase, cherry-pick or revert."""


class LockHeld(Refused):
    """Another process holds the lock of this tree."""


class NoLocks(Refused):
    """The operating system has no ``flock``: two runs on one tree could not be kept apart."""


class NotWritable(Refused):
    """At least one file of the plan cannot be replaced."""


class NoSpace(Refused):
    """Not enough free space for the journal and the switched files."""


class ShadowedPackage(Refused):
    """``import trl`` or ``import orpo_compat`` would find a package of the tree itself."""


class StaleInput(CodemodError):
    """A file no longer holds the bytes the plan was made from (OC130)."""


class WriteFailed(CodemodError):
    """A write failed half-way; every file is back to what it was."""


class JournalDamaged(CodemodError):
    """The journal cannot be believed: a digest or a path in it is wrong."""


class GitFailed(CodemodError):
    """A git command failed; the message carries what git said."""
