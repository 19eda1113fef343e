"""The write-ahead journal: what a run is about to do, kept where a crash cannot take it.

``ROOT/.orpo-compat/runs/ID/`` holds ``plan.json`` (files, digests, modes, edit spans, the gate's word), ``before/``
(the original bytes, named by their digest) and ``state.json``. A run's folder appears whole, by one rename, before
the first file of the tree is touched; its state then only moves planned -> writing -> done -> rolled-back.
Every word read back is checked: paths stay inside the tree, bytes match their digest. Does not write the tree.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from enum import Enum
from pathlib import Path, PurePosixPath
from typing import Any

from codemods import writing
from codemods.edits import Edit, splice
from codemods.errors import JournalDamaged

HOME = ".orpo-compat"
FORMAT = 1


class State(str, Enum):
    """How far a run got; the value is what ``state.json`` says."""

    PLANNED = "planned"
    WRITING = "writing"
    DONE = "done"
    ROLLED_BACK = "rolled-back"

    @property
    def unfinished(self) -> bool:
        return self in (State.PLANNED, State.WRITING)


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a run: its path (relative, POSIX), the digests before and after, and the edits between them."""

    path: str
    mode: int
    before: str
    after: str
    edits: tuple[Edit, ...]


@dataclass(frozen=True, slots=True)
class Record:
    """What ``plan.json`` says of a run; ``undoes`` names the run that a rollback takes back."""

    run: str
    created: str
    kind: str
    entries: tuple[Entry, ...]
    gate: dict[str, str]
    undoes: str = ""


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _line_around(source: bytes, edit: Edit) -> str:
    start = source.rfind(b"\n", 0, edit.start) + 1
    end = source.find(b"\n", edit.end)
    return _text(source[start : end if end >= 0 else len(source)])


def _edit_to_json(edit: Edit, source: bytes) -> dict[str, Any]:
    place = {"start": edit.start, "end": edit.end, "line": source.count(b"\n", 0, edit.start) + 1}
    words = {"old": _text(edit.old), "new": _text(edit.new), "rule": edit.rule}
    return {**place, **words, "within": _line_around(source, edit)}


def _entry_to_json(entry: Entry, source: bytes) -> dict[str, Any]:
    plain = {"path": entry.path, "mode": entry.mode, "before": entry.before, "after": entry.after}
    return {**plain, "edits": [_edit_to_json(edit, source) for edit in entry.edits]}


def _edit_from_json(raw: dict[str, Any]) -> Edit:
    return Edit(int(raw["start"]), int(raw["end"]), _raw(raw["old"]), _raw(raw["new"]), str(raw["rule"]))


def _safe_path(path: str) -> str:
    parts = PurePosixPath(path).parts
    try:
        os.fsencode(path)
        unsafe = path.startswith("/") or "\0" in path or ".." in parts or parts[:1] in ((HOME,), (".git",))
    except UnicodeEncodeError:
        unsafe = True
    if not parts or unsafe:
        raise JournalDamaged(f"the journal names {path!r}, which is not a file of this tree; nothing is written")
    return path


def _safe_digest(value: str) -> str:
    if len(value) != 64 or not set(value) <= set("0123456789abcdef"):
        raise JournalDamaged(f"the journal holds {value!r} where a SHA-256 belongs; nothing is written")
    return value


def _entry_from_json(raw: dict[str, Any]) -> Entry:
    edits = tuple(_edit_from_json(edit) for edit in raw["edits"])
    before, after = _safe_digest(raw["before"]), _safe_digest(raw["after"])
    return Entry(_safe_path(raw["path"]), int(raw["mode"]), before, after, edits)


def inside(root: Path, path: str) -> Path:
    """Where ``path`` lies, once it is sure that no link on the way leads elsewhere.

    Raises:
        JournalDamaged: a folder of the path is a link now.
    """
    place = root / _safe_path(path)
    if place.parent.resolve() != root.resolve() / PurePosixPath(path).parent:
        raise JournalDamaged(f"{path!r} runs through a link now; refusing to write beyond it")
    return place


