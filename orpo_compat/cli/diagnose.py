"""`orpo-compat diagnose`: name the trouble of a finished or running training from its folder, whoever trained it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orpo_compat.cli.console import out, paragraph, reported_errors
from orpo_compat.cli.exit_codes import ExitCode

if TYPE_CHECKING:
    from orpo_compat.health import Diagnosis
    from orpo_compat.history import History


def diagnose(
    run: Annotated[Path, typer.Argument(help="A run's folder, its metrics.jsonl, or a trainer_state.json.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON on stdout.")] = False,
) -> None:
    """Say what went wrong in a run, what shows it, and what to change.

    Reads the folder that train wrote, or any Trainer's output with a trainer_state.json, TRL's included. Exits 3 if
    something was found.

    Example: orpo-compat diagnose out/
    """
    with reported_errors():
        from orpo_compat import health
        from orpo_compat.history import read_history

        history = read_history(run)
        found = health.diagnose(history)
        if as_json:
            facts = {"run": str(run), "steps": history.last_step, "epochs": history.epochs}
            typer.echo(json.dumps({**facts, "troubles": [each.as_dict() for each in found]}, indent=2))
        else:
            _show(history, found)
        raise typer.Exit(int(ExitCode.FINDINGS if found else ExitCode.DONE))


def _show(history: History, found: list[Diagnosis]) -> None:
    console = out()
    points = f"{len(history.train)} training points, {len(history.evals)} evaluations"
    console.print(f"{history.last_step} steps, {history.epochs:.2f} epochs, {points}", style="dim")
    for name in ("loss", "nll_loss", "log_odds_chosen", "rewards/accuracies"):
        series = history.series(name)
        if len(series):
            console.print(f"  {name}: {series.head:.4g} to {series.tail:.4g}", style="dim")
    if not found:
        console.print("No trouble seen.", style="bold green")
    for each in found:
        console.print(f"\n{each.title}", style="bold yellow", markup=False)
        for line in each.evidence:
            paragraph(console, line, lead="  ")
        paragraph(console, f"Likely cause. {each.cause}")
        for number, remedy in enumerate(each.remedies, start=1):
            paragraph(console, remedy, lead=f"  {number}. ", style="green")
