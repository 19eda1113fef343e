"""The report on a terminal: rich tables made from sealed evidence alone, so an old file prints like a fresh run."""

from __future__ import annotations

import math
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from parity.series import QUANTITIES

_COLORS = {
    "IDENTICAL": "green",
    "EQUIVALENT": "green",
    "INVESTIGATE": "yellow",
    "DIFFERENT": "red",
    "INCOMPARABLE": "magenta",
}
_SHOWN = ("loss", "nll_loss", "log_odds_chosen", "rewards/chosen", "rewards/rejected", "rewards/margins", "grad_norm")


def number(value: Any) -> float:
    """Return a number of the evidence, where non-finite ones are spelled as text."""
    return float(value) if value is not None else math.nan


def mebibytes(value: Any) -> str:
    """Return bytes as mebibytes, or a dash."""
    return "-" if value is None else f"{float(value) / 2**20:.0f} MiB"


def first_line(content: dict[str, Any]) -> str:
    """Say what was compared, and above all whether the weights were random."""
    question, arms = content["question"], content["arms"]
    return (
        f"{question['origin']}; TRL {arms['theirs']['versions']['trl']} "
        f"(transformers {arms['theirs']['versions']['transformers']}, torch {arms['theirs']['versions']['torch']}) "
        f"against orpo-compat (transformers {arms['ours']['versions']['transformers']}), "
        f"scenario {question['spec']['scenario']}, {question['spec']['steps']} steps"
        + (f", {processes} processes each" if (processes := question["spec"].get("processes", 1)) > 1 else "")
    )


def notes_of(content: dict[str, Any]) -> list[str]:
    """Return what was scaled or left out, in sentences."""
    notes = list(content["question"]["spec"]["notes"])
    attention = content["arms"]["theirs"].get("attention")
    if attention and attention != content["question"]["spec"]["attention"]:
        notes.append(f"transformers there has only {attention} attention for this model; both arms use it")
    refused = content["arms"]["theirs"].get("refused")
    if refused:
        release = content["arms"]["theirs"]["versions"]["trl"]
        notes.append(f"TRL {release} has no {', '.join(refused)}; left out of both arms")
    return notes


def steps_table(content: dict[str, Any], path: str) -> Table:
    """Return the table of every step: theirs, ours, difference."""
    theirs, ours = content["series"]["theirs"], content["series"]["ours"][path]
    table = Table(title=f"ours, {path} run, step by step", title_justify="left", header_style="bold", expand=False)
    table.add_column("step", justify="right")
    table.add_column("quantity")
    for heading in ("theirs", "ours", "difference"):
        table.add_column(heading, justify="right")
    for step in range(len(theirs["loss"])):
        for quantity in _SHOWN:
            left = number(theirs[quantity][step])
            right = number(ours[quantity][step]) if step < len(ours[quantity]) else math.nan
            first = str(step) if quantity == _SHOWN[0] else ""
            cells = (f"{left:.6f}", f"{right:.6f}", f"{right - left:+.1e}")
            table.add_row(first, QUANTITIES[quantity], *cells, end_section=quantity == _SHOWN[-1])
    return table


def stages_table(content: dict[str, Any]) -> Table:
    """Return per stage the largest distance of each path, in floors."""
    table = Table(title="Largest distance per stage", title_justify="left", header_style="bold")
    for heading in ("path", "stage", "step", "tensor or value"):
        table.add_column(heading, overflow="fold")
    for heading in ("distance", "floor", "ratio"):
        table.add_column(heading, justify="right")
    for judgement in content["judgements"]:
        for stage, worst in judgement["stages"].items():
            ratio = number(worst["ratio"])
            color = "red" if ratio > 5 else "yellow" if ratio > 3 else ""
            cells = (f"{number(worst['distance']):.1e}", f"{worst['floor']:.1e}", Text(f"{ratio:.2f}", style=color))
            table.add_row(judgement["path"], stage, str(worst["step"]), Text(worst["name"]), *cells)
    return table


def resources_table(content: dict[str, Any]) -> Table:
    """Return time and memory of both arms by phase, each peak from a high-water mark of its own."""
    resources = content["resources"]
    advice = "" if resources.get("measurements") else ", --repeat 3 does"
    title = f"Time and memory, one traced run each: resolves nothing{advice}"
    table = Table(title=title, title_justify="left", header_style="bold")
    table.add_column("phase")
    for arm in ("theirs", "ours"):
        for heading in ("seconds", "peak", "grew by"):
            table.add_column(f"{arm}: {heading}", justify="right")
    labels = {
        "torch": "import torch, transformers",
        "import": "import trainer",
        "model": "model and rows",
        "train": "training",
    }
    for phase, label in labels.items():
        cells = []
        for arm in ("theirs", "ours"):
            event = resources[arm].get(phase, {})
            peak, before = event.get("rss_peak"), event.get("rss_before")
            grew = peak - before if peak is not None and before is not None else None
            cells += [f"{number(event.get('seconds')):.2f}", mebibytes(peak), mebibytes(grew)]
        table.add_row(label, *cells)
    per_step = resources["seconds_per_step"]
    said = ", ".join(f"{name} {number(seconds):.3f} s" for name, seconds in per_step.items())
    table.caption = f"per step: {said}"
    return table


