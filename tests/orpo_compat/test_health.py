"""Every trouble is produced by really training a small model badly; healthy runs give none.

The task: the model must prefer "the sun and the rain" to "no rain nor sun at all". A 125-thousand-weight Llama learns
it in forty steps.
"""

from __future__ import annotations

import copy
import random
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import transformers
from datasets import Dataset
from packaging.version import Version
from peft import LoraConfig

from orpo_compat import ORPOConfig, ORPOTrainer
from orpo_compat.errors import NonFiniteLoss
from orpo_compat.health import TROUBLES, diagnose, handbook
from orpo_compat.health_callback import HealthCallback
from orpo_compat.history import History, from_log
from orpo_compat.tiny_model import tiny_model, tiny_tokenizer

WORDS = ("sun", "rain", "wind", "snow", "tree", "bird", "fish", "moon", "star", "rock")
Rows = list[dict[str, Any]]


def rows(count: int, *, seed: int = 0, labels: str = "kept", kind: str = "far") -> Rows:
    """Pairs about two words. `near` responses differ only in the order of the words."""
    rng, made = random.Random(seed), []
    for number in range(count):
        first, second = rng.sample(WORDS, 2)
        good = f"the {first} and the {second}"
        bad = f"no {second} nor {first} at all" if kind == "far" else f"the {second} and the {first}"
        if labels == "random" and rng.random() < 0.5:
            good, bad = bad, good
        row = {"prompt": f"name {first} and {second}: ", "chosen": good, "rejected": bad, "row_id": number + 2}
        made.append(row)
    return made


def train(
    data: Rows, *, steps: int = 60, model: Any = None, lora: Any = None, evals: Rows | None = None, **settings: Any
) -> tuple[ORPOTrainer, HealthCallback]:
    config = {
        "output_dir": tempfile.mkdtemp(),
        "max_steps": steps,
        "logging_steps": 1,
        "per_device_train_batch_size": 8,
        "max_length": 128,
        "learning_rate": 3e-3,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": True,
        "gradient_checkpointing": False,
        **settings,
    }
    health = HealthCallback(report=lambda diagnosis: None)
    trainer = ORPOTrainer(
        model or tiny_model(),
        ORPOConfig(**config),
        train_dataset=Dataset.from_list(data),
        eval_dataset=Dataset.from_list(evals) if evals else None,
        processing_class=tiny_tokenizer(),
        peft_config=lora,
        callbacks=[health],
    )
    trainer.remove_callback(transformers.PrinterCallback)
    return trainer, health


def history_of(*args: Any, change: Callable[[ORPOTrainer], None] | None = None, **kwargs: Any) -> History:
    trainer, health = train(*args, **kwargs)
    if change:
        change(trainer)
    trainer.train()
    return health.history(trainer.state)


def codes(history: History) -> set[str]:
    return {diagnosis.code for diagnosis in diagnose(history)}


@cache
def healthy_model() -> Any:
    trainer, _ = train(rows(200))
    trainer.train()
    return trainer.model


def learned() -> Any:
    return copy.deepcopy(healthy_model())


@pytest.mark.parametrize(
    "settings",
    [
        {"data": rows(200)},
        {"data": rows(200), "gradient_accumulation_steps": 4, "steps": 20},
        {"data": rows(200), "lora": LoraConfig(r=8, target_modules="all-linear"), "learning_rate": 5e-3},
        {"data": rows(200), "evals": rows(40, seed=5), "eval_strategy": "steps", "eval_steps": 10},
        {"data": rows(200), "loss_normalization": "global", "gradient_accumulation_steps": 2, "steps": 30},
    ],
    ids=["full", "accumulated", "lora", "evaluated", "global"],
)
def test_a_healthy_run_is_left_in_peace(settings: dict[str, Any]) -> None:
    assert codes(history_of(**settings)) == set()


def test_random_labels_are_no_preference() -> None:
    history = history_of(rows(200, labels="random"), steps=80)
    (found,) = diagnose(history)
    assert found.code == "no-preference"
    assert "0.50 is chance" in found.evidence[0]


def test_a_run_that_has_won_every_pair_is_saturated() -> None:
    assert codes(history_of(rows(200), steps=120, learning_rate=1e-2)) == {"saturated-margin"}


