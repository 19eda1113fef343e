"""What a run leaves in its folder while it trains and when it ends: `metrics.jsonl` and `run.json`.

The recorder is a TrainerCallback that appends every log as one JSON line (NaN and infinity as strings, so that the
file stays JSON). `run.json` says what was run, on what, and how it ended. Pictures and pages are made elsewhere.
"""

from __future__ import annotations

import json
import math
import os
import platform
import tempfile
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from orpo_compat.checkpoints import newest_whole
from orpo_compat.errors import RunError
from orpo_compat.history import METRICS_FILE, RUN_FILE

_PACKAGES = ("orpo-compat", "torch", "transformers", "accelerate", "peft", "datasets", "tokenizers", "bitsandbytes")


class RunRecorder(TrainerCallback):  # type: ignore[misc, unused-ignore]  # transformers is untyped in places
    """Appends each log of a run to `metrics.jsonl`, on the main process only.

    Args:
        folder: the run's folder.
        keep_until: when resuming, the step whose lines and those before it are kept; None starts afresh.
    """

    def __init__(self, folder: Path, *, keep_until: int | None = None) -> None:
        self.path = folder / METRICS_FILE
        self.keep_until = keep_until

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Drop the lines of steps that are about to be run (again)."""
        if not state.is_world_process_zero:
            return
        kept = [] if self.keep_until is None else _lines_until(self.path, self.keep_until)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self.path, "".join(line + "\n" for line in kept))

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Append one line."""
        if state.is_world_process_zero and logs:
            append_record(self.path.parent, {"step": state.global_step, **logs})


def append_record(folder: Path, entry: Mapping[str, Any]) -> None:
    """Write one record to a run's metrics, also of a kind the Trainer does not log (an incident)."""
    with (folder / METRICS_FILE).open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(json_safe(entry)) + "\n")


def json_safe(value: Any) -> Any:
    """Plain JSON values: numbers that JSON lacks become strings, unknown objects their text."""
    if isinstance(value, Mapping):
        return {str(key): json_safe(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [json_safe(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, str | int | float | bool):
        return value
    item = getattr(value, "item", None)
    return json_safe(item()) if callable(item) and getattr(value, "size", None) == 1 else str(value)


def write_atomically(path: Path, text: str) -> None:
    """Write a text file so that a reader sees the whole of it or the one before."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False) as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    umask = os.umask(0)
    os.umask(umask)
    Path(stream.name).chmod(0o666 & ~umask)
    Path(stream.name).replace(path)


def write_run(folder: Path, record: Mapping[str, Any]) -> None:
    """Write `run.json`."""
    write_atomically(folder / RUN_FILE, json.dumps(json_safe(record), indent=2, sort_keys=False) + "\n")


def versions() -> dict[str, str]:
    """The versions that the numbers may depend on."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    if "orpo-compat" not in found:
        import orpo_compat

        found["orpo-compat"] = orpo_compat.__version__
    return found


def latest_checkpoint(folder: Path) -> Path:
    """The newest whole `checkpoint-N` of a run; one that was cut short is passed over with a warning.

    Raises:
        RunError: there is none.
    """
    newest = newest_whole(folder)
    if newest is None:
        raise RunError(
            f"{folder}: no checkpoint to resume from.\n"
            "  Next: leave out --resume to start afresh, or give the checkpoint's folder: --resume-from FOLDER."
        )
    return newest


def _lines_until(path: Path, step: int) -> list[str]:
    if not path.is_file():
        return []
    lines = [line for line in path.read_text("utf-8").splitlines() if line.strip()]
    return [line for line in lines if json.loads(line).get("step", 0) <= step]
