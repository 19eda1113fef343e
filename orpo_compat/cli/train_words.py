"""What `train` says in words: the data, the plan, the end. Prints; decides and measures nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orpo_compat.health import Diagnosis
from orpo_compat.history import METRICS_FILE, RUN_FILE, History
from orpo_compat.measuring import trim_words

if TYPE_CHECKING:
    from rich.console import Console

    from orpo_compat.trainer import ORPOTrainer

_DEFAULT_RATE = 1e-6
_ENDINGS = (
    ("rewards/accuracies", "accuracy", ".2f"),
    ("log_odds_chosen", "log-odds", "+.3g"),
    ("nll_loss", "NLL", ".4g"),
    ("loss", "loss", ".4g"),
)


def tell_data(console: Console, report: Mapping[str, Any]) -> None:
    """How many rows there were, and what became of them."""
    text = (
        f"{report['rows']:,} rows: {report['train_pairs']:,} pairs to train on, {report['held_out_pairs']:,} held out"
    )
    left = [f"{at['pairs']:,} {reason}" for reason, at in report["dropped"].items()]
    console.print(text + (f"; left out: {', '.join(left)}" if left else ""), markup=False)
    for note in (report["layout"], *report["notes"]):
        console.print(f"  {note}", style="dim", markup=False)


def tell_plan(
    console: Console, trainer: ORPOTrainer, *, pairs: int, updates: int, weights: str, rate_given: bool
) -> None:
    """What is about to be done, and what is likely to disappoint."""
    args = trainer.args
    batch = args.train_batch_size * args.gradient_accumulation_steps * args.world_size
    epochs = updates * batch / max(1, pairs)
    counted = f"{updates:,} update{'s' * (updates != 1)} of {batch} pair{'s' * (batch != 1)}"
    console.print(f"{counted} ({epochs:.3g} epochs); {weights}", markup=False)
    number = "bfloat16" if args.bf16 else "float16" if args.fp16 else "float32"
    schedule = getattr(args.lr_scheduler_type, "value", args.lr_scheduler_type)
    told = [
        f"learning rate {args.learning_rate:g} {schedule}",
        f"beta {args.beta:g}",
        f"at most {args.max_length} tokens" if args.max_length else "no length limit",
        f"{number} on {args.device.type}" + (f", {args.world_size} processes" if args.world_size > 1 else ""),
    ]
    console.print(f"  {', '.join(told)}", style="dim", markup=False)
    for part, counts in trainer.data_report.counts.items():
        if words := trim_words(counts):
            console.print(f"  of {counts['rows']:,} {part} pairs {words}", style="dim", markup=False)
    if not rate_given and args.learning_rate == _DEFAULT_RATE:
        console.print(
            "! the learning rate is TRL's default of 1e-6, at which little is learned. ORPO's authors used 5e-6 to "
            "2e-5; adapters take 5e-5 to 2e-4. Give --learning-rate.",
            style="yellow",
            markup=False,
        )


def tell_trouble(console: Console, diagnosis: Diagnosis) -> None:
    """A trouble, its first evidence and what to try first."""
    console.print(f"! {diagnosis.title}: {diagnosis.evidence[0]}", style="yellow", markup=False)
    console.print(f"  Try: {diagnosis.remedies[0]}", style="dim", markup=False)


def tell_end(
    console: Console, folder: Path, history: History, *, status: str, seconds: float, files: Sequence[str]
) -> None:
    """How the run ended, on which numbers, and where everything is."""
    console.print(f"{status} after {seconds:,.1f} s; {folder}/", style="bold", markup=False)
    for phase, label in (("eval", "held out"), ("train", "training")):
        parts = []
        for name, word, style in _ENDINGS:
            series = history.series(name, phase)
            if len(series):
                first, last = (series.values[0], series.values[-1]) if phase == "eval" else (series.head, series.tail)
                parts.append(f"{word} {first:{style}} -> {last:{style}}")
        if parts:
            console.print(f"  {label}: {', '.join(parts)}", markup=False)
    console.print(f"  {', '.join([*files, RUN_FILE, METRICS_FILE])}", style="dim", markup=False)
