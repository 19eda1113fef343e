"""A saved model appears in its folder at a stroke: written whole beside it, then moved in, its configuration last.

Every loader begins with ``config.json`` or ``adapter_config.json``. The old one leaves the folder before anything else
changes and the new one comes when all else is there, so a folder that has one holds the model it describes: the old
one or the new one, whole. After a kill in between, what the folder lacks of the new one lies in ``unfinished/model``
and ``unfinished/moving.json`` names all of it: ``finish_move`` brings it in. Knows no trainer; what is written, the
caller decides.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # pragma: no cover  # Windows: nothing tells a dead mover from a slow one
    fcntl = None  # type: ignore[assignment]

from orpo_compat.checkpoints import STAGE, to_disk

MODEL = "model"
"""Where in the stage a model is written."""

MOVING = "moving.json"
"""In the stage while a whole model is moved in: the names of its files. Without it, what was staged is not whole."""

_CONFIGURATION = ("config.json", "adapter_config.json")
_SHARD = re.compile(r"(?P<stem>.+)-\d{5}-of-\d{5}(?P<kind>\.\w+)")
_INDEX = ".index.json"


@contextmanager
def written_whole(folder: Path) -> Iterator[Path]:
    """Give a folder to write a model to; what was written there moves into ``folder`` at the end.

    After an error nothing of it is kept, and ``folder`` is as it was. Files of ``folder`` that have nothing to do with
    the model stay.
    """
    finish_move(folder)
    stage = folder / STAGE
    staged = stage / MODEL
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir(parents=True)
    with suppress(FileNotFoundError):  # PEFT adds to a card that it finds
        shutil.copyfile(folder / "README.md", staged / "README.md")
    try:
        yield staged
        for path in [*staged.rglob("*"), staged]:
            to_disk(path)
        _announce(stage, staged)
    except BaseException:
        _remove(stage)
        raise
    finish_move(folder)


def finish_move(folder: Path) -> bool:
    """Move a model in that was written whole, if its process died before or while doing so; say if there was one.

    Waits for a process that is moving it at this moment. May itself be killed anywhere and be called again.

    Raises:
        OSError: the folder cannot be written to.
    """
    stage = folder / STAGE
    with _alone(stage / MOVING) as names:
        if names is None:
            return False
        _move_in(stage / MODEL, folder, [Path(name) for name in names])
        _remove(stage)
    return True


def finish_move_for_reading(folder: Path) -> None:
    """Finish a move before a model is read; where that may not be written, the loader says what is missing."""
    with suppress(OSError):
        finish_move(folder)


def _announce(stage: Path, staged: Path) -> None:
    """Write down what is about to be moved: from here on the staged model is whole."""
    written = sorted(path.relative_to(staged).as_posix() for path in staged.rglob("*") if path.is_file())
    draft = staged.with_suffix(".draft")
    draft.write_text(json.dumps(written), encoding="utf-8")
    to_disk(draft)
    draft.replace(stage / MOVING)
    to_disk(stage)


@contextmanager
def _alone(moving: Path) -> Iterator[list[str] | None]:
    """Give the names of the model to move in, with no other process at it; None if there is nothing to move."""
    try:
        file = moving.open(encoding="utf-8")
    except OSError:
        yield None
        return
    with file:
        if fcntl is not None:
            with suppress(OSError):  # a file system without locks
                fcntl.flock(file, fcntl.LOCK_EX)
        # Whoever held the lock has moved it all.
        yield json.load(file) if moving.exists() else None


def _move_in(staged: Path, folder: Path, written: list[Path]) -> None:
    last = [name for name in written if name.name in _CONFIGURATION]
    for name in last:
        if (staged / name).exists():  # else the one in the folder is the new one
            with suppress(FileNotFoundError):
                (folder / name).rename(staged / f"{name}.replaced")
    to_disk(folder)
    for stale in list(_stale_weights(folder, written)):
        stale.unlink()
    for name in [*(name for name in written if name not in last), *last]:
        (folder / name.parent).mkdir(parents=True, exist_ok=True)
        if (staged / name).exists():
            (staged / name).replace(folder / name)
    for parent in {folder / name.parent for name in written}:
        to_disk(parent)


def _stale_weights(folder: Path, written: list[Path]) -> Iterator[Path]:
    """Find what a loader would take for part of the new weights: shards, or the whole, of an older save."""
    families = {(name.parent, *_family(name.name)) for name in written}
    families = {family for family in families if family[2] in (".safetensors", ".bin")}
    for parent in {family[0] for family in families}:
        for path in sorted((folder / parent).iterdir()) if (folder / parent).is_dir() else ():
            known = path.relative_to(folder) in written
            if not known and path.is_file() and (parent, *_family(path.name)) in families:
                yield path


def _family(name: str) -> tuple[str, str]:
    """Stem and kind of weights, the same for one file, for its shards and for their index."""
    name = name.removesuffix(_INDEX)
    shard = _SHARD.fullmatch(name)
    if shard is not None:
        return shard["stem"], shard["kind"]
    path = Path(name)
    return path.stem, path.suffix


def _remove(stage: Path) -> None:
    (stage / MOVING).unlink(missing_ok=True)  # first: without its files it would mean nothing
    shutil.rmtree(stage / MODEL, ignore_errors=True)
    with suppress(OSError):  # an unfinished checkpoint may lie there too
        stage.rmdir()
