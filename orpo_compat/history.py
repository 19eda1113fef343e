"""A run's metrics as time series, read back from its folder or taken from a trainer's state.

Understands our `metrics.jsonl` and `run.json` and any Trainer's `trainer_state.json`, TRL's included. It judges
nothing; `orpo_compat.health` does.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from orpo_compat.errors import RunError

METRICS_FILE = "metrics.jsonl"
RUN_FILE = "run.json"
Point = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Series:
    """One metric over the steps at which it was logged."""

    steps: tuple[int, ...]
    values: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.steps)

    def window(self) -> int:
        """How many points the head and the tail hold: a fifth of all, at least three; never one point in both."""
        return max(1, min(len(self) // 2, max(3, len(self) // 5)))

    @property
    def head(self) -> float:
        """Median of the first fifth."""
        return median(self.values[: self.window()])

    @property
    def tail(self) -> float:
        """Median of the last fifth."""
        return median(self.values[-self.window() :])

    def extreme(self, pick: Callable[[Iterable[tuple[float, int]]], tuple[float, int]]) -> tuple[float, int]:
        """The highest (``max``) or lowest (``min``) of the first point and all medians of three neighbours.

        The first point stands alone because a run at a wild learning rate has lost what it had by the second.
        """
        medians = ((median(self.values[i : i + 3]), self.steps[i]) for i in range(max(1, len(self) - 2)))
        return pick([(self.values[0], self.steps[0]), *medians])

    @property
    def noise(self) -> float:
        """Spread of one point around its neighbours: RMS of the differences over the square root of two."""
        if len(self) < 2:
            return 0.0
        gaps = [after - before for before, after in zip(self.values, self.values[1:], strict=False)]
        return math.sqrt(sum(gap * gap for gap in gaps) / len(gaps) / 2)


@dataclass(frozen=True, slots=True)
class History:
    """Everything a finished or running training said about itself."""

    train: tuple[Point, ...]
    """Logged training points, each with ``step`` and ``epoch``."""
    evals: tuple[Point, ...] = ()
    """Evaluations, metric names without their ``eval_`` prefix."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What is known of the configuration: ``beta``, ``learning_rate``, ``lora``, ``fp16`` and so on."""
    incidents: tuple[Mapping[str, Any], ...] = ()
    """Records of what ended or disturbed the run, each with ``step`` and ``incident``, a sentence."""

    def series(self, name: str, phase: str = "train") -> Series:
        """The finite values of a metric, in the order of their steps; phase is ``train`` or ``eval``."""
        points = self.train if phase == "train" else self.evals
        kept = [(int(point["step"]), point[name]) for point in points if math.isfinite(point.get(name, math.nan))]
        return Series(tuple(step for step, _ in kept), tuple(value for _, value in kept))

    @property
    def names(self) -> list[str]:
        """Every metric that was logged, training or evaluation, sorted."""
        return sorted({name for point in (*self.train, *self.evals) for name in point} - {"step", "epoch"})

    @property
    def last_step(self) -> int:
        """The last step that logged anything."""
        return max((int(point["step"]) for point in (*self.train, *self.evals)), default=0)

    @property
    def epochs(self) -> float:
        """How many passes over the data the training points cover."""
        return max((point.get("epoch", 0.0) for point in self.train), default=0.0)


def from_log(entries: Iterable[Mapping[str, Any]], settings: Mapping[str, Any] | None = None) -> History:
    """Sort a Trainer's ``log_history`` into training points, evaluations and incidents."""
    train: list[Point] = []
    evals: list[Point] = []
    incidents: list[Mapping[str, Any]] = []
    for entry in entries:
        if "incident" in entry:
            incidents.append(entry)
            continue
        numbers = {name: number for name, value in entry.items() if (number := _number(value)) is not None}
        if "step" not in numbers or "train_runtime" in numbers:
            continue
        if any(name.startswith("eval_") for name in numbers):
            evals.append({name.removeprefix("eval_"): value for name, value in numbers.items()})
        else:
            train.append(numbers)
    return History(tuple(train), tuple(evals), dict(settings or {}), tuple(incidents))


def read_history(path: Path) -> History:
    """Read a run's history from its folder, or from a `metrics.jsonl` or `trainer_state.json` itself.

    Raises:
        RunError: there is nothing to read, or it is not a training history.
    """
    if path.is_file():
        return from_log(_entries(path), _settings(path.parent))
    candidates = [path / METRICS_FILE, path / "trainer_state.json", *_newest_checkpoint_first(path)]
    found = next((file for file in candidates if file.is_file()), None)
    if found is None:
        raise RunError(
            f"{path}: no training history here ({METRICS_FILE} or trainer_state.json).\n"
            "  Next: give the folder that `orpo-compat train --output` or a Trainer's output_dir wrote."
        )
    return from_log(_entries(found), _settings(path))


def _newest_checkpoint_first(path: Path) -> Sequence[Path]:
    states = path.glob("checkpoint-*/trainer_state.json")
    return sorted(states, key=lambda file: int(file.parent.name.rpartition("-")[2] or 0), reverse=True)


def _entries(file: Path) -> list[Mapping[str, Any]]:
    try:
        if file.suffix == ".jsonl":
            return [json.loads(line) for line in file.read_text("utf-8").splitlines() if line.strip()]
        entries: list[Mapping[str, Any]] = json.loads(file.read_text("utf-8"))["log_history"]
        return entries
    except (json.JSONDecodeError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise RunError(
            f"{file}: not a training history ({type(error).__name__}: {error}).\n"
            "  Next: give the run's folder; a run that was killed while writing keeps its last checkpoint's history."
        ) from error


def _settings(folder: Path) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    run = folder / RUN_FILE
    if run.is_file():
        settings |= json.loads(run.read_text("utf-8")).get("settings", {})
    if (folder / "adapter_config.json").is_file():
        settings.setdefault("lora", True)
    return settings


def _number(value: object) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, str) and value.lower() in ("nan", "inf", "-inf", "infinity", "-infinity"):
        return float(value)
    return None
