"""A saved model appears in its folder at a stroke: written whole beside it, then moved in, its configuration last.

Every loader begins with ``config.json`` or ``adapter_config.json``. The old one leaves the folder before anything else
changes and the new one comes when all else is there, so a folder that has one holds the model it describes: the old
one or the new one, whole. After a kill in between, what the folder lacks of the new one lies in ``unfinished/model``.
Knows no trainer; what is written, the caller decides.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from orpo_compat.checkpoints import STAGE, to_disk

MODEL = "model"
"""Where in the stage a model is written."""

_CONFIGURATION = ("config.json", "adapter_config.json")
_SHARD = re.compile(r"(?P<stem>.+)-\d{5}-of-\d{5}(?P<kind>\.\w+)")
_INDEX = ".index.json"


@contextmanager
def written_whole(folder: Path) -> Iterator[Path]:
    """Give a folder to write a model to; what was written there moves into ``folder`` at the end.

    After an error nothing of it is kept, and ``folder`` is as it was. Files of ``folder`` that have nothing to do with
    the model stay.
    """
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
    except BaseException:
        _remove(stage, staged)
        raise
    _move_in(staged, folder)
    _remove(stage, staged)


def _move_in(staged: Path, folder: Path) -> None:
    written = sorted(path.relative_to(staged) for path in staged.rglob("*") if path.is_file())
    last = [name for name in written if name.name in _CONFIGURATION]
    for name in last:
        with suppress(FileNotFoundError):
            (folder / name).rename(staged / f"{name}.replaced")
    to_disk(folder)
    for stale in _stale_weights(folder, written):
        stale.unlink()
    for name in [*(name for name in written if name not in last), *last]:
        (folder / name.parent).mkdir(parents=True, exist_ok=True)
        (staged / name).replace(folder / name)
    for name in {folder / name.parent for name in written}:
        to_disk(name)


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


def _remove(stage: Path, staged: Path) -> None:
    shutil.rmtree(staged, ignore_errors=True)
    with suppress(OSError):  # an unfinished checkpoint may lie there too
        stage.rmdir()
