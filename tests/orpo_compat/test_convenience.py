"""``create_orpo_trainer`` is ``ORPOTrainer`` with the guide's argument names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from orpo_compat import ORPOConfig, ORPOTrainer, create_orpo_trainer
from tests.conftest import tiny_llama
from tests.orpo_compat.runs import SETTINGS


def test_the_guide_s_call_trains(tmp_path: Path, tokenizer: Any, pairs: Any) -> None:
    config = ORPOConfig(output_dir=str(tmp_path), **{**SETTINGS, "max_steps": 1})
    trainer = create_orpo_trainer(model=tiny_llama(), tokenizer=tokenizer, train_dataset=pairs, orpo_config=config)
    assert isinstance(trainer, ORPOTrainer)
    assert trainer.train().global_step == 1


def test_further_arguments_reach_the_trainer(tmp_path: Path, tokenizer: Any, pairs: Any) -> None:
    config = ORPOConfig(output_dir=str(tmp_path), **SETTINGS)
    trainer = create_orpo_trainer(tiny_llama(), tokenizer, pairs, config, eval_dataset=pairs, metrics_fn=dict)
    assert trainer.metrics_fn is dict
    assert len(trainer.eval_dataset) == len(pairs)
