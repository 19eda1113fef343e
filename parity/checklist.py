"""The twelve points a team ticks off before it switches trainers, each measured in both arms where it can be.

A point that this run did not measure says so and why; it is never ticked. Preference points (chosen above rejected, a
growing margin) are properties of the model and the few steps as much as of the trainer: both arms' values are shown.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from parity.series import make_series
from parity.trace import Trace

YES, NO, NONE = "yes", "no", "not measured"


@dataclass(frozen=True, slots=True)
class Point:
    """One point of the checklist."""

    point: str
    theirs: str
    ours: str
    measured: str


def _answer(value: bool) -> str:
    return YES if value else NO


def _both(point: str, held: Sequence[bool], measured: str) -> Point:
    return Point(point, _answer(held[0]), _answer(held[1]), measured)


def _finite(trace: Trace) -> bool:
    values = [value for micro in trace.micros for value in (micro.loss, *micro.metrics.values())]
    return bool(values) and all(math.isfinite(value) for value in values)


def _logs(trace: Trace, name: str) -> bool:
    return any(name in log["logs"] for log in trace.logs)


def _reloads(trace: Trace) -> bool:
    """Whether what was saved and read back equals the weights in memory."""
    saved = trace.end.get("saved_tensors", 0)
    return bool(saved) and bool(trace.end.get("saved_matches"))


def _last(trace: Trace, quantity: str) -> float:
    values = make_series(trace)[quantity]
    return values[-1] if values else math.nan


def make_checklist(
    theirs: Trace, ours: Trace, resources: dict[str, Any], extras: dict[str, Any]
) -> list[dict[str, str]]:
    """Return the twelve points.

    Args:
        resources: Phases of both arms, as the evidence holds them.
        extras: What only a longer run measures: ``wandb``, ``hub``, each ``{"ours": bool, "said": str}``.
    """
    sides = (theirs, ours)
    margins = [make_series(trace)["rewards/margins"] for trace in sides]
    grown = [bool(values) and values[-1] > values[0] for values in margins]
    accuracy = [_last(trace, "rewards/accuracies") for trace in sides]
    steps = f"{len(theirs.steps)} and {len(ours.steps)} steps taken"
    evaluated = [f"{len(trace.evaluation)} values" for trace in sides]
    points = [
        _both("training starts", [bool(trace.steps) for trace in sides], steps),
        _both("loss is finite", [_finite(trace) for trace in sides], "every micro-batch, every metric"),
        _both("NLL is logged", [_logs(trace, "nll_loss") for trace in sides], "nll_loss in the logs"),
        _both("odds loss is logged", [_logs(trace, "log_odds_ratio") for trace in sides], "log_odds_ratio in the logs"),
        _both(
            "chosen above rejected",
            [value >= 0.5 for value in accuracy],
            f"share of pairs at the last step: {accuracy[0]:.2f} and {accuracy[1]:.2f}",
        ),
        _both(
            "margin grows",
            grown,
            f"over these steps: {_change(margins[0])} and {_change(margins[1])}",
        ),
        _both("saves and reloads", [_reloads(trace) for trace in sides], "weights read back equal those in memory"),
        _both("evaluates", [bool(trace.evaluation) for trace in sides], f"{evaluated[0]} and {evaluated[1]}"),
        _extra("logs to W&B offline", extras.get("wandb")),
        _extra("pushes to the hub", extras.get("hub")),
        _memory(resources),
        _speed(resources),
    ]
    return [asdict(point) for point in points]


def _change(values: list[float]) -> str:
    return f"{values[-1] - values[0]:+.1e}" if values else "no step"


def _extra(point: str, found: dict[str, Any] | None) -> Point:
    if found is None:
        return Point(point, NONE, NONE, "--checklist measures it")
    ours = found["ours"]
    return Point(point, NONE, NONE if ours is None else _answer(ours), str(found["said"]))


def _grew(resources: dict[str, Any], arm: str) -> float:
    event = resources[arm].get("train", {})
    peak, before = event.get("rss_peak"), event.get("rss_before")
    return (peak - before) / 2**20 if peak is not None and before is not None else math.nan


def _memory(resources: dict[str, Any]) -> Point:
    grown = {arm: _grew(resources, arm) for arm in ("theirs", "ours")}
    said = f"training added {grown['theirs']:.0f} and {grown['ours']:.0f} MiB"
    return _measured("memory is no higher", "train_grew", said, resources)


def _speed(resources: dict[str, Any]) -> Point:
    seconds = resources["seconds_per_step"]
    ours = next(value for name, value in seconds.items() if name != "theirs")
    said = f"a step took {float(seconds['theirs']):.3f} and {float(ours):.3f} s"
    return _measured("speed is no lower", "seconds_per_step", said, resources)


def _measured(point: str, quantity: str, once: str, resources: dict[str, Any]) -> Point:
    """Answer from repeated measurements; one traced run of each arm answers nothing."""
    found = ((resources.get("measurements") or {}).get("quantities") or {}).get(quantity)
    if found is None:
        return Point(point, "-", NONE, f"{once} in one traced run each; --repeat 3 resolves it")
    ratio, power = float(found["ratio"]), float(found["resolving_power"])
    said = f"ratio {ratio:.2f}, resolving power {power:.0%}"
    return Point(point, "-", _answer(ratio <= 1 or not found["resolved"]), said)
