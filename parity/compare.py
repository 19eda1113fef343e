"""Measures how far two traces are apart: by stage, by step, by tensor, by name. Judges nothing.

Everything is paired by name, never by position, and a name, step or pair that only one side has is a measure of its
own. A value that is not a number is found before any distance is taken. Vectors are measured by their largest
deviation and tensors by the relative Frobenius norm; means are never compared in place of what they average.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from parity.trace import EvalBatch, Micro, Step, Trace

STAGES = (
    "tokens",
    "batch",
    "logps",
    "nll",
    "log_odds",
    "rewards",
    "odds_loss",
    "loss",
    "logits",
    "gradient",
    "gradient_norm",
    "clipping",
    "learning_rate",
    "optimizer",
    "optimizer_state",
    "weight",
    "logged",
    "evaluation",
    "evaluation_mean",
    "saved",
)
"""In the order in which a training step computes them; the earliest that differs is where the cause is."""

EXACT = frozenset({"tokens", "batch", "learning_rate", "optimizer"})
"""Stages without arithmetic noise: any difference counts."""

# The share of a kind's overall norm below which a tensor's own norm is no scale to measure by. The rounding of a small
# gradient is that of the larger ones it was computed with: relative to itself it may be three floors of nothing.
_LEAST_SCALE = {"gradient": 0.3, "optimizer_state": 0.3, "weight": 1e-6}

_STAGE_OF_METRIC = {"nll_loss": "nll", "log_odds_ratio": "log_odds", "log_odds_chosen": "log_odds"}
_REWARDS = ("rewards/chosen", "rewards/rejected")
_CLOCKS = ("runtime", "per_second", "epoch", "total_flos", "mem_")


@dataclass(frozen=True, slots=True)
class Measure:
    """One quantity in both traces and the relative distance between its two values."""

    step: int
    micro: int
    """The micro-batch of the whole run, or -1 for what belongs to the step."""
    stage: str
    name: str
    distance: float
    """0 is bit-equal; infinite where the two cannot be measured against each other."""
    theirs: float | None = None
    ours: float | None = None
    problem: str = ""
    """Set where the distance is no number: ``missing``, ``shape``, ``nonfinite``, ``unequal``."""

    @property
    def order(self) -> tuple[int, int, int, int, str]:
        """Sorts measures as training computes them."""
        late = 1 if self.micro < 0 else 0
        return (self.step, late, self.micro, STAGES.index(self.stage), self.name)


def _apart(step: int, micro: int, stage: str, name: str, theirs: float, ours: float, scale: float = 0.0) -> Measure:
    """Measure two scalars, relative to theirs or to a larger scale that the value was computed from."""
    if not (math.isfinite(theirs) and math.isfinite(ours)):
        return Measure(step, micro, stage, name, math.inf, theirs, ours, "nonfinite")
    base = max(abs(theirs), scale)
    difference = abs(theirs - ours)
    distance = 0.0 if difference == 0 else (difference / base if base > 0 else math.inf)
    return Measure(step, micro, stage, name, distance, theirs, ours)


def _vector(
    step: int, micro: int, stage: str, name: str, theirs: Sequence[float], ours: Sequence[float], least: float = 0.0
) -> Measure:
    """Measure two vectors by their largest deviation, relative to theirs' largest entry or to a larger scale."""
    if len(theirs) != len(ours):
        return Measure(step, micro, stage, name, math.inf, len(theirs), len(ours), "shape")
    if not all(math.isfinite(value) for value in (*theirs, *ours)):
        bad = [next((v for v in side if not math.isfinite(v)), side[0]) for side in (theirs, ours)]
        return Measure(step, micro, stage, name, math.inf, bad[0], bad[1], "nonfinite")
    if not theirs:
        return Measure(step, micro, stage, name, 0.0)
    pairs = list(zip(theirs, ours, strict=True))
    worst = max(range(len(pairs)), key=lambda index: abs(pairs[index][0] - pairs[index][1]))
    scale = max(least, *(abs(value) for value in theirs))
    return _apart(step, micro, stage, name, *pairs[worst], scale=scale)


def _odds_losses(
    step: int, micro: int, stage: str, name: str, theirs: Micro | EvalBatch, ours: Micro | EvalBatch
) -> Iterator[Measure]:
    """Measure what the odds term makes of each pair, on the scale of the rewards: of those it is a difference.

    The batch's loss hides it: next to the NLL a pair's odds loss is small, and its rounding smaller than the loss's.
    """
    if theirs.odds_losses or ours.odds_losses:
        rewards = [abs(value) for key, value in theirs.metrics.items() if key.endswith(_REWARDS)]
        least = max((value for value in rewards if math.isfinite(value)), default=0.0)
        yield _vector(step, micro, stage, name, theirs.odds_losses, ours.odds_losses, least)


