"""Short seeded runs of ours and theirs that record every log, gradient and weight; shared by the trainer's tests."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import TrainerCallback

# Ours averages logits over real positions, TRL over padding too: equal only where nothing is padded.
PADDING_DEPENDENT = ("logits/rejected", "logits/chosen")


class Recorder(TrainerCallback):
    """Keeps each log and, before each optimizer step, each gradient."""

    def __init__(self, *, with_grads: bool = True) -> None:
        self.with_grads = with_grads
        self.logs: list[dict[str, float]] = []
        self.grads: list[dict[str, torch.Tensor]] = []

    def on_log(self, *_: Any, logs: Any = None, **__: Any) -> None:
        self.logs.append(dict(logs))

    def on_pre_optimizer_step(self, *_: Any, model: Any = None, **__: Any) -> None:
        if self.with_grads:
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


def assert_equal_runs(theirs: Run, ours: Run, unpadded: bool = False, weights: float = 5e-6) -> None:
    for step, (their_log, our_log) in enumerate(zip(theirs.logs, ours.logs, strict=True)):
        for name, value in their_log.items():
            if name.endswith(("runtime", "per_second")) or (name.endswith(PADDING_DEPENDENT) and not unpadded):
                continue
            assert our_log[name] == pytest.approx(value, rel=2e-5, abs=2e-6), f"{name} at log {step}"
    for step, (their_grads, our_grads) in enumerate(zip(theirs.recorder.grads, ours.recorder.grads, strict=True)):
        assert their_grads.keys() == our_grads.keys()
        for name, grad in their_grads.items():
            assert relative_distance(grad, our_grads[name]) < 2e-5, f"gradient of {name} at step {step}"
    for name in ours.recorder.grads[-1]:
        # An adapter's A has no gradient until its B, which starts at zero, has moved.
        assert any(grads[name].abs().sum() > 0 for grads in ours.recorder.grads), f"dead gradient of {name}"
    assert theirs.weights.keys() == ours.weights.keys()
    for name, weight in theirs.weights.items():
        assert relative_distance(weight, ours.weights[name]) < weights, f"weight {name}"
