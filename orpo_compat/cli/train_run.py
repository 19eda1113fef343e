"""One training run from request to folder: load, train, save, picture, report. The command `train` calls `run`."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orpo_compat import models
from orpo_compat.batching import end_at, planned_updates, split_total_batch
from orpo_compat.checkpoints import STAGE, require_whole
from orpo_compat.cli import train_words as words
from orpo_compat.cli.exit_codes import ExitCode
from orpo_compat.cli.explained import explained_settings
from orpo_compat.cli.interrupting import StopOnInterrupt
from orpo_compat.cli.live import RunView
from orpo_compat.cli.trackers import trackers
from orpo_compat.cli.train_data import Gathered, gather
from orpo_compat.cli.train_settings import TrainRequest, TrainSettings
from orpo_compat.config import ORPOConfig
from orpo_compat.errors import NonFiniteLoss, RunError, RunExists
from orpo_compat.health import diagnose
from orpo_compat.health_callback import HealthCallback
from orpo_compat.history import METRICS_FILE, RUN_FILE, History, read_history
from orpo_compat.plots import save_plots
from orpo_compat.run_folder import RunRecorder, append_record, latest_checkpoint, versions, write_run
from orpo_compat.run_report import write_report
from orpo_compat.spellings import DECLARED
from orpo_compat.trainer import ORPOTrainer

if TYPE_CHECKING:
    from rich.console import Console

DEFAULT_MAX_LENGTH = 1024


@dataclass
class Run:
    """A run on its way; what is known of it goes to `run.json` at every turn."""

    request: TrainRequest
    folder: Path
    console: Console
    main: bool
    record: dict[str, Any] = field(default_factory=dict)

    @property
    def settings(self) -> TrainSettings:
        """The command's own options."""
        return self.request.settings

    def note(self, **facts: Any) -> None:
        """Add to `run.json`."""
        self.record |= facts
        if self.main:
            write_run(self.folder, self.record)


def run(request: TrainRequest, console: Console) -> ExitCode:
    """Train as requested.

    Returns:
        DONE; FINDINGS when the run ended with numbers that are not finite; INTERRUPTED after Ctrl-C.

    Raises:
        OrpoCompatError: the request cannot be carried out; nothing was trained.
    """
    request.settings.required()
    this = Run(request, Path(request.settings.output), console, main=int(os.environ.get("RANK", "0")) == 0)
    checkpoint = _prepare_folder(this)
    begun = time.monotonic()
    values = config_values(request, world_size=int(os.environ.get("WORLD_SIZE", "1")))
    model, tokenizer = _load(this, values)
    max_length = int(values.get("max_length") or DEFAULT_MAX_LENGTH)
    data = gather(this.settings, seed=int(values.get("seed", 42)), tokenizer=tokenizer, max_length=max_length)
    if this.main:
        words.tell_data(console, data.report)
    updates = _spread_logs(values, data)
    trainer, watchers = _trainer(this, values, model, tokenizer, data)
    facts = _facts(this, trainer, data)
    this.note(status="running", **facts, timings={"load_s": round(time.monotonic() - begun, 3)})
    if this.main:
        trained = _weights(facts["weights"])
        words.tell_plan(
            console,
            trainer,
            pairs=len(data.train),
            updates=updates,
            weights=trained,
            rate_given="learning_rate" in request.config,
        )
    trainer.add_callback(RunRecorder(this.folder, keep_until=_step_of(checkpoint)))
    return _train(this, trainer, watchers, checkpoint)


def config_values(request: TrainRequest, *, world_size: int) -> dict[str, Any]:
    """The arguments of `ORPOConfig` for a request: what was given, and what follows from it."""
    import torch

    settings, values = request.settings, dict(request.config)
    if settings.total_batch_size is not None:
        per_device = values.get("per_device_train_batch_size")
        values |= split_total_batch(settings.total_batch_size, per_device=per_device, world_size=world_size)
    if settings.learning_rate_end is not None:
        schedule, kwargs = values.get("lr_scheduler_type"), values.get("lr_scheduler_kwargs")
        values |= end_at(settings.learning_rate_end, scheduler=schedule, kwargs=kwargs)
    values["report_to"] = trackers(values.get("report_to"))
    if not torch.cuda.is_available():
        values.setdefault("dataloader_pin_memory", False)
    if world_size > 1 and not torch.accelerator.is_available():
        values.setdefault("use_cpu", True)  # else transformers lets each process train on its own
    return {**values, "output_dir": settings.output, "disable_tqdm": True, "remove_unused_columns": False}