def _missing(step: int, micro: int, stage: str, theirs: set[str], ours: set[str]) -> Iterator[Measure]:
    for name in sorted(theirs ^ ours):
        only = "theirs" if name in theirs else "ours"
        yield Measure(step, micro, stage, f"{name} (only {only})", math.inf, problem="missing")


def _stage_of(metric: str) -> str:
    plain = metric.removeprefix("eval_")
    if plain.startswith("rewards/"):
        return "rewards"
    if plain.startswith("logps/"):
        return "logps"
    if plain.startswith("logits/"):
        return "logits"
    return _STAGE_OF_METRIC.get(plain, "loss")


def scale_of(metric: str, values: Mapping[str, float]) -> float:
    """Return the size of what a metric was computed from, where that is larger than the metric itself.

    A margin is the difference of two rewards, and the log odds that of two log-probabilities: their rounding is that
    of the larger numbers. Accuracies are counts.
    """
    prefix = "eval_" if metric.startswith("eval_") else ""
    plain = metric.removeprefix("eval_")
    if plain == "rewards/accuracies":
        return 1.0
    sources = {
        "rewards/margins": _REWARDS,
        "log_odds_chosen": ("logps/chosen", "logps/rejected"),
        "log_odds_ratio": ("logps/chosen", "logps/rejected"),
        "logits/chosen": ("logps/chosen",),
        "logits/rejected": ("logps/rejected",),
    }.get(plain, ())
    found = [abs(values[prefix + name]) for name in sources if prefix + name in values]
    return max((value for value in found if math.isfinite(value)), default=0.0)


def counts_its_pairs(batch: Micro | EvalBatch) -> bool:
    """Whether a batch's accuracy is what its own log-probabilities say: the share of pairs with chosen above rejected.

    A pair that is nearly tied may fall to either side by rounding. If both sides count right, then a difference in the
    count says nothing that the log-probabilities, which are judged themselves, do not say better.
    """
    found = [value for name, value in batch.metrics.items() if name.removeprefix("eval_") == "rewards/accuracies"]
    if not found or not batch.chosen_logps or len(batch.chosen_logps) != len(batch.rejected_logps):
        return False
    above = [c > r for c, r in zip(batch.chosen_logps, batch.rejected_logps, strict=True)]
    return abs(found[0] - sum(above) / len(above)) < 1e-6


def compare_metrics(
    step: int,
    micro: int,
    theirs: Mapping[str, float],
    ours: Mapping[str, float],
    stage: str | None = None,
    *,
    counted: bool = False,
    label: str = "",
) -> Iterator[Measure]:
    """Measure two sets of metrics by name; ``stage`` overrides the stage each name belongs to.

    What ours logs beyond theirs is no difference; what ours lacks is. ``counted`` says that both sides' accuracies
    follow from their own log-probabilities (see ``counts_its_pairs``).
    """
    kept = {name: value for name, value in theirs.items() if not any(clock in name for clock in _CLOCKS)}
    yield from _missing(step, micro, stage or "loss", set(kept), set(kept) & set(ours))
    for name in sorted(set(kept) & set(ours)):
        where = stage if stage is not None and _stage_of(name) != "logits" else _stage_of(name)
        if counted and name.endswith("rewards/accuracies"):
            yield Measure(step, micro, where, label + name, 0.0, kept[name], ours[name])
            continue
        yield _apart(step, micro, where, label + name, kept[name], ours[name], scale_of(name, kept))


def compare_micro(theirs: Micro, ours: Micro) -> Iterator[Measure]:
    """Measure one micro-batch: its rows, log-probabilities, terms and loss."""
    step, micro = theirs.step, theirs.micro
    same = theirs.pairs == ours.pairs
    yield Measure(step, micro, "batch", "pairs", 0.0 if same else math.inf, problem="" if same else "unequal")
    for side in ("chosen", "rejected"):
        values = [getattr(trace, f"{side}_logps") for trace in (theirs, ours)]
        yield _vector(step, micro, "logps", side, *values)
    counted = counts_its_pairs(theirs) and counts_its_pairs(ours)
    yield from _odds_losses(step, micro, "odds_loss", "per pair", theirs, ours)
    yield from compare_metrics(step, micro, theirs.metrics, ours.metrics, counted=counted)
    yield _apart(step, micro, "loss", "loss", theirs.loss, ours.loss)


