"""Short seeded runs of ours and theirs that record every log, gradient and weight; shared by the trainer's tests."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback


class Recorder(TrainerCallback):
    """Keeps each log and, before each optimizer step, each gradient."""

    def __init__(self) -> None:
        self.logs: list[dict[str, float]] = []
        self.grads: list[dict[str, torch.Tensor]] = []

    def on_log(self, *_: Any, logs: Any = None, **__: Any) -> None:
        self.logs.append(dict(logs))

    def on_pre_optimizer_step(self, *_: Any, model: Any = None, **__: Any) -> None:
        named = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
        self.grads.append(named)


@dataclass
class Run:
    """What a run left behind."""

    trainer: Any
    recorder: Recorder = field(default_factory=Recorder)

    @property
    def logs(self) -> list[dict[str, float]]:
        return self.recorder.logs

    @property
    def weights(self) -> dict[str, torch.Tensor]:
        return dict(self.trainer.model.state_dict())


SETTINGS: dict[str, Any] = {
    "bf16": False,
    "max_steps": 3,
    "per_device_train_batch_size": 2,
    "learning_rate": 1e-3,
    "logging_steps": 1,
    "report_to": [],
    "save_strategy": "no",
    "max_length": 96,
    "disable_tqdm": True,
    "seed": 7,
    "use_cpu": True,
}


def classes(arm: str) -> tuple[Any, Any]:
    """Return (config class, trainer class) of an arm."""
    if arm == "theirs":
        from trl.experimental.orpo import ORPOConfig, ORPOTrainer

        return ORPOConfig, ORPOTrainer
    from orpo_compat import ORPOConfig, ORPOTrainer

    return ORPOConfig, ORPOTrainer


def run(
    arm: str,
    folder: Path,
    model: Any,
    tokenizer: Any,
    train: Any,
    *,
    trainer: dict[str, Any] | None = None,
    **args: Any,
) -> Run:
    """Train a few steps with one arm and return what it recorded."""
    config_class, trainer_class = classes(arm)
    recorder = Recorder()
    built = trainer_class(
        model=model,
        args=config_class(output_dir=str(folder / arm), **{**SETTINGS, **args}),
        train_dataset=train,
        processing_class=tokenizer,
        callbacks=[recorder],
        **(trainer or {}),
    )
    built.train()
    return Run(built, recorder)


def relative_distance(theirs: torch.Tensor, ours: torch.Tensor) -> float:
    """Frobenius distance over the reference's norm."""
    return float((theirs.double() - ours.double()).norm() / theirs.double().norm().clamp(min=1e-30))
