"""Byte spans to replace, and what may be done with a list of them.

An edit remembers the bytes it took out as well as those it put in, so a list of edits is its own inverse. This
module knows nothing of Python, of encodings or of files: offsets are offsets in the bytes as they lie on disk.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from codemods.errors import EditConflict


@dataclass(frozen=True, order=True)
class Edit:
    """Replace ``source[start:end]``, which reads ``old``, with ``new``. An insertion has ``start == end``."""

    start: int
    end: int
    old: bytes
    new: bytes
    rule: str

    @property
    def growth(self) -> int:
        """By how many bytes the text gets longer."""
        return len(self.new) - len(self.old)


def splice(source: bytes, edits: Sequence[Edit]) -> bytes:
    """Apply ``edits`` (sorted, non-overlapping) and return the new bytes.

    Raises:
        EditConflict: an edit overlaps the one before it, or ``source`` does not read ``old`` there.
    """
    if not edits:
        return source
    parts: list[bytes] = []
    position = 0
    for edit in edits:
        if edit.start < position:
            raise EditConflict(f"edit at byte {edit.start} overlaps the one that ends at byte {position}")
        found = source[edit.start : edit.end]
        if found != edit.old or edit.end - edit.start != len(edit.old):
            raise EditConflict(f"bytes {edit.start}-{edit.end} read {found!r}, the edit expected {edit.old!r}")
        parts += (source[position : edit.start], edit.new)
        position = edit.end
    parts.append(source[position:])
    return b"".join(parts)


def inverted(edits: Sequence[Edit]) -> tuple[Edit, ...]:
    """Return the edits that turn ``splice(source, edits)`` back into ``source``."""
    undo: list[Edit] = []
    shift = 0
    for edit in edits:
        start = edit.start + shift
        undo.append(Edit(start, start + len(edit.new), edit.new, edit.old, edit.rule))
        shift += edit.growth
    return tuple(undo)


def arranged(edits: Iterable[Edit]) -> tuple[Edit, ...]:
    """Sort, drop doubles and those that change nothing; insertions at one place keep the order they came in."""
    unique = dict.fromkeys(edit for edit in edits if edit.old != edit.new)
    return tuple(sorted(unique, key=lambda edit: (edit.start, edit.end)))
