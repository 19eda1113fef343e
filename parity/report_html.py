"""The report as one HTML page: no network, no script, light and dark, readable on a phone.

Everything in it comes from sealed evidence and passes through the template's escaping; only the charts, which escape
their own texts, and the summary's JSON are marked as safe.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from parity.charts import bars, curves, differences
from parity.compare import scale_of
from parity.report import first_line, measurement_note, measurement_rows, mebibytes, notes_of, number
from parity.series import QUANTITIES

_TEMPLATES = Path(__file__).parent / "templates"
_PHASES = {"torch": "torch", "import": "trainer", "model": "model, rows", "train": "training"}
_DRAWN = ("loss", "nll_loss", "log_odds_chosen", "rewards/margins", "grad_norm")
_STAGE_OF = {
    "loss": "loss",
    "nll_loss": "nll",
    "log_odds_chosen": "log_odds",
    "rewards/margins": "rewards",
    "grad_norm": "gradient_norm",
}
PALETTE = ("#3b82f6", "#f97316", "#10b981", "#a855f7", "#ef4444")
_ADVICE = {
    "IDENTICAL": "You can switch: every number is the same, bit for bit.",
    "EQUIVALENT": "You can switch: what differs is rounding, measured against theirs' own.",
    "INVESTIGATE": "Look before you switch: something is larger than rounding and smaller than a clear difference.",
    "DIFFERENT": "Do not switch at these settings: the trainers compute different numbers.",
    "INCOMPARABLE": "Nothing was learned: the two trainers did not answer the same question.",
}


def _numbers(values: list[Any]) -> list[float]:
    return [number(value) for value in values]


def _floors(content: dict[str, Any], quantity: str, num_steps: int) -> list[float]:
    """Return the relative floor of a quantity per step."""
    by_stage = content["thresholds"]["floor"]["by_stage"].get(_STAGE_OF[quantity], [0.0])
    least = 8 * 2.0**-23
    return [max(float(by_stage[min(step, len(by_stage) - 1)]), least) for step in range(num_steps)]


def _charts(content: dict[str, Any]) -> list[dict[str, Any]]:
    from markupsafe import Markup

    series, charts = content["series"], []
    for quantity in _DRAWN:
        theirs = _numbers(series["theirs"][quantity])
        ours = {name: _numbers(values[quantity]) for name, values in series["ours"].items()}
        ratio = content["thresholds"]["pass_ratio"]
        band = [
            ratio * floor * abs(value)
            for floor, value in zip(_floors(content, quantity, len(theirs)), theirs, strict=True)
        ]
        title = QUANTITIES[quantity]
        charts.append({"key": quantity, "title": title, "svg": Markup(curves(title, theirs, ours, band))})
    return charts


def _difference_charts(content: dict[str, Any]) -> list[dict[str, Any]]:
    from markupsafe import Markup

    charts = []
    for name, values in content["series"]["ours"].items():
        lines = {}
        theirs = {key: _numbers(series) for key, series in content["series"]["theirs"].items()}
        for quantity in _DRAWN:
            pairs = enumerate(zip(theirs[quantity], _numbers(values[quantity]), strict=False))
            sizes = [_size(theirs, quantity, step) for step in range(len(theirs[quantity]))]
            lines[QUANTITIES[quantity]] = [_relative(left, right, sizes[step]) for step, (left, right) in pairs]
        floor = max(_floors(content, "loss", 1))
        charts.append({"title": name, "svg": Markup(differences(f"differences, {name}", lines, floor))})
    return charts


def _size(theirs: dict[str, list[float]], quantity: str, step: int) -> float:
    """Return what a difference is relative to: the value, or the larger values that it was computed from."""
    values = {name: series[step] for name, series in theirs.items() if step < len(series)}
    return max(abs(values[quantity]), scale_of(quantity, values))


def _relative(theirs: float, ours: float, size: float) -> float:
    if theirs == ours:
        return 0.0
    return abs(ours - theirs) / size if size and math.isfinite(theirs) and math.isfinite(ours) else math.inf


def _memory(content: dict[str, Any]) -> Any:
    from markupsafe import Markup

    rows = []
    for phase, label in _PHASES.items():
        pair = {}
        for arm in ("theirs", "ours"):
            event = content["resources"][arm].get(phase, {})
            peak, before = event.get("rss_peak"), event.get("rss_before")
            pair[arm] = (peak - before) / 2**20 if peak is not None and before is not None else math.nan
        rows.append((label, pair))
    return Markup(bars("memory by phase", rows, "MiB"))


def _times(content: dict[str, Any]) -> list[tuple[str, str, str]]:
    resources = content["resources"]
    rows = []
    for phase, label in _PHASES.items():
        cells = [resources[arm].get(phase, {}) for arm in ("theirs", "ours")]
        said = [f"{number(cell.get('seconds')):.2f} s, peak {mebibytes(cell.get('rss_peak'))}" for cell in cells]
        rows.append((label, *said))
    return [(row[0], row[1], row[2]) for row in rows]


def _stages(content: dict[str, Any]) -> list[dict[str, Any]]:
    rows = []
    for item in content["judgements"]:
        for stage, worst in item["stages"].items():
            ratio = number(worst["ratio"])
            mark = "no" if ratio > content["thresholds"]["pass_ratio"] else ""
            figures = {"distance": f"{number(worst['distance']):.1e}", "floor": f"{worst['floor']:.1e}"}
            where = {"path": item["path"], "stage": stage, "step": worst["step"], "name": worst["name"]}
            rows.append({**where, **figures, "ratio": f"{ratio:.2f}", "mark": mark})
    return rows


def _versions(content: dict[str, Any]) -> list[tuple[str, str, str]]:
    arms = content["arms"]
    names = sorted(set(arms["theirs"]["versions"]) | set(arms["ours"]["versions"]))
    rows = [(name, *(str(arms[arm]["versions"].get(name) or "-") for arm in ("theirs", "ours"))) for name in names]
    for key in ("trainer", "trainer_digest", "driver_digest", "found_as"):
        rows.append((key.replace("_", " "), *(str(arms[arm].get(key)) for arm in ("theirs", "ours"))))
    return [(row[0], row[1], row[2]) for row in rows]


def _summary(content: dict[str, Any]) -> Any:
    """Return the figures a program may read back from the page, as JSON that cannot close its own element."""
    from markupsafe import Markup

    summary = {"conclusion": content["conclusion"], "seal": content["seal"], "series": content["series"]}
    return Markup(json.dumps(summary).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def make_html(content: dict[str, Any]) -> str:
    """Return the whole page of an evidence file."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined)
    question, floor = content["question"], content["thresholds"]["floor"]
    per_step = content["resources"]["seconds_per_step"]
    measured = content["resources"].get("measurements")
    rerun = "a rerun is bit-equal" if floor["rerun_identical"] else "a rerun is not bit-equal"
    said = "; ".join(f"{name}: {text}" for name, text in floor["perturbations"].items() if name != "rerun")
    return environment.get_template("report.html.j2").render(
        conclusion=content["conclusion"],
        advice=_ADVICE[content["conclusion"]["verdict"]],
        first_line=first_line(content),
        notes=notes_of(content),
        judgements=[{"rows": [], **item} for item in content["judgements"]],
        paths=list(content["series"]["ours"]),
        palette=PALETTE,
        charts=_charts(content),
        legend=list(zip([QUANTITIES[quantity] for quantity in _DRAWN], PALETTE, strict=True)),
        difference_charts=_difference_charts(content),
        memory=_memory(content),
        times=_times(content),
        time_note="one traced run each, per step: "
        + ", ".join(f"{name} {number(seconds):.3f} s" for name, seconds in per_step.items()),
        measurements=measurement_rows(measured),
        measurement_note=f"{measurement_note(measured)}.",
        checklist=content["checklist"],
        stages=_stages(content),
        thresholds=content["thresholds"],
        floor_note=f"{rerun}; {said}",
        versions=_versions(content),
        question=json.dumps({**question["spec"], "settings": question["settings"]}, indent=1),
        validity=content["validity"],
        seal=content["seal"],
        summary=_summary(content),
    )