def _spread_logs(values: dict[str, Any], data: Gathered) -> int:
    """Log a hundred points and evaluate ten times, whatever the run's length; returns its planned updates.

    TRL's every ten steps hides short runs. Whole numbers, not shares: a resumed run compares them with its own.
    """
    updates = planned_updates(len(data.train), values, world_size=int(os.environ.get("WORLD_SIZE", "1")))
    values.setdefault("logging_steps", max(1, round(updates / 100)))
    if data.held_out and not {"eval_strategy", "evaluation_strategy"} & values.keys():
        values["eval_strategy"] = "steps"
        values.setdefault("eval_steps", max(1, updates // 10))
    if values.get("load_best_model_at_end") and "save_strategy" not in values:
        values["save_strategy"] = values.get("eval_strategy", "steps")
        values.setdefault("save_steps", values.get("eval_steps", 0.1))
    return updates


def _prepare_folder(this: Run) -> Path | None:
    """Make the folder ready; the checkpoint to go on from, if any."""
    settings = this.settings
    if settings.resume_from:
        return require_whole(Path(settings.resume_from))
    if settings.resume:
        return latest_checkpoint(this.folder)
    held = [name for name in (RUN_FILE, METRICS_FILE, "model.safetensors") if (this.folder / name).exists()]
    if held and not settings.overwrite and this.main:
        raise RunExists(
            f"{this.folder}: holds an earlier run ({', '.join(held)}).\n"
            "  Next: --resume to go on with it, --overwrite to replace it, or another --output."
        )
    if this.folder.exists() and not this.folder.is_dir():
        raise RunError(f"{this.folder}: is a file.\n  Next: give a folder with --output; it need not exist.")
    this.folder.mkdir(parents=True, exist_ok=True)
    return None


def _step_of(checkpoint: Path | None) -> int | None:
    if checkpoint is None:
        return None
    import json

    return int(json.loads((checkpoint / "trainer_state.json").read_text("utf-8"))["global_step"])


def _load(this: Run, values: dict[str, Any]) -> tuple[Any, Any]:
    settings = this.settings
    adapter = settings.adapter_rank is not None
    dtype = settings.dtype or ("auto" if adapter or settings.load_in_4bit else None)
    kwargs = models.init_kwargs(attention=settings.attn, load_in_4bit=settings.load_in_4bit, dtype=dtype)
    import torch

    if settings.load_in_4bit and torch.accelerator.is_available():
        kwargs["device_map"] = {"": int(os.environ.get("LOCAL_RANK", "0"))}
    kwargs |= values.pop("model_init_kwargs", None) or {}
    if values.get("trust_remote_code"):
        kwargs.setdefault("trust_remote_code", True)
    if this.main:
        this.console.print(f"loading {settings.model} ...", style="dim", markup=False)
    return models.load(settings.model, kwargs, tokenizer_name=settings.tokenizer)


@dataclass(frozen=True, slots=True)
class Watchers:
    """What looks on while a run trains."""

    view: RunView
    stop: StopOnInterrupt
    health: HealthCallback | None


def _trainer(
    this: Run, values: dict[str, Any], model: Any, tokenizer: Any, data: Gathered
) -> tuple[ORPOTrainer, Watchers]:
    from transformers import PrinterCallback, ProgressCallback

    settings = this.settings
    rank = settings.adapter_rank
    lora = rank and models.LoraChoice(
        rank,
        settings.lora_alpha,
        settings.lora_dropout,
        tuple(part.strip() for part in settings.lora_target_modules.split(",")),
        settings.use_dora,
    )
    with explained_settings(model):
        trainer = ORPOTrainer(
            model,
            ORPOConfig(**values),
            train_dataset=data.dataset(data.train),
            eval_dataset=data.dataset(data.held_out),
            processing_class=tokenizer,
            peft_config=lora.config() if lora else None,
        )
    for noisy in (PrinterCallback, ProgressCallback):
        trainer.remove_callback(noisy)
    title = f"{settings.model} on {len(data.train):,} pairs"
    watchers = Watchers(
        RunView(this.console, title=title, tokens_per_pair=_tokens_per_pair(trainer), live=settings.live),
        StopOnInterrupt(lambda text: this.console.print(text, style="yellow", markup=False)),
        HealthCallback(report=partial(words.tell_trouble, this.console)) if settings.health else None,
    )
    for callback in (watchers.health, watchers.view, watchers.stop):
        if callback is not None:
            trainer.add_callback(callback)
    return trainer, watchers


def _tokens_per_pair(trainer: ORPOTrainer) -> float:
    rows: Any = trainer.train_dataset
    columns: tuple[str, ...] = ("chosen_input_ids", "rejected_input_ids")
    if trainer.is_encoder_decoder:
        columns = ("prompt_input_ids", "chosen_labels", "rejected_labels")
    tokens: int = sum(len(ids) for column in columns for ids in rows[column])
    return tokens / max(1, len(rows))


def _facts(this: Run, trainer: ORPOTrainer, data: Gathered) -> dict[str, Any]:
    model: Any = trainer.model
    trained: int = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    config = {name: value for name, value in trainer.args.to_dict().items() if value is not None}
    config = {name: value for name, value in config.items() if name not in DECLARED and name != "hub_token"}
    return {
        "command": this.request.as_yaml(without=("resume", "resume_from", "overwrite")),
        "settings": {**config, "model": this.settings.model, "lora": this.settings.adapter_rank is not None},
        "versions": versions(),
        "device": str(trainer.args.device),
        "processes": trainer.args.world_size,
        "weights": {"all": sum(weight.numel() for weight in model.parameters()), "trained": trained},
        "data": {**data.report, "trimmed": trainer.data_report.counts},
    }


def _weights(counts: Mapping[str, int]) -> str:
    trained, everything = counts["trained"], counts["all"]
    return f"{'all ' if trained == everything else f'{trained:,} of '}{everything:,} weights are trained"


def _train(this: Run, trainer: ORPOTrainer, watchers: Watchers, checkpoint: Path | None) -> ExitCode:
    begun = time.monotonic()
    status, code = "finished", ExitCode.DONE
    try:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    except NonFiniteLoss as error:
        status, code = "not finite", ExitCode.FINDINGS
        if this.main:
            append_record(this.folder, {"step": trainer.state.global_step, "incident": str(error)})
    except KeyboardInterrupt:
        status, code = "interrupted", ExitCode.INTERRUPTED
    finally:
        watchers.view.close()  # before anything is said: the panel would write over it
        watchers.stop.release()
    if watchers.stop.asked:
        status, code = "interrupted", ExitCode.INTERRUPTED
    if status == "finished":
        _save(this, trainer)
    _wrap_up(this, status, time.monotonic() - begun, watchers.health)
    return code


def _save(this: Run, trainer: ORPOTrainer) -> None:
    if trainer.eval_dataset is not None and not _just_evaluated(trainer):
        trainer.evaluate()
    trainer.save_model(str(this.folder))
    trainer.save_state()
    if this.settings.merge_lora and this.main:
        merged: Any = trainer.accelerator.unwrap_model(trainer.model)
        merged.merge_and_unload().save_pretrained(this.folder / "merged")
        tokenizer: Any = trainer.processing_class
        tokenizer.save_pretrained(this.folder / "merged")
    if trainer.args.push_to_hub:
        trainer.push_to_hub()


def _just_evaluated(trainer: ORPOTrainer) -> bool:
    logged = [entry for entry in trainer.state.log_history if entry.get("step") == trainer.state.global_step]
    return any("eval_loss" in entry for entry in logged)


def _wrap_up(this: Run, status: str, seconds: float, health: HealthCallback | None) -> None:
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