def measurement_rows(measurements: dict[str, Any] | None) -> list[tuple[str, ...]]:
    """Return the table of repeated measurements: a difference below the resolving power claims nothing."""
    from parity.measure import QUANTITIES as MEASURED

    rows = []
    for name, found in (measurements or {}).get("quantities", {}).items():
        shown = [
            mebibytes(found[arm]) if "second" not in name else f"{number(found[arm]):.4f} s"
            for arm in ("theirs", "ours")
        ]
        ratio, power = number(found["ratio"]), number(found["resolving_power"])
        claim = "not resolved"
        if found["resolved"]:
            claim = f"ours {1 / ratio:.2f} times less" if ratio < 1 else f"ours {ratio:.2f} times more"
        rows.append((MEASURED.get(name, name), *shown, f"{ratio:.3f}", f"{power:.1%}", claim))
    return rows


def measurement_note(measurements: dict[str, Any] | None) -> str:
    """Say what the repeated measurements are medians of."""
    return f"{(measurements or {}).get('repetitions', 0)} alternating repetitions, first dropped; medians"


def measurements_table(measurements: dict[str, Any]) -> Table:
    """Return what ``--repeat`` measured, and what of it may be claimed."""
    title = f"Speed and memory: {measurement_note(measurements)}"
    table = Table(title=title, title_justify="left", header_style="bold")
    for heading in ("quantity", "theirs", "ours", "ratio", "resolving power", "claim"):
        table.add_column(heading, justify="left" if heading in ("quantity", "claim") else "right")
    for row in measurement_rows(measurements):
        table.add_row(*row)
    return table


def checklist_table(content: dict[str, Any]) -> Table:
    """Return the twelve points that a team ticks off before it switches."""
    table = Table(title="Checklist", title_justify="left", header_style="bold")
    for heading in ("point", "theirs", "ours", "measured"):
        table.add_column(heading)
    colors = {"yes": "green", "no": "red"}
    for point in content["checklist"]:
        sides = [Text(point[arm], style=colors.get(point[arm], "")) for arm in ("theirs", "ours")]
        table.add_row(point["point"], *sides, Text(point["measured"]))
    return table


def divergence_text(content: dict[str, Any]) -> list[RenderableType]:
    """Return what is known of each divergence: where, whether its inputs agreed, the rows, the explanation."""
    found: list[RenderableType] = []
    for judgement in content["judgements"]:
        divergence = judgement["divergence"]
        if divergence is None:
            continue
        agreed = "its inputs still agreed" if divergence["inputs_agreed"] else "its inputs had already parted"
        lines = [
            f"First divergence ({judgement['path']}): step {divergence['step']}, stage {divergence['stage']}, "
            f"{divergence['name']}; {agreed}"
            + (f" (last: {divergence['last_agreed']})" if divergence["last_agreed"] else ""),
            *judgement["reasons"],
            *(f"explained: {text}" for text in judgement["explained"]),
            *(f"row: {text}" for text in judgement.get("rows", [])),
        ]
        found.append(Text("\n".join(lines)))
    return found


def make_report(content: dict[str, Any], *, short: bool = False, checklist: bool = False) -> Group:
    """Return the whole report of an evidence file.

    Args:
        short: leave out the tables of steps and stages, and the checklist.
        checklist: show that all the same.
    """
    conclusion = content["conclusion"]
    parts: list[RenderableType] = [Text(first_line(content), style="bold")]
    parts += [Text(note, style="yellow") for note in notes_of(content)]
    if not short:
        parts += [steps_table(content, path) for path in list(content["series"]["ours"])[:1]]
        parts += [stages_table(content)]
    parts.append(resources_table(content))
    if content["resources"].get("measurements"):
        parts.append(measurements_table(content["resources"]["measurements"]))
    if checklist or not short:
        parts.append(checklist_table(content))
    parts += divergence_text(content)
    tried = content["thresholds"]["floor"]["perturbations"]
    rerun = "bit-equal" if content["thresholds"]["floor"]["rerun_identical"] else "not bit-equal"
    parts.append(
        Text(
            f"floor: rerun {rerun}; " + "; ".join(f"{name}: {said}" for name, said in tried.items() if name != "rerun")
        )
    )
    for judgement in content["judgements"]:
        parts.append(Text(f"{judgement['path']}: {judgement['verdict']}, {judgement['headline']}"))
    color = _COLORS[conclusion["verdict"]]
    body = Text(f"{conclusion['verdict']}\n{conclusion['headline']}", style=f"bold {color}")
    parts.append(Panel(body, border_style=color, expand=False))
    return Group(*parts)


def print_report(content: dict[str, Any], console: Console, *, short: bool = False, checklist: bool = False) -> None:
    """Print the report of an evidence file."""
    console.print(make_report(content, short=short, checklist=checklist))
