"""Adapters, experts, precisions, compilation and quantised weights. The oracle is TRL's trainer wherever it can run.

bitsandbytes is no dependency: what needs it is slow, and skipped where it is missing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import EarlyStoppingCallback, set_seed

from orpo_compat import ORPOConfig, ORPOTrainer
from tests.conftest import tiny_llama
from tests.orpo_compat.runs import SETTINGS, assert_equal_runs, relative_distance, run

LORA: dict[str, Any] = {"r": 4, "target_modules": ["q_proj", "v_proj"], "task_type": "CAUSAL_LM"}
# Relative to a weight that began at zero, that is, to how far it moved; AdamW moves by the gradient's sign at first.
MOVED = 1e-4
ADAPTERS: dict[str, dict[str, Any]] = {
    "dora": {"use_dora": True},
    "rank-stabilised": {"use_rslora": True, "lora_alpha": 8},
    "trained head": {"modules_to_save": ["lm_head"]},
    "trained embeddings": {"modules_to_save": ["embed_tokens"]},
    "adapted head": {"target_modules": ["q_proj", "lm_head"]},
    "all linear, with biases": {"target_modules": "all-linear", "bias": "all"},
}


def adapter(**more: Any) -> LoraConfig:
    return LoraConfig(**{**LORA, **more})


def mixture(kind: str) -> Any:
    from transformers import AutoConfig, AutoModelForCausalLM

    common = {
        "vocab_size": 384,
        "hidden_size": 32,
        "intermediate_size": 48,
        "moe_intermediate_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 256,
        "num_experts_per_tok": 2,
        "output_router_logits": True,
        "router_aux_loss_coef": 0.4,
    }
    experts = "num_local_experts" if kind == "mixtral" else "num_experts"
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **common, **{experts: 4}))


def quick(folder: Path, **settings: Any) -> ORPOConfig:
    return ORPOConfig(output_dir=str(folder), **{**SETTINGS, **settings})


@pytest.mark.parametrize("kind", ADAPTERS)
def test_every_kind_of_adapter_trains_as_under_trl(kind: str, tmp_path: Path, tokenizer: Any, pairs: Any) -> None:
    pytest.importorskip("trl.experimental.orpo")
    theirs, ours = (
        run(arm, tmp_path, tiny_llama(), tokenizer, pairs, trainer={"peft_config": adapter(**ADAPTERS[kind])})
        for arm in ("theirs", "ours")
    )
    assert_equal_runs(theirs, ours, weights=MOVED)


def test_a_module_to_save_is_trained_beside_its_original_and_saved(tmp_path: Path, tokenizer: Any, pairs: Any) -> None:
    head = tiny_llama().lm_head.weight.detach().clone()
    trainer = ORPOTrainer(
        tiny_llama(),
        quick(tmp_path),
        train_dataset=pairs,
        processing_class=tokenizer,
        peft_config=adapter(modules_to_save=["lm_head"]),
    )
    trainer.train()
    trainer.save_model(str(tmp_path / "saved"))
    module = trainer.model.base_model.model.lm_head
    assert torch.equal(module.original_module.weight, head)
    back = PeftModel.from_pretrained(tiny_llama(), str(tmp_path / "saved"))
    trained = module.modules_to_save["default"].weight
    assert torch.equal(back.base_model.model.lm_head.modules_to_save["default"].weight, trained)
    assert not torch.equal(trained, head)


def test_an_adapted_model_passed_in_goes_on_learning(tmp_path: Path, tokenizer: Any, pairs: Any) -> None:
    """The same run as with ``peft_config``, if the adapter was drawn from the same seed."""
    given = run("ours", tmp_path / "a", tiny_llama(), tokenizer, pairs, trainer={"peft_config": adapter()})
    base = tiny_llama()
    set_seed(SETTINGS["seed"])
    passed = run("ours", tmp_path / "b", get_peft_model(base, adapter()), tokenizer, pairs)
    assert [log["loss"] for log in passed.logs[:3]] == [log["loss"] for log in given.logs[:3]]
    assert passed.weights.keys() == given.weights.keys()


def test_checkpointing_under_an_adapter_changes_no_number(tmp_path: Path, tokenizer: Any, pairs: Any) -> None:
    plain, reentrant, not_reentrant = (
        run("ours", tmp_path, tiny_llama(), tokenizer, pairs, trainer={"peft_config": adapter()}, **settings)
        for settings in (
            {"gradient_checkpointing": False},
            {"gradient_checkpointing": True, "gradient_checkpointing_kwargs": {"use_reentrant": True}},
            {"gradient_checkpointing": True, "gradient_checkpointing_kwargs": {"use_reentrant": False}},
        )
    )
    for other in (reentrant, not_reentrant):
        for name, weight in plain.weights.items():
            assert relative_distance(weight, other.weights[name]) < 1e-6, name


@pytest.mark.parametrize("kind", ["qwen2_moe", "qwen3_moe", "mixtral"])
@pytest.mark.parametrize("adapted", [False, True], ids=["full", "lora"])
def test_mixtures_of_experts_train_as_under_trl_and_log_their_balance(
    kind: str, adapted: bool, tmp_path: Path, tokenizer: Any, pairs: Any
) -> None:
    pytest.importorskip("trl.experimental.orpo")
    parts = {"peft_config": adapter()} if adapted else {}
    theirs, ours = (
        run(arm, tmp_path, mixture(kind), tokenizer, pairs, trainer=parts, gradient_checkpointing=False, max_steps=2)
        for arm in ("theirs", "ours")
    )
    assert_equal_runs(theirs, ours, weights=MOVED)
    for log in ours.logs[:2]:
        preference = log["nll_loss"] - 0.1 * log["log_odds_ratio"]
        assert log["loss"] == pytest.approx(preference + 0.4 * log["aux_loss"], rel=1e-5)


def test_bf16_weights_train_as_under_trl(tmp_path: Path, tokenizer: Any, pairs: Any) -> None:
    """To bfloat16's precision: TRL rounds every log-probability to it, ours sums them in float32."""
    pytest.importorskip("trl.experimental.orpo")
    theirs, ours = (run(arm, tmp_path, tiny_llama().to(torch.bfloat16), tokenizer, pairs) for arm in ("theirs", "ours"))
    for their_log, our_log in zip(theirs.logs[:3], ours.logs[:3], strict=True):
        assert our_log["loss"] == pytest.approx(their_log["loss"], rel=2e-2)
    assert {weight.dtype for weight in ours.trainer.model.parameters()} == {torch.bfloat16}


