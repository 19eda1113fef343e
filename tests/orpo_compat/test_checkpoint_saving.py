"""One process saves, is stopped in the middle, and resumes. Oracle: the same run, never stopped."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch

from orpo_compat import ORPOConfig, ORPOTrainer
from orpo_compat.checkpoints import STAGE, defect
from orpo_compat.errors import RunError
from tests.conftest import tiny_llama
from tests.orpo_compat.runs import SETTINGS

PARTS = ["save_model", "_save_optimizer_and_scheduler", "_save_rng_state"]


def make(folder: Path, tokenizer: Any, pairs: Any, **args: Any) -> ORPOTrainer:
    settings = {**SETTINGS, "max_steps": 4, "save_strategy": "steps", "save_steps": 1, **args}
    return ORPOTrainer(
        tiny_llama(), ORPOConfig(output_dir=str(folder), **settings), train_dataset=pairs,
        eval_dataset=pairs if "eval_strategy" in args else None, processing_class=tokenizer,
    )  # fmt: skip


def checkpoints(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("checkpoint-*"))


def stop_at(trainer: ORPOTrainer, part: str, step: int, error: BaseException) -> None:
    """Raise after a part of one step's checkpoint was written."""
    honest = getattr(trainer, part)

    def stopping(*args: Any, **kwargs: Any) -> None:
        honest(*args, **kwargs)
        if trainer.state.global_step == step:
            raise error

    setattr(trainer, part, stopping)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    """The weights of a run that nothing stopped."""
    from datasets import Dataset

    from tests.conftest import PAIRS, make_tokenizer

    trainer = make(tmp_path_factory.mktemp("whole"), make_tokenizer(), Dataset.from_dict(PAIRS), save_strategy="no")
    trainer.train()
    return {name: weight.clone() for name, weight in trainer.model.state_dict().items()}


@pytest.mark.parametrize("part", PARTS)
def test_an_interrupt_during_a_save_leaves_the_last_checkpoint_and_the_course(
    part: str, tmp_path: Path, tokenizer: Any, pairs: Any, whole: dict[str, torch.Tensor]
) -> None:
    first = make(tmp_path, tokenizer, pairs, save_total_limit=1)
    stop_at(first, part, 3, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        first.train()
    assert checkpoints(tmp_path) == ["checkpoint-2"]
    assert defect(tmp_path / "checkpoint-2") is None

    second = make(tmp_path, tokenizer, pairs, save_total_limit=1)
    assert second.train(resume_from_checkpoint=True).global_step == 4
    assert checkpoints(tmp_path) == ["checkpoint-4"]
    assert not (tmp_path / STAGE).exists()
    for name, weight in second.model.state_dict().items():
        assert torch.equal(weight, whole[name]), name


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),
        RuntimeError("[enforce fail at inline_container.cc:664] . PytorchStreamWriter failed writing file data/3"),
        Exception('Error while serializing: IoError(Os { code: 28, kind: StorageFull, message: "No space" })'),
    ],
    ids=["python", "torch", "safetensors"],
)
def test_a_full_disk_is_named_with_what_was_kept_and_what_to_do(
    error: Exception, tmp_path: Path, tokenizer: Any, pairs: Any
) -> None:
    trainer = make(tmp_path, tokenizer, pairs)
    stop_at(trainer, "save_model", 2, error)
    said = "checkpoint-2 could not be written: .*checkpoint-1 is whole.\n  Next: make room"
    with pytest.raises(RunError, match=said):
        trainer.train()
    assert checkpoints(tmp_path) == ["checkpoint-1"]
    assert not (tmp_path / STAGE).exists()


def test_an_error_that_is_not_about_writing_is_passed_on(tmp_path: Path, tokenizer: Any, pairs: Any) -> None:
    trainer = make(tmp_path, tokenizer, pairs)
    stop_at(trainer, "save_model", 1, ValueError("mine"))
    with pytest.raises(ValueError, match=r"^mine$"):
        trainer.train()


def test_resuming_skips_a_checkpoint_cut_short_and_says_so(
    tmp_path: Path, tokenizer: Any, pairs: Any, caplog: pytest.LogCaptureFixture, whole: dict[str, torch.Tensor]
) -> None:
    make(tmp_path, tokenizer, pairs).train()
    torn = tmp_path / "checkpoint-4" / "optimizer.pt"
    torn.write_bytes(torn.read_bytes()[:100])
    (tmp_path / "checkpoint-3" / "trainer_state.json").unlink()
    again = make(tmp_path, tokenizer, pairs)
    with caplog.at_level(logging.WARNING, "orpo_compat.checkpoints"):
        again.train(resume_from_checkpoint=True)
    lines = [record.message for record in caplog.records if "passed over" in record.message]
    assert len(lines) == 2
    assert "checkpoint-4 is passed over: optimizer.pt is cut short" in lines[0]
    for name, weight in again.model.state_dict().items():
        assert torch.equal(weight, whole[name]), name


def test_nothing_to_resume_from_is_said(tmp_path: Path, tokenizer: Any, pairs: Any) -> None:
    with pytest.raises(RunError, match="no whole checkpoint to resume from"):
        make(tmp_path, tokenizer, pairs).train(resume_from_checkpoint=True)


def test_the_best_model_is_found_where_its_checkpoint_came_to_lie(tmp_path: Path, tokenizer: Any, pairs: Any) -> None:
    """Every step is worse than the one before under a learning rate this high, so the first is the best."""
    trainer = make(
        tmp_path, tokenizer, pairs, eval_strategy="steps", eval_steps=1, load_best_model_at_end=True,
        save_total_limit=2, metric_for_best_model="nll_loss", learning_rate=5.0, max_steps=3,
    )  # fmt: skip
    trainer.train()
    best = str(tmp_path / "checkpoint-1")
    assert trainer.state.best_model_checkpoint == best
    assert checkpoints(tmp_path) == ["checkpoint-1", "checkpoint-3"]
    state = json.loads((tmp_path / "checkpoint-1" / "trainer_state.json").read_text())
    assert state["best_model_checkpoint"] == best
