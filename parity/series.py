"""The curves of a run: one number per step and quantity, as the reports draw them. Measures and judges nothing."""

from __future__ import annotations

from statistics import fmean

from parity.trace import Micro, Trace

QUANTITIES = {
    "loss": "loss",
    "nll_loss": "NLL",
    "log_odds_chosen": "log odds",
    "rewards/chosen": "reward, chosen",
    "rewards/rejected": "reward, rejected",
    "rewards/margins": "margin",
    "rewards/accuracies": "accuracy",
    "grad_norm": "gradient norm",
}
"""Key of a series to its heading, in the order of the report's columns."""

SCALES = ("logps/chosen", "logps/rejected")
"""Further series that no report draws: what the log odds were computed from, and so the size their rounding has."""


def _value(micro: Micro, quantity: str) -> float:
    return micro.loss if quantity == "loss" else micro.metrics.get(quantity, float("nan"))


def make_series(trace: Trace) -> dict[str, list[float]]:
    """Return each quantity's values, one per optimizer step: micro-batches are averaged within their step."""
    series: dict[str, list[float]] = {}
    for quantity in (*QUANTITIES, *SCALES):
        if quantity == "grad_norm":
            series[quantity] = [step.grad_norm_before_clip for step in trace.steps]
            continue
        by_step = [[m for m in trace.micros if m.step == step.step] for step in trace.steps]
        series[quantity] = [
            fmean(_value(m, quantity) for m in micros) if micros else float("nan") for micros in by_step
        ]
    series["seconds"] = [step.seconds for step in trace.steps]
    return series
