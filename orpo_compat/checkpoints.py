"""Whole checkpoints: which folders are, which is the newest, and how a folder becomes one at a stroke.

A checkpoint is written under ``unfinished/`` and moved to its name once every byte is on the disk, so a folder called
``checkpoint-N`` of ours is whole by construction. Folders written by other means (or torn by a full disk, a copy, a
power cut) are looked into: a state that parses, and weights and optimizer files as long as their own headers say.
Knows no trainer.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path

from orpo_compat.errors import RunError

logger = logging.getLogger(__name__)

STAGE = "unfinished"
"""Where checkpoints are written; no ``checkpoint-*`` pattern looks there."""

_STATE = "trainer_state.json"
_NAME = re.compile(r"checkpoint-(\d+)")
_TORCH_FILES = (".pt", ".pth", ".bin")


def step_of(folder: Path) -> int:
    """The step a checkpoint folder is named after."""
    return int(folder.name.rpartition("-")[2])


def newest_whole(run: Path, *, warn: bool = True) -> Path | None:
    """Find the newest whole checkpoint of a run; each one passed over is named in a warning, with what it lacks."""
    for folder in _newest_first(run):
        lacks = defect(folder)
        if lacks is None:
            return folder
        if warn:
            logger.warning("%s is passed over: %s.", folder, lacks)
    return None


def require_whole(folder: Path) -> Path:
    """Return a checkpoint folder that is about to be resumed from.

    Raises:
        RunError: it is not whole; the message names what is missing and the newest one that is.
    """
    lacks = defect(folder)
    if lacks is None:
        return folder
    others = [other for other in _newest_first(folder.parent) if other != folder and defect(other) is None]
    advice = f"resume from {others[0]} instead" if others else "start afresh: no checkpoint beside it is whole"
    raise RunError(f"{folder} is no whole checkpoint: {lacks}.\n  Next: {advice}.")


def defect(folder: Path) -> str | None:
    """Say why a checkpoint cannot be resumed from; None if nothing speaks against it."""
    if not folder.is_dir():
        return "there is no such folder"
    try:
        json.loads((folder / _STATE).read_text("utf-8"))
    except FileNotFoundError:
        return f"it has no {_STATE}, which is written last"
    except ValueError:
        return f"{_STATE} is cut short"
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        if _is_cut_short(file):
            return f"{file.relative_to(folder)} is cut short"
    missing = sorted(name for name in _indexed(folder) if not (folder / name).is_file())
    return f"{missing[0]} is missing" if missing else None


def _newest_first(run: Path) -> list[Path]:
    found = [path for path in run.glob("checkpoint-*") if path.is_dir() and _NAME.fullmatch(path.name)]
    return sorted(found, key=step_of, reverse=True)


def _is_cut_short(file: Path) -> bool:
    """Compare a weights or state file with what its own header says of its length."""
    if file.suffix == ".safetensors":
        return file.stat().st_size != _declared_size(file)
    if file.suffix in _TORCH_FILES:
        with file.open("rb") as stream:
            start = stream.read(2)
        # torch's archives end with their table of contents; its older format starts otherwise and cannot be judged.
        return not start or (start == b"PK" and not zipfile.is_zipfile(file))
    return False


def _declared_size(file: Path) -> int:
    with file.open("rb") as stream:
        prefix = stream.read(8)
        if len(prefix) < 8:
            return -1
        (length,) = struct.unpack("<Q", prefix)
        try:
            header = json.loads(stream.read(length)) if length < file.stat().st_size else None
        except ValueError:
            header = None
    if header is None:
        return -1
    ends = [int(entry["data_offsets"][1]) for name, entry in header.items() if name != "__metadata__"]
    return 8 + int(length) + max(ends, default=0)


def _indexed(folder: Path) -> Iterator[str]:
    """The shards that an index of weights names."""
    for index in folder.glob("*.index.json"):
        try:
            yield from set(json.loads(index.read_text("utf-8"))["weight_map"].values())
        except (ValueError, KeyError):
            yield f"{index.name} (cut short); part of the index"


def publish(staged: Path, final: Path) -> None:
    """Put a written checkpoint under its name: everything to the disk first, then one rename.

    An older folder of that name is put aside before and removed after.
    """
    for path in [*staged.rglob("*"), staged]:
        to_disk(path)
    aside = staged.with_name(f"{staged.name}-replaced")
    shutil.rmtree(aside, ignore_errors=True)
    if final.exists():
        final.rename(aside)
    staged.rename(final)
    to_disk(final.parent)
    shutil.rmtree(aside, ignore_errors=True)


def to_disk(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        logger.debug("fsync of %s: %s", path, error)  # some network file systems refuse it for folders
    finally:
        os.close(handle)


def clear_stage(run: Path) -> None:
    """Remove what an interrupted save left."""
    shutil.rmtree(run / STAGE, ignore_errors=True)
