"""What each trouble looks like in a history: pure predicates that return their evidence, or None.

A check speaks only of what it can show: steps and values. Causes and remedies are written down once, in
`orpo_compat.health`. Thresholds carry the reason they were chosen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from statistics import median
from typing import Any

from orpo_compat.history import History, Series

Evidence = tuple[str, ...]

ENOUGH_POINTS = 8
"""Fewer logged points than this and trends are not judged."""


def not_finite(history: History) -> Evidence | None:
    """Some metric is NaN or infinite. A lone infinite gradient under fp16 is the loss scaler at work, not trouble."""
    said = tuple(str(incident["incident"]) for incident in history.incidents[:3])
    for index, point in enumerate(history.train):
        bad = [name for name, value in point.items() if not math.isfinite(value)]
        if bad == ["grad_norm"] and history.settings.get("fp16"):
            continue
        if bad:
            values = ", ".join(
                f"{name} {point[name]:g}"
                for name in sorted(bad, key=("nll_loss", "loss").__contains__, reverse=True)[:4]
            )
            before = _before(history.train[index - 1]) if index else "it is the first point logged"
            return (f"step {point['step']:.0f}: {values}; {before}", *said)
    return said or None


def _before(point: Mapping[str, float]) -> str:
    values = ", ".join(f"{name} {point[name]:.3g}" for name in ("loss", "grad_norm", "learning_rate") if name in point)
    return f"the point before (step {point['step']:.0f}) had {values}"


def collapse(history: History) -> Evidence | None:
    """Both responses become improbable together: each mean log-probability falls a nat and a third below its best."""
    chosen, rejected = history.series("logps/chosen"), history.series("logps/rejected")
    if min(len(chosen), len(rejected)) < ENOUGH_POINTS or not (_sank(chosen) and _sank(rejected)):
        return None
    told = [_from_best("logps/chosen", chosen, max), _from_best("logps/rejected", rejected, max)]
    nll = history.series("nll_loss")
    return (*told, _from_best("nll_loss", nll, min)) if len(nll) else tuple(told)


def _sank(series: Series) -> bool:
    best, _ = series.extreme(max)
    return best - series.tail > max(1.0, abs(best) / 3, 2 * series.noise)


def no_preference(history: History) -> Evidence | None:
    """After an epoch or a hundred steps the accuracy is still a coin's, and the log-odds have not risen."""
    accuracy, odds = history.series("rewards/accuracies"), history.series("log_odds_chosen")
    if min(len(accuracy), len(odds)) < ENOUGH_POINTS or (history.epochs < 1 and history.last_step < 100):
        return None
    late = accuracy.values[-max(ENOUGH_POINTS, len(accuracy) // 3) :]
    share = sum(late) / len(late)
    # A coin thrown len(late) times or more strays this far once in twenty runs.
    if share > 0.5 + 1 / math.sqrt(len(late)) * 0.5 or odds.tail - odds.head > max(0.05, odds.noise):
        return None
    return (
        f"rewards/accuracies averages {share:.2f} over the last {len(late)} points (steps "
        f"{accuracy.steps[-len(late)]} to {accuracy.steps[-1]}); 0.50 is chance",
        _moved("log_odds_chosen", odds),
    )


def bad_nll(history: History) -> Evidence | None:
    """The preference is learned while the chosen text becomes less likely: NLL a tenth above its lowest."""
    accuracy, nll = history.series("rewards/accuracies"), history.series("nll_loss")
    if min(len(accuracy), len(nll)) < ENOUGH_POINTS or accuracy.tail < 0.75:
        return None
    lowest, _ = nll.extreme(min)
    if nll.tail - lowest <= max(0.1 * lowest, 2 * nll.noise) or nll.tail < 0.9 * nll.values[0] or collapse(history):
        return None
    return (_from_best("nll_loss", nll, min), f"rewards/accuracies ends at {accuracy.tail:.2f}")


def learning_rate_too_low(history: History) -> Evidence | None:
    """Nothing moves by more than its noise, and the learning rate is under what this kind of training needs."""
    rate, nll, odds = (history.series(name) for name in ("learning_rate", "nll_loss", "log_odds_chosen"))
    if min(len(nll), len(odds)) < ENOUGH_POINTS:
        return None
    peak = max(rate.values, default=float(history.settings.get("learning_rate") or math.inf))
    lora = bool(history.settings.get("lora"))
    # The paper's authors used 5e-6 to 2e-5 for full weights; adapters need about ten times that.
    if peak >= (1e-5 if lora else 2e-6) or not (_still(nll) and _still(odds)):
        return None
    kind = "LoRA adapters" if lora else "all weights"
    return (
        f"learning_rate peaks at {peak:.1e}, training {kind}",
        _moved("nll_loss", nll),
        _moved("log_odds_chosen", odds),
    )


def saturated(history: History) -> Evidence | None:
    """The odds term has nothing left to teach: its loss stays under 0.02 for the last quarter of the run."""
    ratio = history.series("log_odds_ratio")
    if len(ratio) < ENOUGH_POINTS:
        return None
    # log_odds_ratio is log sigmoid(log odds). Above -0.02 its gradient, sigmoid(-log odds), is under 0.02 (0.5 at 1:1).
    start = len(ratio)
    while start and ratio.values[start - 1] > -0.02:
        start -= 1
    if len(ratio) - start < max(3, len(ratio) // 4):
        return None
    odds = history.series("log_odds_chosen")
    told = [
        f"log_odds_ratio stays above -0.02 from step {ratio.steps[start]} to {ratio.steps[-1]} "
        f"(mean log-odds {odds.tail:.1f} at the end)"
    ]
    held_out = history.series("rewards/accuracies", "eval")
    if len(held_out):
        told.append(f"accuracy on held-out pairs: {held_out.values[-1]:.2f}")
    return tuple(told)


def accumulation_mismatch(history: History) -> Evidence | None:
    """The logged loss is a multiple of what its own terms add up to, nll_loss - beta * log_odds_ratio."""
    ratios = []
    for point in history.train:
        beta = _beta(history.settings, point)
        if beta is None or not {"loss", "nll_loss", "log_odds_ratio"} <= point.keys():
            continue
        expected = point["nll_loss"] - beta * point["log_odds_ratio"]
        if math.isfinite(expected) and math.isfinite(point["loss"]) and expected > 1e-3:
            ratios.append((int(point["step"]), point["loss"], expected))
    if len(ratios) < 3:
        return None
    factor = median(loss / expected for _, loss, expected in ratios)
    accumulation = history.settings.get("gradient_accumulation_steps")
    wanted = float(accumulation) if accumulation else float(round(factor))
    if wanted < 2 or abs(factor - wanted) > 0.15 * wanted:
        return None
    step, loss, expected = min(ratios, key=lambda point: abs(point[1] / point[2] - factor))
    return (
        f"loss is {factor:.2f} times nll_loss - beta * log_odds_ratio over {len(ratios)} points "
        f"(step {step}: {loss:.3f} against {expected:.3f})",
        f"gradient_accumulation_steps is {accumulation or 'not recorded'}",
    )


def overfitting(history: History) -> Evidence | None:
    """The loss on held-out pairs has turned and risen by a twentieth while the training loss goes on falling."""
    held_out, train = history.series("loss", "eval"), history.series("loss")
    if len(held_out) < 4 or len(train) < ENOUGH_POINTS:
        return None
    best = min(range(len(held_out)), key=lambda index: held_out.values[index])
    since = len(held_out) - 1 - best
    if since < 2 or held_out.values[-1] < 1.05 * held_out.values[best]:
        return None
    at_best = [value for step, value in zip(train.steps, train.values, strict=True) if step <= held_out.steps[best]]
    if not at_best or train.tail >= median(at_best[-3:]):
        return None
    return (
        f"held-out loss: lowest {held_out.values[best]:.3f} at step {held_out.steps[best]}, "
        f"{held_out.values[-1]:.3f} at step {held_out.steps[-1]}",
        _moved("training loss", train),
    )


def _beta(settings: Mapping[str, Any], point: Mapping[str, float]) -> float | None:
    if settings.get("beta") is not None:
        return float(settings["beta"])
    reward, logp = point.get("rewards/chosen"), point.get("logps/chosen")  # reward = beta * logp, by definition
    return reward / logp if reward is not None and logp else None


def _still(series: Series) -> bool:
    return abs(series.tail - series.head) <= max(0.01 * abs(series.head), series.noise)


def _from_best(name: str, series: Series, pick: Callable[[Iterable[tuple[float, int]]], tuple[float, int]]) -> str:
    best, step = series.extreme(pick)
    ending = f"ends at {series.tail:.3g} (step {series.steps[-1]})"
    return f"{name} was {best:.3g} at its best (around step {step}) and {ending}"


def _moved(name: str, series: Series) -> str:
    first, last = series.steps[0], series.steps[-1]
    return f"{name} went from {series.head:.3g} (around step {first}) to {series.tail:.3g} (step {last})"
