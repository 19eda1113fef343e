"""The oracle is TRL's own trainer on the same weights, rows and seeds: every log, gradient and final weight agrees
to float32 rounding. The tolerances are some ten times what reordering a sum moves these runs (1e-6 relative).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset

from tests.conftest import PAIRS, tiny_llama
from tests.orpo_compat.runs import assert_equal_runs, run

pytest.importorskip("trl.experimental.orpo")

METRICS = [
    "rewards/chosen", "rewards/rejected", "rewards/accuracies", "rewards/margins", "logps/rejected", "logps/chosen",
    "logits/rejected", "logits/chosen", "nll_loss", "log_odds_ratio", "log_odds_chosen",
]  # fmt: skip


def strings() -> Dataset:
    return Dataset.from_dict(PAIRS)


def chat(implicit: bool) -> Dataset:
    rows = []
    for prompt, chosen, rejected in zip(*PAIRS.values(), strict=True):
        question = [{"role": "user", "content": prompt}]
        answers = {
            "chosen": [{"role": "assistant", "content": chosen}],
            "rejected": [{"role": "assistant", "content": rejected}],
        }
        if implicit:
            rows.append({side: question + answer for side, answer in answers.items()})
        else:
            rows.append({"prompt": question, **answers})
    return Dataset.from_list(rows)


def lora() -> Any:
    from peft import LoraConfig

    return LoraConfig(r=4, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")


SCENARIOS: dict[str, tuple[Any, dict[str, Any], dict[str, Any]]] = {
    "strings": (strings, {}, {}),
    "accumulation": (strings, {"gradient_accumulation_steps": 4}, {}),
    "accumulation with a short last window": (strings, {"gradient_accumulation_steps": 3, "max_steps": 4}, {}),
    "lora": (strings, {}, {"peft_config": lora}),
    "lora with accumulation": (strings, {"gradient_accumulation_steps": 4}, {"peft_config": lora}),
    "messages": (lambda: chat(implicit=False), {}, {}),
    "messages with an implicit prompt": (lambda: chat(implicit=True), {}, {}),
    "over-long responses": (strings, {"max_length": 40}, {}),
    "no checkpointing": (strings, {"gradient_checkpointing": False}, {}),
    "warm-up and clipping": (strings, {"warmup_steps": 2, "max_grad_norm": 0.1, "weight_decay": 0.1}, {}),
    "a large beta": (strings, {"beta": 2.5}, {}),
}


@pytest.mark.parametrize("packing", ["never", "auto"])
@pytest.mark.parametrize("name", SCENARIOS)
def test_every_log_gradient_and_weight_equals_trl_s(name: str, packing: str, tmp_path: Path, tokenizer: Any) -> None:
    data, args, parts = SCENARIOS[name]
    theirs, ours = (
        run(
            arm, tmp_path, tiny_llama(), tokenizer, data(), trainer={k: make() for k, make in parts.items()},
            **args, **({"packing": packing} if arm == "ours" else {}),
        )
        for arm in ("theirs", "ours")
    )  # fmt: skip
    assert_equal_runs(theirs, ours)


def test_all_eleven_metrics_equal_trl_s_where_nothing_is_padded(tmp_path: Path, tokenizer: Any) -> None:
    """One pair a batch with responses of one length: not even TRL's logits metrics see padding."""
    same = Dataset.from_dict({"prompt": ["ab "] * 4, "chosen": list("1234"), "rejected": list("5678")})
    theirs, ours = (
        run(arm, tmp_path, tiny_llama(), tokenizer, same, per_device_train_batch_size=1) for arm in ("theirs", "ours")
    )
    assert set(METRICS) <= ours.logs[0].keys()
    assert_equal_runs(theirs, ours, unpadded=True)


def test_evaluation_equals_trl_s(tmp_path: Path, tokenizer: Any) -> None:
    theirs, ours = (
        run(
            arm, tmp_path, tiny_llama(), tokenizer, strings(), trainer={"eval_dataset": strings()},
            eval_strategy="steps", eval_steps=1, per_device_eval_batch_size=4,
        )
        for arm in ("theirs", "ours")
    )  # fmt: skip
    assert "eval_rewards/margins" in ours.logs[1]
    assert_equal_runs(theirs, ours)


@pytest.mark.parametrize("arm", ["theirs", "ours"])
def test_a_run_repeats_bit_for_bit(arm: str, tmp_path: Path, tokenizer: Any) -> None:
    first, second = (run(arm, tmp_path, tiny_llama(), tokenizer, strings()).weights for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_prompt_that_fills_max_length_ruins_trl_s_weights_and_not_ours(tmp_path: Path, tokenizer: Any) -> None:
    theirs, ours = (
        run(arm, tmp_path, tiny_llama(), tokenizer, strings(), max_length=12, per_device_train_batch_size=8)
        for arm in ("theirs", "ours")
    )
    assert any(torch.isnan(weight).any() for weight in theirs.weights.values())
    assert all(torch.isfinite(weight).all() for weight in ours.weights.values())
    assert ours.trainer.data_report.counts["train"]["rescued"] > 0
