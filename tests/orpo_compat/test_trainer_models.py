"""Other models and objectives. Oracles: TRL on T5 and Mixtral; the same batch split differently."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset

from orpo_compat import ORPOConfig, ORPOTrainer
from orpo_compat.errors import NonFiniteLoss
from tests.conftest import PAIRS, tiny_llama
from tests.orpo_compat.runs import SETTINGS, assert_equal_runs, relative_distance, run


def tiny_t5() -> Any:
    from transformers import T5Config, T5ForConditionalGeneration

    torch.manual_seed(0)
    # Gated GELU as in T5 1.1: with ReLU, rounding that flips a unit's sign moves later gradients by 3e-4.
    return T5ForConditionalGeneration(
        T5Config(
            vocab_size=384, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4,
            decoder_start_token_id=0, pad_token_id=0, eos_token_id=2, dropout_rate=0.1, feed_forward_proj="gated-gelu",
        )
    )  # fmt: skip


def tiny_mixtral() -> Any:
    from transformers import MixtralConfig, MixtralForCausalLM

    torch.manual_seed(0)
    return MixtralForCausalLM(
        MixtralConfig(
            vocab_size=384, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, num_local_experts=4, output_router_logits=True, router_aux_loss_coef=0.5,
            max_position_embeddings=256,
        )
    )  # fmt: skip


@pytest.mark.parametrize("build", [tiny_t5, tiny_mixtral])
def test_other_architectures_equal_trl(build: Any, tmp_path: Path, tokenizer: Any, pairs: Any) -> None:
    pytest.importorskip("trl.experimental.orpo")
    extra = {"max_completion_length": 24} if build is tiny_t5 else {}
    theirs, ours = (
        run(arm, tmp_path, build(), tokenizer, pairs, gradient_checkpointing=False, **extra)
        for arm in ("theirs", "ours")
    )
    assert_equal_runs(theirs, ours)
    if build is tiny_mixtral:
        assert ours.logs[0]["aux_loss"] > 0


def split(
    size: int, accumulation: int, folder: Path, tokenizer: Any, normalization: str, packing: str, **more: Any
) -> Any:
    data = Dataset.from_dict(PAIRS)
    return run(
        "ours", folder, tiny_llama(), tokenizer, data, per_device_train_batch_size=size, max_steps=2,
        gradient_accumulation_steps=accumulation, loss_normalization=normalization, packing=packing, **more,
    )  # fmt: skip


@pytest.mark.parametrize("packing", ["never", "auto"])
def test_the_global_mean_does_not_depend_on_how_a_batch_is_split(packing: str, tmp_path: Path, tokenizer: Any) -> None:
    whole, halves, single = (split(n, 8 // n, tmp_path, tokenizer, "global", packing) for n in (8, 2, 1))
    # Two micro-batches of several passes each, all but the last differentiated as soon as they are computed.
    passes = split(4, 2, tmp_path, tokenizer, "global", packing, tokens_per_pass=64)
    for other in (halves, single, passes):
        assert [log["loss"] for log in other.logs[:2]] == pytest.approx(
            [log["loss"] for log in whole.logs[:2]], rel=1e-5
        )
        for name, grad in whole.recorder.grads[0].items():
            assert relative_distance(grad, other.recorder.grads[0][name]) < 2e-5, name


def test_the_micro_batch_mean_does_as_in_trl(tmp_path: Path, tokenizer: Any) -> None:
    whole, single = (split(n, 8 // n, tmp_path, tokenizer, "microbatch", "never") for n in (8, 1))
    name = "model.layers.0.self_attn.q_proj.weight"
    assert relative_distance(whole.recorder.grads[0][name], single.recorder.grads[0][name]) > 1e-2


def test_nll_scope_response_leaves_the_prompt_out(tmp_path: Path, tokenizer: Any, pairs: Any) -> None:
    """One pair a batch: the NLL of the response alone is minus the mean log-probability of the response."""
    for packing in ("never", "auto"):
        logs = run(
            "ours", tmp_path, tiny_llama(), tokenizer, pairs,
            nll_scope="response", per_device_train_batch_size=1, packing=packing,
        ).logs  # fmt: skip
        for log in logs[:3]:
            assert log["nll_loss"] == pytest.approx(-log["logps/chosen"], rel=1e-5)


def poisoned(token: int = 300) -> Any:
    """A model whose embedding of one token is NaN."""
    model = tiny_llama(tie_word_embeddings=False)
    with torch.no_grad():
        model.model.embed_tokens.weight[token] = float("nan")
    return model


def rows_with(token: int = 300) -> Dataset:
    """Four tokenized pairs, the third holding the poisoned token."""
    good = {"prompt_input_ids": [1, 5], "chosen_input_ids": [1, 5, 6, 2], "rejected_input_ids": [1, 5, 9, 9, 2]}
    bad = {"prompt_input_ids": [1, 5], "chosen_input_ids": [1, 5, token, 2], "rejected_input_ids": [1, 5, 9, 2]}
    return Dataset.from_list([{**row, "row_id": i} for i, row in enumerate([good, good, bad, good])])


@pytest.mark.parametrize("packing", ["never", "auto"])
def test_a_row_that_is_not_finite_stops_the_run_by_name(packing: str, tmp_path: Path, tokenizer: Any) -> None:
    with pytest.raises(NonFiniteLoss, match=r"row 2\b"):
        run("ours", tmp_path, poisoned(), tokenizer, rows_with(), packing=packing)


@pytest.mark.parametrize("packing", ["never", "auto"])
def test_a_row_that_is_not_finite_can_be_left_out(packing: str, tmp_path: Path, tokenizer: Any) -> None:
    result = run("ours", tmp_path, poisoned(), tokenizer, rows_with(), nan_policy="skip", packing=packing)
    weights = {name: w for name, w in result.weights.items() if "embed" not in name}
    assert all(torch.isfinite(weight).all() for weight in weights.values())


def test_a_config_with_nothing_but_a_folder_trains_without_a_gpu(tmp_path: Path, tokenizer: Any, pairs: Any) -> None:
    args = ORPOConfig(output_dir=str(tmp_path))
    args.max_steps = 1
    ORPOTrainer(model=tiny_llama(), args=args, train_dataset=pairs, processing_class=tokenizer).train()


def test_beta_schedules_run_from_start_to_end(tmp_path: Path, tokenizer: Any, pairs: Any) -> None:
    logs = run("ours", tmp_path, tiny_llama(), tokenizer, pairs, beta=0.4, beta_start=0.1, beta_schedule="linear").logs
    assert [log["rewards/chosen"] / log["logps/chosen"] for log in logs[:3]] == pytest.approx(
        [0.1, 0.25, 0.4], rel=1e-5
    )


def test_resuming_gives_the_trajectory_of_an_uninterrupted_run(tmp_path: Path, tokenizer: Any, pairs: Any) -> None:
    def trainer(folder: str, steps: int) -> Any:
        settings = {
            **SETTINGS,
            "max_steps": 4,
            "save_strategy": "steps",
            "save_steps": 2,
            "lr_scheduler_type": "linear",
        }
        args = ORPOConfig(output_dir=str(tmp_path / folder), beta_schedule="cosine", **settings)
        return ORPOTrainer(model=tiny_llama(), args=args, train_dataset=pairs, processing_class=tokenizer)

    whole = trainer("whole", 4)
    whole.train()
    resumed = trainer("resumed", 4)
    resumed.train(resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-2"))
    for name, weight in whole.model.state_dict().items():
        assert torch.equal(weight, resumed.model.state_dict()[name]), name
