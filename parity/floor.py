"""How far apart two *right* answers are: the distances between theirs and legitimate perturbations of theirs.

A rerun on a CPU is bit-equal, so a floor from reruns alone would be zero and forbid rounding. What perturbs here
computes the same function: one weight moved by one unit in the last place, another attention kernel, the batch in two
halves, every row alone without its padding, or gradients rounded once more before the optimizer sees them. The floor is
measured and frozen before ours is read.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from parity.compare import Measure
from parity.spec import digest_json

EPSILON = {"float32": 2.0**-23, "bfloat16": 2.0**-7}
LEAST = 8
"""The floor is never below so many units of rounding, whatever was measured."""

NO_ROUNDING = 100
"""A perturbation that moves a loss of step 0 by more than so many least floors is not the same function."""


@dataclass(frozen=True, slots=True)
class Floor:
    """Distances between right answers, per stage and tensor, growing with the steps."""

    dtype: str
    by_name: dict[str, list[float]]
    """``stage|name`` to the largest distance up to and including each step."""
    by_stage: dict[str, list[float]]
    """The upper quartile over a stage's names: a few perturbations are a small sample of what rounding does to one."""
    perturbations: dict[str, str]
    """What was tried and how far the weights moved, or why it could not be tried."""
    rerun_identical: bool

    def at(self, measure: Measure) -> float:
        """Return the distance up to which this measure is rounding."""
        index = max(measure.step, 0)
        own = _upto(self.by_name.get(f"{measure.stage}|{measure.name}", []), index)
        stage = _upto(self.by_stage.get(measure.stage, []), index)
        return max(own, stage, LEAST * EPSILON[self.dtype])

    def as_dict(self) -> dict[str, Any]:
        """Return the floor as plain JSON values."""
        return {
            "dtype": self.dtype,
            "by_name": self.by_name,
            "by_stage": self.by_stage,
            "perturbations": self.perturbations,
            "rerun_identical": self.rerun_identical,
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Floor:
        """Rebuild a floor from ``as_dict``."""
        return cls(**plain)

    @property
    def digest(self) -> str:
        """SHA-256 of the floor, sealed before ours is read."""
        return digest_json(self.as_dict())


def _upto(series: list[float], index: int) -> float:
    return series[min(index, len(series) - 1)] if series else 0.0


def make_floor(
    runs: Mapping[str, Iterable[Measure]], *, dtype: str, num_steps: int, skipped: Mapping[str, str]
) -> Floor:
    """Join the measures of each perturbed run against theirs into a floor.

    Args:
        runs: Perturbation name to the measures of ``compare(theirs, perturbed)``; ``rerun`` among them.
        num_steps: Optimizer steps of the run; evaluation counts as one more.
        skipped: Perturbations that could not be run, and why.
    """
    largest: dict[str, list[float]] = defaultdict(lambda: [0.0] * (num_steps + 1))
    said = dict(skipped)
    rerun_identical = False
    for name, measures in runs.items():
        seen = list(measures)
        if moved := _not_rounding(seen, dtype):
            said[name] = f"left out: for this trainer it is another function ({moved})"
            continue
        finite = [measure for measure in seen if math.isfinite(measure.distance)]
        for measure in finite:
            series = largest[f"{measure.stage}|{measure.name}"]
            index = min(max(measure.step, 0), num_steps)
            series[index] = max(series[index], measure.distance)
        weights = [measure.distance for measure in finite if measure.stage == "weight"]
        said[name] = f"weights moved by up to {max(weights, default=0.0):.1e}"
        if name == "rerun":
            rerun_identical = len(finite) == len(seen) and all(measure.distance == 0 for measure in seen)
    by_name = {key: _running_maximum(series) for key, series in sorted(largest.items())}
    return Floor(dtype, by_name, _by_stage(by_name, num_steps), said, rerun_identical)


def _not_rounding(measures: list[Measure], dtype: str) -> str:
    """Return why a perturbation is no rounding, or an empty text.

    Before any optimizer step the same function gives the same losses but for rounding. TRL 0.8, for one, counts padding
    in its NLL: there, rows without padding are another function, and a floor made of them would excuse anything.
    """
    limit = NO_ROUNDING * LEAST * EPSILON[dtype]
    early = [m for m in measures if m.step == 0 and m.micro >= 0 and m.stage in ("logps", "nll", "loss")]
    worst = max((m for m in early if math.isfinite(m.distance)), key=lambda m: m.distance, default=None)
    return f"{worst.name} moved by {worst.distance:.1e}" if worst is not None and worst.distance > limit else ""


def _running_maximum(series: list[float]) -> list[float]:
    for index in range(1, len(series)):
        series[index] = max(series[index], series[index - 1])
    return series


def _by_stage(by_name: Mapping[str, list[float]], num_steps: int) -> dict[str, list[float]]:
    grouped: dict[str, list[list[float]]] = defaultdict(list)
    for key, series in by_name.items():
        grouped[key.split("|", 1)[0]].append(series)
    return {
        stage: [_upper_quartile([series[index] for series in all_series]) for index in range(num_steps + 1)]
        for stage, all_series in sorted(grouped.items())
    }


def _upper_quartile(values: list[float]) -> float:
    return sorted(values)[(3 * len(values)) // 4] if len(values) > 1 else values[0]
