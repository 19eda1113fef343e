"""How a run ends: the model is saved, the folder brought up to date, and the end told with the way on."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from orpo_compat.checkpoints import STAGE
from orpo_compat.cli import train_words as words
from orpo_compat.cli.train_folder import Run
from orpo_compat.errors import RunError
from orpo_compat.health import diagnose
from orpo_compat.health_callback import HealthCallback
from orpo_compat.history import History, read_history
from orpo_compat.model_folder import written_whole
from orpo_compat.plots import save_plots
from orpo_compat.run_folder import latest_checkpoint
from orpo_compat.run_report import write_report
from orpo_compat.trainer import ORPOTrainer


def save(this: Run, trainer: ORPOTrainer) -> None:
    """Evaluate a last time, save the model (merged too, if asked), and push it where the arguments say so."""
    if trainer.eval_dataset is not None and not _just_evaluated(trainer):
        trainer.evaluate()
    trainer.save_model(str(this.folder))
    trainer.save_state()
    if this.settings.merge_lora and this.main:
        merged: Any = trainer.accelerator.unwrap_model(trainer.model)
        tokenizer: Any = trainer.processing_class
        with written_whole(this.folder / "merged") as staged:
            merged.merge_and_unload().save_pretrained(staged)
            tokenizer.save_pretrained(staged)
    if trainer.args.push_to_hub:
        trainer.push_to_hub()


def _just_evaluated(trainer: ORPOTrainer) -> bool:
    logged = [entry for entry in trainer.state.log_history if entry.get("step") == trainer.state.global_step]
    return any("eval_loss" in entry for entry in logged)


def wrap_up(this: Run, status: str, seconds: float, health: HealthCallback | None) -> None:
    """Bring the folder up to date, however the run ended."""
    if not this.main:
        return
    with contextlib.suppress(OSError):
        (this.folder / STAGE).rmdir()  # where checkpoints were written before they had a name; not empty if one was cut
    this.note(status=status)
    history = read_history(this.folder)
    found = diagnose(history) if health is not None else []
    for diagnosis in found:
        if health is not None and diagnosis.code not in health.found:
            words.tell_trouble(this.console, diagnosis)
    timings = {**this.record.get("timings", {}), "train_s": round(seconds, 3)}
    this.note(timings=timings, final=final_metrics(history), troubles=[diagnosis.as_dict() for diagnosis in found])
    pictures = save_plots(history, this.folder / "plots") if this.settings.plots else []
    page = write_report(this.folder, history, this.record, curves=this.settings.plots)
    files = [page.name, *([f"{len(pictures)} plots in plots/"] if pictures else [])]
    words.tell_end(this.console, this.folder, history, status=status, seconds=seconds, files=files)
    if status == "not finite":
        this.console.print("The weights are not saved: an update with NaN would have spoilt them.", markup=False)
    if status == "interrupted":
        this.console.print(_how_to_go_on(this.folder), markup=False)


def _how_to_go_on(folder: Path) -> str:
    try:
        checkpoint = latest_checkpoint(folder)
    except RunError:
        return "  Next: start again with --overwrite; it was stopped before a checkpoint was saved."
    return f"  Next: orpo-compat train --output {folder} --resume goes on from {checkpoint.name}."


def final_metrics(history: History) -> dict[str, dict[str, float]]:
    """The last value of every metric, train and eval."""
    phases: dict[str, dict[str, float]] = {}
    for phase in ("train", "eval"):
        series = {name: history.series(name, phase) for name in history.names}
        phases[phase] = {name: values.values[-1] for name, values in series.items() if len(values)}
    return phases