def compare_groups(step: int, theirs: list[dict[str, Any]], ours: list[dict[str, Any]]) -> Iterator[Measure]:
    """Measure the optimizer's parameter groups, paired by which parameters they hold."""
    by_members = [{group["members"]: group for group in groups} for groups in (theirs, ours)]
    yield from _missing(step, -1, "optimizer", *[set(groups) for groups in by_members])
    for members in sorted(set(by_members[0]) & set(by_members[1])):
        mine, yours = by_members[0][members], by_members[1][members]
        for key in ("lr", "betas", "eps", "weight_decay"):
            stage = "learning_rate" if key == "lr" else "optimizer"
            left, right = mine.get(key), yours.get(key)
            name = f"{key} of {mine['num_params']} parameters"
            if isinstance(left, (int, float)) and isinstance(right, (int, float)):
                measure = _apart(step, -1, stage, name, float(left), float(right))
                # One schedule computed in another order of operations may differ in the last place of a double.
                yield measure if measure.distance > 1e-12 else Measure(step, -1, stage, name, 0.0, left, right)
            else:
                yield Measure(
                    step,
                    -1,
                    stage,
                    name,
                    0.0 if left == right else math.inf,
                    problem="" if left == right else "unequal",
                )


def compare_tensors(step: int, theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> Iterator[Measure]:
    """Measure two sets of tensors by name, each by the relative Frobenius norm of its difference."""
    stages = {"grad": "gradient", "weight": "weight"}
    for kind in sorted({name.split("/", 1)[0] for name in (*theirs, *ours)}):
        stage = stages.get(kind, "optimizer_state")
        mine = {name: tensor for name, tensor in theirs.items() if name.split("/", 1)[0] == kind}
        yours = {name: tensor for name, tensor in ours.items() if name.split("/", 1)[0] == kind}
        yield from _missing(step, -1, stage, set(mine), set(yours))
        norms = {name: float(tensor.double().norm()) for name, tensor in mine.items()}
        overall = math.sqrt(sum(norm * norm for norm in norms.values() if math.isfinite(norm)))
        for name in sorted(set(mine) & set(yours)):
            yield _tensor(step, stage, name, mine[name], yours[name], norms[name], overall * _LEAST_SCALE[stage])


def _tensor(step: int, stage: str, name: str, theirs: Any, ours: Any, norm: float, least: float) -> Measure:
    if theirs.shape != ours.shape:
        return Measure(step, -1, stage, name, math.inf, theirs.numel(), ours.numel(), "shape")
    other = float(ours.double().norm())
    if not (math.isfinite(norm) and math.isfinite(other)):
        return Measure(step, -1, stage, name, math.inf, norm, other, "nonfinite")
    difference = float((theirs.double() - ours.double()).norm())
    base = max(norm, least)
    distance = 0.0 if difference == 0 else (difference / base if base > 0 else math.inf)
    return Measure(step, -1, stage, name, distance, norm, other)


def compare_step(theirs: Step, ours: Step) -> Iterator[Measure]:
    """Measure one optimizer step: gradients, norms, learning rate, optimizer, weights."""
    step = theirs.step
    for stage, name in (("gradient_norm", "grad_norm_before_clip"), ("clipping", "grad_norm_after_clip")):
        yield _apart(step, -1, stage, name, getattr(theirs, name), getattr(ours, name))
    yield from _missing(step, -1, "gradient", set(theirs.no_gradient), set(ours.no_gradient))
    yield from compare_groups(step, theirs.groups, ours.groups)
    yield from compare_tensors(step, theirs.tensors(), ours.tensors())
    for kind, norms in theirs.norms.items():
        stage = {"grad": "gradient", "weight": "weight"}.get(kind, "optimizer_state")
        mine, yours = norms, ours.norms.get(kind, {})
        overall = math.sqrt(sum(norm * norm for norm in mine.values() if math.isfinite(norm))) * _LEAST_SCALE[stage]
        for name in sorted(set(mine) & set(yours)):
            yield _apart(step, -1, stage, f"norm of {kind}/{name}", mine[name], yours[name], overall)


def _by_key(theirs: Sequence[Any], ours: Sequence[Any], key: str, stage: str) -> Iterator[tuple[Any, Any] | Measure]:
    sides = [{getattr(item, key): item for item in items} for items in (theirs, ours)]
    for number in sorted(set(sides[0]) ^ set(sides[1])):
        only = "theirs" if number in sides[0] else "ours"
        step = sides[0 if number in sides[0] else 1][number].step
        yield Measure(step, -1, stage, f"{key} {number} (only {only})", math.inf, problem="missing")
    for number in sorted(set(sides[0]) & set(sides[1])):
        yield sides[0][number], sides[1][number]


def compare(theirs: Trace, ours: Trace) -> list[Measure]:
    """Measure everything two traces hold, in training order."""
    measures = list(_compare_tokens(theirs, ours))
    for item in _by_key(theirs.micros, ours.micros, "micro", "batch"):
        measures += [item] if isinstance(item, Measure) else compare_micro(*item)
    for item in _by_key(theirs.steps, ours.steps, "step", "weight"):
        measures += [item] if isinstance(item, Measure) else compare_step(*item)
    measures += _compare_logs(theirs, ours)
    last = len(theirs.steps)
    measures += _compare_evaluation(last, theirs, ours)
    measures += _compare_saved(last, theirs, ours)
    return sorted(measures, key=lambda measure: measure.order)


def _compare_tokens(theirs: Trace, ours: Trace) -> Iterator[Measure]:
    rows = [trace.start["tokens"]["train"] for trace in (theirs, ours)]
    if len(rows[0]) != len(rows[1]):
        yield Measure(-1, -1, "tokens", "number of rows", math.inf, len(rows[0]), len(rows[1]), "unequal")
    trainable = [set(trace.start["trainable"]) for trace in (theirs, ours)]
    yield from _missing(-1, -1, "tokens", *trainable)


def _compare_logs(theirs: Trace, ours: Trace) -> Iterator[Measure]:
    sides = []
    for trace in (theirs, ours):
        sides.append({log["step"]: log["logs"] for log in trace.logs if "loss" in log["logs"]})
    for step in sorted(set(sides[0]) ^ set(sides[1])):
        yield Measure(step - 1, -1, "logged", f"log of step {step}", math.inf, problem="missing")
    for step in sorted(set(sides[0]) & set(sides[1])):
        mine = {name: value for name, value in sides[0][step].items() if name not in ("learning_rate", "loss")}
        counted = all(_mean_of_micros(trace, step - 1) for trace in (theirs, ours))
        yield from compare_metrics(step - 1, -1, mine, sides[1][step], "logged", counted=counted)
        # Releases before 5 round the logged loss to four decimals: half a unit on either side.
        rounded = _apart(step - 1, -1, "logged", "loss", sides[0][step]["loss"], sides[1][step]["loss"])
        near = rounded.problem == "" and abs((rounded.theirs or 0) - (rounded.ours or 0)) <= 1.01e-4
        yield Measure(step - 1, -1, "logged", "loss", 0.0, rounded.theirs, rounded.ours) if near else rounded


def _mean_of_micros(trace: Trace, step: int) -> bool:
    """Whether a step's logged accuracy is the mean of its micro-batches', each of which counts its own pairs."""
    micros = [micro for micro in trace.micros if micro.step == step]
    logs = (log["logs"] for log in trace.logs if log["step"] == step + 1 and "loss" in log["logs"])
    logged: dict[str, float] = next(logs, {})
    if not micros or "rewards/accuracies" not in logged or not all(counts_its_pairs(micro) for micro in micros):
        return False
    mean = sum(micro.metrics["rewards/accuracies"] for micro in micros) / len(micros)
    return bool(abs(mean - logged["rewards/accuracies"]) < 1e-6)


def _compare_evaluation(last: int, theirs: Trace, ours: Trace) -> Iterator[Measure]:
    """Measure each batch of the evaluation, and apart from them the means over its batches."""
    counts = [len(trace.eval_batches) for trace in (theirs, ours)]
    if counts[0] != counts[1]:
        yield Measure(last, -1, "evaluation", "number of batches", math.inf, counts[0], counts[1], "unequal")
        return
    counted = True
    for index, (mine, yours) in enumerate(zip(theirs.eval_batches, ours.eval_batches, strict=True)):
        for side in ("chosen", "rejected"):
            values = [getattr(batch, f"{side}_logps") for batch in (mine, yours)]
            yield _vector(last, -1, "evaluation", f"batch {index}: {side} logps", *values)
        yield from _odds_losses(last, -1, "evaluation", f"batch {index}: odds losses", mine, yours)
        both = counts_its_pairs(mine) and counts_its_pairs(yours)
        counted = counted and both
        label = f"batch {index}: "
        yield from compare_metrics(last, -1, mine.metrics, yours.metrics, "evaluation", counted=both, label=label)
    yield from compare_metrics(last, -1, theirs.evaluation, ours.evaluation, "evaluation_mean", counted=counted)


def _compare_saved(last: int, theirs: Trace, ours: Trace) -> Iterator[Measure]:
    counts = [trace.end.get("saved_tensors") for trace in (theirs, ours)]
    # A perturbed run of the floor saves nothing, which is no finding.
    if None not in counts and counts[0] != counts[1]:
        yield Measure(last, -1, "saved", "number of saved tensors", math.inf, counts[0], counts[1], "unequal")
    agree = [trace.end.get("processes_agree", True) for trace in (theirs, ours)]
    if agree[0] != agree[1]:
        yield Measure(last, -1, "weight", "weights equal in every process", math.inf, problem="unequal")
    matches = [trace.end.get("saved_matches", True) for trace in (theirs, ours)]
    if matches[0] != matches[1]:
        yield Measure(last, -1, "saved", "saved weights equal those in memory", math.inf, problem="unequal")
