"""Carries a planned run out, or takes an unfinished one back: all files or none.

The journal holds both versions of every file before the first write, so any stop (error, signal, power) leaves a
tree in which each file is old or new, and ``undo`` or ``finish`` makes it whole. Files that hold neither version
are somebody's later work: they are never overwritten here, only reported.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from codemods import writing
from codemods.errors import CodemodError, JournalDamaged, StaleInput, WriteFailed
from codemods.journal import Entry, Journal, Run, State, inside, remove_scratch


@dataclass(frozen=True, slots=True)
class Undone:
    """What taking back an unfinished run did: files restored, and files that hold later work of somebody."""

    restored: tuple[str, ...]
    strangers: tuple[str, ...]


def _swap(root: Path, run: Run, index: int, content: bytes, expected: str) -> None:
    entry = run.record.entries[index]
    writing.replace(inside(root, entry.path), content, expected=expected, scratch=run.scratch(index))


def _required(content: bytes | None, entry: Entry) -> bytes:
    if content is None:
        raise JournalDamaged(f"the journal's copy of {entry.path} does not match its digest; it is not used")
    return content


def _found(place: Path) -> bytes | None:
    try:
        return writing.read_regular(place)
    except OSError:
        return None


def undo(root: Path, run: Run) -> Undone:
    """Bring every file that this unfinished run wrote back to its original bytes."""
    restored, strangers = [], []
    # A run that is only planned wrote nothing: switched bytes it finds are another run's work.
    written = run.record.entries if run.state is State.WRITING else ()
    for index, entry in enumerate(written):
        place = inside(root, entry.path)
        current = _found(place)
        if current is None or writing.digest(current) == entry.before:
            continue
        original = run.before(entry)
        if writing.digest(current) == entry.after:
            _restore(root, run, index, _required(original, entry), entry.after)
        elif original is not None and _torn(run, entry, current, original):
            writing.overwrite(place, original, expected=writing.digest(current))
        else:
            strangers.append(entry.path)
            continue
        restored.append(entry.path)
    remove_scratch(root, run)
    run.advance(State.ROLLED_BACK, reason="undone", strangers="\n".join(strangers))
    return Undone(tuple(restored), tuple(strangers))


def _torn(run: Run, entry: Entry, current: bytes, original: bytes) -> bool:
    after = run.after(entry)
    return after is not None and writing.is_torn(current, original, after)


def _restore(root: Path, run: Run, index: int, original: bytes, expected: str) -> None:
    """Write the original back; on a full disk, move the journal's own copy into place instead."""
    try:
        _swap(root, run, index, original, expected)
    except OSError:
        entry = run.record.entries[index]
        place, stored = inside(root, entry.path), run.folder / "before" / entry.before
        status = place.lstat()
        if status.st_nlink > 1 or stored.lstat().st_nlink > 1:
            raise
        stored.chmod(stat.S_IMODE(status.st_mode))
        stored.replace(place)
        writing.sync_folder(place.parent)


def finish(root: Path, run: Run) -> tuple[str, ...]:
    """Write what an unfinished run has not written yet; returns the paths written now.

    Raises:
        StaleInput: a file holds neither version; nothing further is written.
    """
    todo: list[tuple[int, bytes, str]] = []
    for index, entry in enumerate(run.record.entries):
        place = inside(root, entry.path)
        current = _found(place)
        if current is not None and writing.digest(current) == entry.after:
            continue
        original = _required(run.before(entry), entry)
        after = _required(run.after(entry), entry)
        if current is None or not writing.is_torn(current, original, after):
            advice = "take the run back with --rollback instead"
            raise StaleInput(f"{entry.path} changed since the run was interrupted; {advice} (OC130)")
        todo.append((index, after, writing.digest(current)))
    remove_scratch(root, run)
    run.advance(State.WRITING)
    for index, content, expected in todo:
        _swap(root, run, index, content, expected)
    run.advance(State.DONE)
    return tuple(run.record.entries[index].path for index, _, _ in todo)


def check_fresh(root: Path, entries: Iterable[Entry]) -> None:
    """Make sure, under the lock and before the first write, that every file still holds what was planned on.

    Raises:
        StaleInput: one does not. Nothing is written; what another run made of it is not ours to undo.
    """
    for entry in entries:
        current = _found(inside(root, entry.path))
        if current is None or writing.digest(current) != entry.before:
            raise StaleInput(f"{entry.path} changed while we worked; nothing is switched, run again (OC130)")


def carry_out(root: Path, run: Run) -> None:
    """Write every file of a planned run; on any failure, interruption included, undo and re-raise.

    Raises:
        StaleInput: a file changed since it was planned.
        WriteFailed: the operating system refused a write.
    """
    try:
        run.advance(State.WRITING)
        for index, entry in enumerate(run.record.entries):
            _swap(root, run, index, _required(run.after(entry), entry), entry.before)
        run.advance(State.DONE)
    except BaseException as error:
        _undo_after(root, run, error)
        if isinstance(error, OSError):
            message = f"{error.strerror or error} ({error.filename or root}); every file is back to what it was"
            raise WriteFailed(message) from error
        raise


def _undo_after(root: Path, run: Run, error: BaseException) -> None:
    try:
        undo(root, run)
    except (OSError, CodemodError) as second:
        remedy = "the journal is intact: run `orpo-compat migrate PATH --rollback` once there is space or permission"
        raise WriteFailed(f"{error}; undoing it failed too ({second}). {remedy}") from error


def recover(journal: Journal) -> list[tuple[Run, Undone]]:
    """Bring the tree to a whole state after a crash: half a migration is undone, half a rollback is finished."""
    recovered = []
    for run in journal.unfinished():
        if run.record.kind == "migrate":
            recovered.append((run, undo(journal.root, run)))
        else:
            recovered.append((run, Undone(finish(journal.root, run), ())))
    return recovered
