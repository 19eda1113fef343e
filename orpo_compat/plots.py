"""Training curves: one picture per metric family and one overview, training beside evaluation.

Draws a `History` with matplotlib's Agg canvas (no display, no global state). Colours are safe for colour-blind
readers; evaluation is always the dotted line with markers.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from orpo_compat.history import History, Series

TRAIN, CHOSEN, REJECTED, EVAL = "#0072B2", "#009E73", "#D55E00", "#CC79A7"


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture: which metrics share it, and what a good curve looks like."""

    stem: str
    title: str
    metrics: tuple[str, ...]
    reading: str
    log_scale: bool = False


PANELS = (
    Panel("loss", "Loss", ("loss",), "NLL plus beta times the odds loss; falls."),
    Panel("nll", "NLL", ("nll_loss",), "Negative log-likelihood of the chosen text; falls."),
    Panel("log_odds", "Log-odds of chosen over rejected", ("log_odds_chosen",), "Above 0 chosen wins; rises."),
    Panel("odds_term", "Log sigmoid of the log-odds", ("log_odds_ratio",), "0 means nothing left to learn from pairs."),
    Panel("rewards", "Rewards (beta x mean log-probability)", ("rewards/chosen", "rewards/rejected"), "Should part."),
    Panel("margins", "Reward margin", ("rewards/margins",), "Chosen minus rejected; rises."),
    Panel(
        "accuracies",
        "Preference accuracy",
        ("rewards/accuracies",),
        "Pairs ranked as labelled; 0.5 is chance.",
    ),
    Panel("logps", "Mean log-probability per token", ("logps/chosen", "logps/rejected"), "Both falling is a collapse."),
    Panel("learning_rate", "Learning rate", ("learning_rate",), "The schedule."),
    Panel("grad_norm", "Gradient norm", ("grad_norm",), "Before clipping.", log_scale=True),
)
"""In the order in which a run is read."""


def drawable(history: History) -> list[Panel]:
    """The panels this history has data for."""
    return [
        panel
        for panel in PANELS
        if any(len(history.series(name, phase)) for name in panel.metrics for phase in ("train", "eval"))
    ]


def save_plots(history: History, folder: Path) -> list[Path]:
    """Write one PNG per panel and `overview.png`; returns the paths written, the overview first."""
    panels = drawable(history)
    if not panels:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    overview = folder / "overview.png"
    _figure(history, panels).savefig(overview, dpi=110)
    paths = [overview]
    for panel in panels:
        path = folder / f"{panel.stem}.png"
        _figure(history, [panel]).savefig(path, dpi=130)
        paths.append(path)
    return paths


def as_svg(history: History, panel: Panel) -> str:
    """One panel as SVG text, for embedding in a page."""
    buffer = io.StringIO()
    _figure(history, [panel]).savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _figure(history: History, panels: Sequence[Panel]) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = 1 if len(panels) == 1 else 2
    rows = -(-len(panels) // columns)
    width, height = 6.4 * columns, 3.6 * rows
    figure = Figure(figsize=(width, height))
    # Fixed margins in inches: matplotlib's automatic layouts take as long again as the drawing.
    figure.subplots_adjust(
        left=0.75 / width, right=1 - 0.2 / width, bottom=0.5 / height, top=1 - 0.75 / height, wspace=0.17, hspace=0.56
    )
    FigureCanvasAgg(figure)
    for index, panel in enumerate(panels, start=1):
        _draw(figure.add_subplot(rows, columns, index), history, panel)
    return figure


def _draw(axes: Any, history: History, panel: Panel) -> None:
    paired = len(panel.metrics) > 1
    for name in panel.metrics:
        side = name.rpartition("/")[2]
        colour = {"chosen": CHOSEN, "rejected": REJECTED}.get(side, TRAIN) if paired else TRAIN
        _curve(axes, history.series(name), colour, f"{side}, train" if paired else "train", dotted=False)
        held_out = history.series(name, "eval")
        _curve(axes, held_out, colour if paired else EVAL, f"{side}, eval" if paired else "eval", dotted=True)
    if panel.stem in ("log_odds", "margins"):
        axes.axhline(0.0, color="#888888", linewidth=0.8)
    if panel.stem == "accuracies":
        axes.axhline(0.5, color="#888888", linewidth=0.8)
        axes.set_ylim(-0.03, 1.03)
    _scale(axes, history, panel)
    axes.set_title(panel.title, fontsize=11, loc="left")
    axes.set_xlabel("step", fontsize=9)
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    if axes.get_legend_handles_labels()[1]:
        axes.legend(fontsize=8, frameon=False)
    _epoch_axis(axes, history)


def _scale(axes: Any, history: History, panel: Panel) -> None:
    """A logarithmic axis where the values span a decade; ticks are whole numbers, without a factor in a corner."""
    from matplotlib.ticker import FuncFormatter, NullFormatter, ScalarFormatter

    values = [value for name in panel.metrics for value in history.series(name).values]
    if panel.log_scale and values and 0 < 10 * min(values) < max(values):
        axes.set_yscale("log")
        axes.yaxis.set_minor_formatter(NullFormatter())
    largest = max((abs(value) for value in axes.get_ylim()), default=0.0)
    plain = 1e-3 <= largest < 1e5 and axes.get_yscale() == "linear"
    axes.yaxis.set_major_formatter(
        ScalarFormatter(useOffset=False) if plain else FuncFormatter(lambda y, _: f"{y:.3g}")
    )


def _curve(axes: Any, series: Series, colour: str, label: str, *, dotted: bool) -> None:
    if not len(series):
        return
    if dotted or len(series) < 3:
        axes.plot(series.steps, series.values, ":o", color=colour, markersize=4, linewidth=1.4, label=label)
        return
    smooth = [] if _is_exact(series) else _smoothed(series.values)
    axes.plot(series.steps, series.values, color=colour, alpha=0.3, linewidth=0.9)
    axes.plot(series.steps, smooth or series.values, color=colour, linewidth=1.7, label=label)


def _is_exact(series: Series) -> bool:
    """Whether the curve is a schedule rather than a measurement: it bends by a hundredth of its range at most."""
    gaps = [b - a for a, b in pairwise(series.values)]
    bends = [abs(b - a) for a, b in pairwise(gaps)]
    return max(bends, default=0.0) <= 1e-2 * (max(series.values) - min(series.values))


def _smoothed(values: Sequence[float]) -> list[float]:
    """A centred mean over a fifteenth of the run, so that noise does not hide the trend; raw values stay behind it."""
    reach = len(values) // 30
    if reach < 1:
        return []
    windows = (values[max(0, i - reach) : i + reach + 1] for i in range(len(values)))
    return [sum(window) / len(window) for window in windows]


def _epoch_axis(axes: Any, history: History) -> None:
    per_step = next((p["epoch"] / p["step"] for p in reversed(history.train) if p.get("epoch") and p["step"]), None)
    if per_step is None:
        return
    top = axes.secondary_xaxis("top", functions=(lambda step: step * per_step, lambda epoch: epoch / per_step))
    top.set_xlabel("epoch", fontsize=8, color="#666666")
    top.tick_params(labelsize=7, colors="#666666")
    top.spines["top"].set_visible(False)
