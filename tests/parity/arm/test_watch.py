"""The watch notes what passes through, changes nothing of it, and leaves ours on the way it goes unwatched."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from datasets import Dataset

from orpo_compat import ORPOConfig, ORPOTrainer
from orpo_compat.tiny_model import tiny_model, tiny_tokenizer
from parity.arm.events import Events
from parity.arm.watch import Watch

HOOKS = ("odds_ratio_loss", "compute_loss")


class Trainer:
    """The bound methods that a watch wraps, and a step that calls them as trainers do."""

    state = SimpleNamespace(global_step=3)
    accelerator = SimpleNamespace(sync_gradients=True)

    def odds_ratio_loss(self, chosen: torch.Tensor, rejected: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return chosen - rejected, chosen

    def store_metrics(self, metrics: dict[str, Any], train_eval: str) -> None:
        pass

    def compute_loss(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        losses, _ = self.odds_ratio_loss(torch.tensor([-1.0, -2.0]), torch.tensor([-3.0, -2.5]))
        self.store_metrics({"nll_loss": torch.tensor(4.0)}, "train")
        return losses.sum()

    def training_step(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        return self.compute_loss(model, inputs)

    prediction_step = training_step

    def log(self, logs: dict[str, float]) -> None:
        pass


def _batch() -> dict[str, torch.Tensor]:
    rows = {"input_ids": [[1, 2], [1, 3]], "attention_mask": [[1, 1], [1, 1]], "labels": [[-100, 2], [-100, 3]]}
    return {f"{side}_{key}": torch.tensor(row) for side in ("chosen", "rejected") for key, row in rows.items()}


def _watch(trainer: Any, tmp_path, traced: bool = True) -> tuple[Watch, list[str]]:
    steps: list[str] = []
    notes: Any = SimpleNamespace(on_gradients=lambda: steps.append("gradients"))
    return Watch(trainer, Events(tmp_path / "events.jsonl"), notes, traced), steps


def _events(tmp_path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]


def test_a_micro_batch_is_noted_pair_by_pair(tmp_path):
    trainer = Trainer()
    _, steps = _watch(trainer, tmp_path)
    assert trainer.training_step(None, _batch()).item() == 2.5  # (-1 + 3) + (-2 + 2.5)
    (event,) = _events(tmp_path)
    assert (event["event"], event["step"], event["micro"], event["last"]) == ("micro", 3, 0, True)
    assert (event["chosen_logps"], event["rejected_logps"]) == ([-1.0, -2.0], [-3.0, -2.5])
    assert event["odds_losses"] == [2.0, 0.5]
    assert (event["loss"], event["metrics"]) == (2.5, {"nll_loss": 4.0})
    assert len(event["pairs"]) == 2
    assert steps == ["gradients"]


def test_an_evaluated_batch_is_noted_without_a_step(tmp_path):
    trainer = Trainer()
    _, steps = _watch(trainer, tmp_path)
    trainer.prediction_step(None, _batch())
    assert [event["event"] for event in _events(tmp_path)] == ["eval_batch"]
    assert _events(tmp_path)[0]["odds_losses"] == [2.0, 0.5]
    assert steps == []


def test_an_untraced_run_wraps_the_log_alone(tmp_path):
    trainer = Trainer()
    _watch(trainer, tmp_path, traced=False)
    assert set(vars(trainer)) == {"log"}


@pytest.fixture
def ours(tmp_path) -> ORPOTrainer:
    rows = {"prompt": ["a ", "b "], "chosen": ["yes", "no"], "rejected": ["no", "yes"]}
    config = ORPOConfig(output_dir=str(tmp_path), max_length=32, report_to=[], use_cpu=True)
    return ORPOTrainer(tiny_model(), config, train_dataset=Dataset.from_dict(rows), processing_class=tiny_tokenizer())


def test_ours_goes_the_same_way_watched_and_unwatched(ours, tmp_path):
    unwatched = ours._may_differentiate_early()
    assert unwatched, "what training does by default"
    _watch(ours, tmp_path)
    assert set(HOOKS) <= set(vars(ours))
    assert ours._may_differentiate_early() == unwatched


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_that_somebody_assigned_stays_an_override_under_the_watch(ours, tmp_path, hook):
    inner = getattr(ours, hook)
    setattr(ours, hook, lambda *args, **kwargs: inner(*args, **kwargs))
    assert not ours._may_differentiate_early()
    _watch(ours, tmp_path)
    assert not ours._may_differentiate_early()
