"""Oracle: the arguments of the constructor that each setter stands for."""

from __future__ import annotations

from pathlib import Path

import pytest

from orpo_compat.config import ORPOConfig


def test_a_chain_of_setters_builds_what_the_constructor_builds(tmp_path: Path) -> None:
    chained = (
        ORPOConfig(str(tmp_path), beta=0.2)
        .set_lr_scheduler(name="cosine", num_epochs=2, warmup_ratio=0.1)
        .set_optimizer(name="sgd", learning_rate=1e-3, weight_decay=0.1)
        .set_evaluate(strategy="steps", steps=20, accumulation_steps=3, batch_size=4, jit_mode=True)
        .set_save(strategy="steps", steps=40, total_limit=2)
        .set_logging(strategy="steps", steps=5, report_to=["none"])
        .set_dataloader(train_batch_size=6, eval_batch_size=4, num_workers=1)
    )
    assert isinstance(chained, ORPOConfig)
    assert (chained.lr_scheduler_type, chained.num_train_epochs, chained.get_warmup_steps(200)) == ("cosine", 2, 20)
    assert (chained.optim, chained.learning_rate, chained.weight_decay) == ("sgd", 1e-3, 0.1)
    assert (chained.eval_strategy, chained.eval_steps, chained.eval_accumulation_steps) == ("steps", 20, 3)
    assert (chained.save_steps, chained.save_total_limit, chained.logging_steps) == (40, 2, 5)
    assert (chained.per_device_train_batch_size, chained.per_device_eval_batch_size) == (6, 4)
    assert chained.beta == 0.2


@pytest.mark.parametrize(
    ("given", "expected"),
    [({"warmup_steps": 7, "warmup_ratio": 0.1}, 7), ({"warmup_steps": 7}, 7), ({"warmup_ratio": 0.5}, 50), ({}, 0)],
)
def test_steps_win_over_the_ratio(given: dict[str, float], expected: int, tmp_path: Path) -> None:
    config = ORPOConfig(str(tmp_path), warmup_ratio=0.3).set_lr_scheduler("linear", 1.0, -1, **given)
    assert config.get_warmup_steps(100) == expected


def test_testing_takes_its_older_switch(tmp_path: Path) -> None:
    config = ORPOConfig(str(tmp_path)).set_testing(batch_size=3, jit_mode=True)
    assert (config.do_predict, config.per_device_eval_batch_size) == (True, 3)
