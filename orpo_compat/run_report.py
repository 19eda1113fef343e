"""One self-contained page about a run: what it was, how it went, what to change. No script, no network.

Shows a `History` and the facts of `run.json`; it measures nothing and judges nothing itself.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from orpo_compat.history import History, Series
from orpo_compat.measuring import trim_words
from orpo_compat.plots import PANELS, as_svg, drawable
from orpo_compat.run_folder import write_atomically

TEMPLATE = Path(__file__).with_suffix(".html")
REPORT_FILE = "report.html"
_ORDER = [name for panel in PANELS for name in panel.metrics]


def write_report(folder: Path, history: History, record: Mapping[str, Any], *, curves: bool = True) -> Path:
    """Write `report.html` into the run's folder and return its path."""
    path = folder / REPORT_FILE
    write_atomically(path, render(history, record, curves=curves))
    return path


def render(history: History, record: Mapping[str, Any], *, curves: bool = True) -> str:
    """The page as text.

    Args:
        history: the curves.
        record: the content of `run.json`; whatever is missing is left out.
        curves: whether to draw them.
    """
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters["code"] = _code
    settings = record.get("settings", {})
    page = environment.from_string(TEMPLATE.read_text("utf-8")).render(
        title=f"{settings.get('model', 'Training run')}, ORPO",
        subtitle=_subtitle(history, record),
        facts=_facts(history, record),
        troubles=record.get("troubles", []),
        metrics=_metrics(history),
        plots=[
            {"title": panel.title, "reading": panel.reading, "source": _embedded(as_svg(history, panel))}
            for panel in (drawable(history) if curves else ())
        ],
        data=_data(record.get("data", {})),
        command=record.get("command", ""),
        versions=list(record.get("versions", {}).items()),
    )
    return page


def _code(text: str) -> Markup:
    """Escape a sentence and set what stands between backticks as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def _subtitle(history: History, record: Mapping[str, Any]) -> str:
    settings, weights = record.get("settings", {}), record.get("weights", {})
    parts = [str(record.get("status", "")), f"{history.last_step} steps", f"{history.epochs:.2f} epochs"]
    if weights:
        parts.append(f"{weights['trained']:,} of {weights['all']:,} weights trained")
    if "beta" in settings:
        parts.append(f"beta {settings['beta']:g}, learning rate {settings.get('learning_rate', 0):g}")
    if record.get("device"):
        parts.append(f"on {record['device']}")
    return ", ".join(part for part in parts if part)


def _facts(history: History, record: Mapping[str, Any]) -> list[tuple[str, str]]:
    facts = []
    for phase, label in (("eval", "held-out"), ("train", "training")):
        for name, words in (("rewards/accuracies", "accuracy"), ("log_odds_chosen", "log-odds"), ("nll_loss", "NLL")):
            series = history.series(name, phase)
            if len(series):
                facts.append((f"{label} {words}", f"{series.values[-1] if phase == 'eval' else series.tail:.3g}"))
    seconds = record.get("timings", {}).get("train_s")
    return [*facts, ("training time", f"{seconds:,.0f} s")] if seconds is not None else facts


def _metrics(history: History) -> list[list[str]]:
    known = [name for name in _ORDER if name in history.names]
    others = [name for name in history.names if name not in known]
    rows = []
    for name in [*known, *others]:
        train, held_out = history.series(name), history.series(name, "eval")
        if len(train) or name in known:
            rows.append([name, *_ends(train, medians=True), *_ends(held_out, medians=False)])
    return rows


def _ends(series: Series, *, medians: bool) -> tuple[str, str]:
    if not len(series):
        return "", ""
    first, last = (series.head, series.tail) if medians else (series.values[0], series.values[-1])
    return f"{first:.4g}", f"{last:.4g}"


def _data(data: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows = [
        (name.replace("_", " "), str(data[name])) for name in ("source", "format", "layout", "digest") if name in data
    ]
    rows += [
        (name.replace("_", " "), f"{data[name]:,}")
        for name in ("rows", "train_pairs", "held_out_pairs")
        if name in data
    ]
    rows += [(f"left out: {reason}", f"{at['pairs']:,}") for reason, at in data.get("dropped", {}).items()]
    for part, counts in data.get("trimmed", {}).items():
        told = trim_words(counts) or "none had to be cut"
        rows.append((f"tokenized for {part}", f"{counts.get('rows', 0):,} pairs: {told}"))
    return rows


def _embedded(svg: str) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()