def test_a_large_beta_at_a_high_rate_makes_both_probabilities_collapse() -> None:
    near = rows(200, kind="near")
    history = history_of(near, steps=40, model=learned(), beta=50.0, learning_rate=3e-2)
    (found,) = [each for each in diagnose(history) if each.code == "collapse"]
    assert [text.split()[0] for text in found.evidence] == ["logps/chosen", "logps/rejected", "nll_loss"]


def test_a_large_beta_buys_preference_with_language() -> None:
    near = rows(200, kind="near")
    history = history_of(near, steps=60, model=learned(), beta=30.0, learning_rate=2e-3)
    assert "good-preference-bad-nll" in codes(history)


def test_adapters_do_not_move_at_the_rate_of_full_weights() -> None:
    adapter = LoraConfig(r=4, target_modules="all-linear")
    history = history_of(rows(200), steps=40, lora=adapter, learning_rate=1e-6)
    (found,) = diagnose(history)
    assert found.code == "learning-rate-too-low"
    assert "1.0e-06, training LoRA adapters" in found.evidence[0]


@pytest.mark.skipif(
    Version(transformers.__version__) < Version("5.19"), reason="the flag is read from transformers 5.19 on"
)
def test_a_loss_that_is_not_divided_by_the_accumulation_steps_is_recognised() -> None:
    def multiply(trainer: ORPOTrainer) -> None:
        trainer.loss_is_scaled_for_ga = True  # what TRL 0.14 to 0.19 amounted to

    history = history_of(rows(200), steps=12, gradient_accumulation_steps=4, change=multiply)
    (found,) = diagnose(history)
    assert found.code == "accumulation-mismatch"
    assert found.evidence[0].startswith("loss is 4.00 times")
    unaware = History(history.train)  # a trainer_state.json says neither beta nor the accumulation steps
    assert codes(unaware) == {"accumulation-mismatch"}


def test_memorised_random_labels_are_overfitting() -> None:
    labels = {"labels": "random"}
    history = history_of(
        rows(8, **labels),
        evals=rows(40, seed=5, **labels),
        steps=120,
        eval_strategy="steps",
        eval_steps=15,
        learning_rate=1e-2,
        logging_steps=5,
    )
    assert "overfitting" in codes(history)


def poisoned() -> tuple[Rows, Any]:
    import torch

    model, data = tiny_model(), rows(200)
    data[77]["chosen"] = "the Zebra"
    with torch.no_grad():
        model.get_input_embeddings().weight[tiny_tokenizer().convert_tokens_to_ids("Z")] = float("nan")
    return data, model


def test_a_row_that_makes_nan_is_named() -> None:
    data, model = poisoned()
    trainer, _ = train(data, model=model)
    with pytest.raises(NonFiniteLoss, match="row 79") as caught:
        trainer.train()
    incident = {"step": trainer.state.global_step, "incident": str(caught.value)}
    (found,) = diagnose(from_log([*trainer.state.log_history, incident]))
    assert found.code == "not-finite"
    assert "row 79" in found.evidence[-1]


def test_a_trainer_that_does_not_look_is_told_of_nan_once() -> None:
    said: list[str] = []
    data, model = poisoned()
    trainer, health = train(data, model=model, steps=20)
    trainer._watch.settle = lambda step: None  # as TRL's, which trains on with NaN weights and logs the loss as 0
    health.report = lambda diagnosis: said.append(diagnosis.code)
    trainer.train()
    assert said == ["not-finite"]
    assert "nll_loss nan" in " ".join(health.found["not-finite"].evidence)


def test_a_run_of_a_few_steps_is_not_judged() -> None:
    assert codes(history_of(rows(200, labels="random"), steps=5)) == set()


def test_the_troubleshooting_page_is_up_to_date() -> None:
    page = Path(__file__).parents[2] / "docs" / "troubleshooting.md"
    assert page.read_text("utf-8") == handbook(), "run `python -m orpo_compat.health > docs/troubleshooting.md`"


def test_every_trouble_is_on_the_page_with_a_remedy() -> None:
    page = handbook()
    assert all(trouble.title in page and trouble.remedies for trouble in TROUBLES)
    assert len({trouble.code for trouble in TROUBLES}) == len(TROUBLES)