def test_bf16_autocast_keeps_float32_weights(tmp_path: Path, tokenizer: Any, pairs: Any) -> None:
    exact, rounded = (run("ours", tmp_path, tiny_llama(), tokenizer, pairs, bf16=wish) for wish in (False, True))
    assert {weight.dtype for weight in rounded.trainer.model.parameters()} == {torch.float32}
    losses = [[log["loss"] for log in arm.logs[:3]] for arm in (exact, rounded)]
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=1e-2)


def test_fp16_without_an_accelerator_is_float32_and_says_so(tmp_path: Path, tokenizer: Any, pairs: Any) -> None:
    plain, asked = (run("ours", tmp_path, tiny_llama(), tokenizer, pairs, fp16=wish) for wish in (False, True))
    assert asked.trainer.args.fp16 is False
    assert [log["loss"] for log in asked.logs[:3]] == [log["loss"] for log in plain.logs[:3]]


def compiled(folder: Path, tokenizer: Any, data: Dataset, **settings: Any) -> list[float]:
    model = tiny_llama(num_hidden_layers=1)
    trained = run("ours", folder, model, tokenizer, data, max_steps=1, gradient_checkpointing=False, **settings)
    return [log["loss"] for log in trained.logs[:1]]


def test_a_compiled_model_takes_the_padded_path_to_the_same_loss(tmp_path: Path, tokenizer: Any, pairs: Any) -> None:
    torch._dynamo.reset()
    eager = compiled(tmp_path, tokenizer, pairs)
    traced = compiled(tmp_path, tokenizer, pairs, torch_compile=True, torch_compile_backend="eager")
    assert traced == pytest.approx(eager, rel=1e-5)


@pytest.mark.slow
def test_a_model_compiled_by_inductor_has_the_same_loss(tmp_path: Path, tokenizer: Any, pairs: Any) -> None:
    torch._dynamo.reset()
    eager = compiled(tmp_path, tokenizer, pairs)
    assert compiled(tmp_path, tokenizer, pairs, torch_compile=True) == pytest.approx(eager, rel=1e-4)


def test_the_best_adapter_is_loaded_when_margins_stop_growing(tmp_path: Path, tokenizer: Any, pairs: Any) -> None:
    args = quick(
        tmp_path,
        max_steps=12,
        learning_rate=0.0,  # nothing ever improves, so patience runs out
        eval_strategy="steps",
        eval_steps=1,
        save_strategy="steps",
        save_steps=1,
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model="rewards/margins",
        greater_is_better=True,
    )
    trainer = ORPOTrainer(
        tiny_llama(),
        args,
        train_dataset=pairs,
        eval_dataset=pairs,
        processing_class=tokenizer,
        peft_config=adapter(),
        callbacks=[EarlyStoppingCallback(early_stopping_patience=2)],
    )
    trainer.train()
    assert trainer.state.global_step == 3
    assert Path(trainer.state.best_model_checkpoint).name == "checkpoint-1"
    assert (Path(trainer.state.best_model_checkpoint) / "adapter_config.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize("bits", [4, 8])
def test_quantised_weights_train_an_adapter_on_the_cpu(bits: int, tmp_path: Path, tokenizer: Any, pairs: Any) -> None:
    pytest.importorskip("bitsandbytes")
    from transformers import BitsAndBytesConfig, LlamaForCausalLM

    tiny_llama(hidden_size=64, intermediate_size=128).save_pretrained(tmp_path / "base")
    if bits == 4:
        wish = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.float32)
    else:
        wish = BitsAndBytesConfig(load_in_8bit=True)

    def trained(arm: str, **more: Any) -> Any:
        model = LlamaForCausalLM.from_pretrained(tmp_path / "base", quantization_config=wish, dtype=torch.float32)
        return run(arm, tmp_path, model, tokenizer, pairs, trainer={"peft_config": adapter()}, **more)

    theirs, padded, packed = trained("theirs"), trained("ours", packing="never"), trained("ours")
    for ours in (padded, packed):
        assert ours.trainer.model.base_model.model.model.layers[0].self_attn.q_proj.weight.dtype in (
            torch.uint8,
            torch.int8,
        )
        # Eight bits quantise activations too, by the batch's outliers, which padding is among.
        tolerance = 2e-5 if bits == 4 else 2e-2
        for their_log, our_log in zip(theirs.logs[:3], ours.logs[:3], strict=True):
            assert our_log["loss"] == pytest.approx(their_log["loss"], rel=tolerance)
        assert all(grad.abs().sum() > 0 for grad in ours.recorder.grads[-1].values())
