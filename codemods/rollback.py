"""Works out how to take migrations back: which bytes each file gets, and how sure we are of them.

In order: the journal's own bytes where the file was not touched since; else the migration's spans taken out of the
current text, which keeps later edits; else the codemod run in reverse over what is left, declared as not
byte-exact. What none of them can do is reported and left. Plans only: the transaction writes.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from codemods import writing
from codemods.edits import Edit, inverted, splice
from codemods.errors import EditConflict, JournalDamaged
from codemods.findings import Finding, Severity
from codemods.journal import Entry, Run, inside
from codemods.plan import FilePlan
from codemods.threeway import merge

OURS = b"orpo_compat"
Reverse = Callable[[str, bytes, str], bytes]
"""Path, current text, TRL module to go back to -> the text with our names moved back."""


class How(str, Enum):
    """How a file's text was found, best first."""

    ALREADY = "already original"
    EXACT = "byte for byte"
    MERGED = "byte for byte in the switched lines, later edits kept"
    REVERSED = "by the codemod in reverse, not byte-exact"


@dataclass(slots=True)
class RollbackPlan:
    """What a rollback would write, how each file fares, and what it has to leave."""

    files: tuple[FilePlan, ...] = ()
    how: dict[str, How] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()

    @property
    def incomplete(self) -> bool:
        """Whether a file stays switched, in whole or in part."""
        return any(finding.severity is Severity.ERROR for finding in self.findings)


@dataclass(slots=True)
class _Desk:
    """The texts under work: what is on disk, and what the rollback makes of it so far."""

    root: Path
    reverse: Reverse
    list_paths: Callable[[], Iterable[str]]
    disk: dict[str, bytes] = field(default_factory=dict)
    text: dict[str, bytes] = field(default_factory=dict)
    how: dict[str, How] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def current(self, path: str) -> bytes | None:
        if path not in self.text:
            try:
                self.disk[path] = self.text[path] = writing.read_regular(inside(self.root, path))
            except OSError:
                return None
        return self.text[path]

    def settle(self, path: str, text: bytes, how: How) -> None:
        self.text[path] = text
        worst = list(How)
        self.how[path] = max(self.how.get(path, How.ALREADY), how, key=worst.index)

    def report(self, path: str, message: str, advice: str, severity: Severity = Severity.ERROR) -> None:
        self.findings.append(Finding("OC151", path, 1, 1, message, advice, severity))


def _original(run: Run, entry: Entry, switched: bytes | None) -> bytes | None:
    """The bytes before the migration: from the journal, or made from the switched text by undoing its edits."""
    stored = run.before(entry)
    if stored is not None or switched is None:
        return stored
    try:
        made = splice(switched, inverted(entry.edits))
    except EditConflict:
        return None
    return made if writing.digest(made) == entry.before else None


def _find_renamed(desk: _Desk, entry: Entry) -> str | None:
    """Another file of the tree that holds exactly the switched bytes, if there is exactly one."""
    matches = []
    for path in desk.list_paths():
        try:
            found = writing.digest(writing.read_regular(inside(desk.root, path)))
        except (OSError, JournalDamaged):
            continue
        if found == entry.after:
            matches.append(path)
    return matches[0] if len(matches) == 1 else None


def came_from(edits: Iterable[Edit]) -> str:
    """The TRL home these edits moved names away from, as far as their bytes tell; the old top level otherwise."""
    named = Counter(match for edit in edits for match in re.findall(rb"\btrl\.experimental\b|\btrl\b", edit.old))
    return "trl.experimental.orpo" if named[b"trl.experimental"] > named[b"trl"] else "trl"


def _parses(text: bytes) -> bool:
    try:
        ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _take_back(desk: _Desk, run: Run, entry: Entry, path: str, current: bytes) -> None:
    found = writing.digest(current)
    if found == entry.before:
        return desk.settle(path, current, How.ALREADY)
    original = _original(run, entry, current if found == entry.after else None)
    if found == entry.after and original is not None:
        return desk.settle(path, original, How.EXACT)
    text, how, num_before = current, How.MERGED, 0
    conflicts = entry.edits
    if original is not None:
        merged = merge(original, entry.edits, current)
        text, conflicts, num_before = merged.text, merged.conflicts, original.count(OURS)
    else:
        message = "the journal's copy does not match its digest and was not used"
        desk.report(path, message, "compare with your version control", Severity.WARNING)
    if conflicts and text.count(OURS) > num_before:
        text, how = desk.reverse(path, text, came_from(entry.edits)), How.REVERSED
    _accept(desk, path, current, text, how if text != current else How.ALREADY, num_before)


def _accept(desk: _Desk, path: str, current: bytes, text: bytes, how: How, num_before: int) -> None:
    if path.endswith((".py", ".pyi")) and _parses(current) and not _parses(text):
        advice = "undo the switch in this file by hand; the original is in the journal"
        return desk.report(path, "taking the switch out of the edited text would break its syntax", advice)
    if how is How.REVERSED:
        message = "its switched lines were edited since: moved back by rule, not byte for byte"
        desk.report(path, message, "read the diff of this file", Severity.WARNING)
    desk.settle(path, text, how)
    if text.count(OURS) > num_before:
        lines = [str(text.count(b"\n", 0, match.start()) + 1) for match in re.finditer(OURS, text)]
        message = f"still speaks of orpo_compat on line {', '.join(dict.fromkeys(lines))}, edited since the switch"
        desk.report(path, message, "move these lines back by hand")


def _one_run(desk: _Desk, run: Run) -> None:
    for entry in run.record.entries:
        path, current = entry.path, desk.current(entry.path)
        if current is None:
            renamed = _find_renamed(desk, entry)
            if renamed is None:
                message = "gone, or no longer a regular file, and no file of the tree holds its bytes"
                desk.report(path, message, f"the original is {run.folder / 'before' / entry.before}")
                continue
            desk.report(renamed, f"was {path}; restored under its present name", "nothing to do", Severity.INFO)
            path, current = renamed, desk.current(renamed)
            assert current is not None, "it was read a moment ago"
        _take_back(desk, run, entry, path, current)


def plan_rollback(
    root: Path, runs: Iterable[Run], *, reverse: Reverse, list_paths: Callable[[], Iterable[str]]
) -> RollbackPlan:
    """Plan taking back ``runs`` (newest first).

    Args:
        reverse: the codemod's way back, for text in which the switched lines were edited.
        list_paths: the files of the tree, asked for only when one of the journal's is gone.

    Raises:
        JournalDamaged: the journal points outside the tree.
    """
    desk = _Desk(root, reverse, list_paths)
    for run in runs:
        _one_run(desk, run)
    changed = [path for path in sorted(desk.how) if desk.text[path] != desk.disk[path]]
    files = tuple(file_plan(root, path, desk.disk[path], desk.text[path]) for path in changed)
    return RollbackPlan(files, desk.how, tuple(sorted(desk.findings)))


def file_plan(root: Path, path: str, current: bytes, text: bytes) -> FilePlan:
    """One changed file with a single edit: whatever lies between the common start and the common end."""
    start = writing.common_prefix(current, text)
    ending = writing.common_prefix(current[start:][::-1], text[start:][::-1])
    old, new = current[start : len(current) - ending], text[start : len(text) - ending]
    mode = inside(root, path).lstat().st_mode & 0o7777
    return FilePlan(path, mode, current, text, (Edit(start, start + len(old), old, new, "rollback"),))