@dataclass(frozen=True, slots=True)
class Run:
    """One run's folder in the journal."""

    folder: Path
    record: Record

    @property
    def state(self) -> State:
        try:
            return State(self._state()["state"])
        except (KeyError, ValueError, TypeError) as error:
            raise JournalDamaged(_unreadable(self.folder, f"its state is no state: {error!r}")) from error

    def _state(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads((self.folder / "state.json").read_text("utf-8"))
        return loaded

    def advance(self, state: State, **notes: str) -> None:
        """Write the next state durably, keeping the seal over the plan."""
        known = {**self._state(), **notes, "state": state.value, "since": _now()}
        writing.put(self.folder / "state.json", _dump(known))

    def note(self, name: str) -> str:
        return str(self._state().get(name, ""))

    def before(self, entry: Entry) -> bytes | None:
        """The original bytes; ``None`` when the stored copy is gone or does not match its digest."""
        try:
            stored = writing.read_regular(self.folder / "before" / entry.before)
        except OSError:
            return None
        return stored if writing.digest(stored) == entry.before else None

    def after(self, entry: Entry) -> bytes | None:
        """The switched bytes, made again from the original and the edits, if both still match their digests."""
        before = self.before(entry)
        if before is None:
            return None
        made = splice(before, entry.edits)
        return made if writing.digest(made) == entry.after else None

    def within(self, only: Sequence[str]) -> Run:
        """This run, as if it had only changed files at or below the paths in ``only``."""
        folders = tuple(f"{path.rstrip('/')}/" for path in only)
        kept = tuple(entry for entry in self.record.entries if f"{entry.path}/".startswith(folders))
        return replace(self, record=replace(self.record, entries=kept))

    def scratch(self, index: int) -> str:
        """Name of the temporary file that stands beside the ``index``-th file while it is replaced."""
        return f".orpo-compat-{self.record.run}-{index}"


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def _dump(value: dict[str, Any]) -> bytes:
    return (json.dumps(value, indent=1) + "\n").encode("ascii")


_STAMP = "%Y%m%dT%H%M%S%fZ"


def new_record(
    kind: str, entries: tuple[Entry, ...], gate: dict[str, str], undoes: str = "", later_than: str = ""
) -> Record:
    """A record with a fresh run id, which sorts by time, and after the run ``later_than`` whatever the clock says."""
    now = datetime.now(timezone.utc).replace(tzinfo=None)
    with contextlib.suppress(ValueError):
        now = max(now, datetime.strptime(later_than.partition("-")[0], _STAMP) + timedelta(microseconds=1))
    stamp = now.strftime(_STAMP)
    return Record(f"{stamp}-{secrets.token_hex(4)}", _now(), kind, entries, gate, undoes)


class Journal:
    """The journal of one tree, at ``root/.orpo-compat``; reading it creates nothing."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home = root / HOME

    @property
    def lock(self) -> Path:
        return self.home / "lock"

    def prepare(self) -> None:
        """Create the folder, hidden from git by its own ``.gitignore``."""
        if self.home.is_symlink():
            raise JournalDamaged(f"{self.home} is a link; refusing to keep a journal behind it")
        (self.home / "runs").mkdir(parents=True, exist_ok=True)
        if not (self.home / ".gitignore").exists():
            writing.put(self.home / ".gitignore", b"*\n")
        writing.sync_folder(self.root)

    def begin(self, record: Record, originals: dict[str, bytes]) -> Run:
        """Store the plan and the original bytes (by digest); from here on the run can be undone."""
        runs = self.home / "runs"
        self._drop_halves()
        building = runs / f"{record.run}.new"
        (building / "before").mkdir(parents=True)
        for name, content in sorted(originals.items()):
            writing.write_new(building / "before" / name, content)
        writing.sync_folder(building / "before")
        entries = [_entry_to_json(entry, originals[entry.before]) for entry in record.entries]
        head = {"format": FORMAT, "run": record.run, "created": record.created, "kind": record.kind}
        plan = _dump({**head, "undoes": record.undoes, "gate": record.gate, "files": entries})
        writing.write_new(building / "plan.json", plan)
        state = {"state": State.PLANNED.value, "since": _now(), "plan": writing.digest(plan)}
        writing.write_new(building / "state.json", _dump(state))
        writing.sync_folder(building)
        building.replace(runs / record.run)
        writing.sync_folder(runs)
        return Run(runs / record.run, record)

    def _drop_halves(self) -> None:
        for half in (self.home / "runs").glob("*.new"):
            shutil.rmtree(half, ignore_errors=True)

    def runs(self) -> list[Run]:
        """Every whole run, oldest first.

        Raises:
            JournalDamaged: a plan does not match its seal, or names a file outside the tree.
        """
        folders = sorted((self.home / "runs").glob("*")) if self.home.is_dir() else []
        for place in (self.home, self.home / "runs", *folders):
            if place.is_symlink():
                raise JournalDamaged(f"{place} is a link; refusing to keep a journal behind it")
        return [self._load(folder) for folder in folders if folder.is_dir() and folder.suffix != ".new"]

    def _load(self, folder: Path) -> Run:
        try:
            plan = writing.read_regular(folder / "plan.json")
            sealed = json.loads(writing.read_regular(folder / "state.json"))
            if sealed["plan"] != writing.digest(plan):
                raise JournalDamaged(f"{folder / 'plan.json'} does not match its seal; nothing is written from it")
            return Run(folder, replace(_record(json.loads(plan)), run=folder.name))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise JournalDamaged(_unreadable(folder, repr(error))) from error

    def unfinished(self) -> list[Run]:
        return [run for run in self.runs() if run.state.unfinished]

    def standing(self) -> list[Run]:
        """The migrations in force, newest first: what a rollback takes back."""
        return [run for run in reversed(self.runs()) if run.record.kind == "migrate" and run.state is State.DONE]


def _unreadable(folder: Path, why: str) -> str:
    advice = f"To go on without it, move {folder} out of the journal"
    return f"{folder} cannot be read as a journal ({why}); nothing is written. {advice}"


def _record(raw: dict[str, Any]) -> Record:
    if raw["format"] != FORMAT:
        raise JournalDamaged(f"journal format {raw['format']!r} is not one this version reads ({FORMAT})")
    entries = tuple(_entry_from_json(entry) for entry in raw["files"])
    gate = {str(name): str(value) for name, value in raw["gate"].items()}
    return Record(raw["run"], raw["created"], raw["kind"], entries, gate, raw["undoes"])


def remove_scratch(root: Path, run: Run) -> None:
    """Take away temporary files that a killed run may have left beside its files."""
    for index, entry in enumerate(run.record.entries):
        place = inside(root, entry.path).with_name(run.scratch(index))
        if os.path.lexists(place):
            place.unlink()
