"""What a run trains: the arguments that follow from a request, the model, the trainer and what looks on.

Builds and describes; trains nothing and writes nothing.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from typing import Any

from orpo_compat import models
from orpo_compat.batching import end_at, planned_updates, split_total_batch
from orpo_compat.cli import train_words as words
from orpo_compat.cli.explained import explained_settings
from orpo_compat.cli.interrupting import StopOnInterrupt
from orpo_compat.cli.live import RunView
from orpo_compat.cli.trackers import trackers
from orpo_compat.cli.train_data import Gathered
from orpo_compat.cli.train_folder import Run
from orpo_compat.cli.train_settings import TrainRequest
from orpo_compat.config import ORPOConfig
from orpo_compat.errors import ConfigError
from orpo_compat.health_callback import HealthCallback
from orpo_compat.run_folder import versions
from orpo_compat.spellings import DECLARED
from orpo_compat.trainer import ORPOTrainer


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


def check_early(values: dict[str, Any], *, world_size: int) -> None:
    """Refuse values that no config takes before a model is loaded and data read.

    Several processes learn of them later: what an engine keeps of its first config is not tried out.

    Raises:
        ConfigError: a value that `ORPOConfig` does not take.
    """
    if world_size > 1 or values.get("deepspeed") or values.get("fsdp"):
        return
    later = ("load_best_model_at_end",)  # depends on what follows from the data
    with explained_settings(None):
        ORPOConfig(**{name: value for name, value in values.items() if name not in later})


def require_held_out(values: dict[str, Any], data: Gathered) -> None:
    """Refuse to evaluate on nothing.

    Raises:
        ConfigError: evaluation was asked for and no pair is held out.
    """
    asked = str(values.get("eval_strategy", values.get("evaluation_strategy", "no")))
    best = bool(values.get("load_best_model_at_end"))
    if data.held_out or (asked == "no" and not best):
        return
    what = "--load-best-model-at-end" if best else f"--eval-strategy {asked}"
    raise ConfigError(
        f"{what}: no pairs are held out to evaluate on (of {len(data.train):,} pairs).\n"
        "  Next: give --eval-data FILE or --eval-fraction 0.1, or leave it out."
    )


def spread_logs(values: dict[str, Any], data: Gathered) -> int:
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


def load_start(this: Run, values: dict[str, Any]) -> tuple[Any, Any]:
    """Load the model and the tokenizer that a run starts from; takes ``model_init_kwargs`` out of ``values``."""
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


def make_trainer(
    this: Run, values: dict[str, Any], model: Any, tokenizer: Any, data: Gathered
) -> tuple[ORPOTrainer, Watchers]:
    """Build the trainer and what looks on; whatever prints on its own is taken away."""
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


def facts_of(this: Run, trainer: ORPOTrainer, data: Gathered) -> dict[str, Any]:
    """What `run.json` says of a run before its first step."""
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
