"""What TRL's own suites of 0.9 to 1.16 ask of the trainer, asked again in our words and more sharply.

Models and data are local and small. Where TRL's tests are content that a weight changed, these also want it
finite: TRL's float16 test passes on weights that are all NaN.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset, DatasetDict
from peft import LoraConfig
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

from orpo_compat import ORPOConfig, ORPOTrainer
from tests.conftest import PAIRS, make_tokenizer, tiny_llama

SMALL: dict[str, Any] = {
    "vocab_size": 384,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
T5_SMALL: dict[str, Any] = {
    "vocab_size": 384,
    "d_model": 16,
    "d_kv": 4,
    "d_ff": 32,
    "num_layers": 2,
    "num_heads": 4,
    "decoder_start_token_id": 0,
}
FAMILIES: dict[str, Any] = {
    "gpt2": lambda: GPT2LMHeadModel(GPT2Config(vocab_size=384, n_embd=16, n_layer=2, n_head=4, n_positions=256)),
    "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**SMALL)),
    "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**SMALL, head_dim=4)),
    "t5": lambda: T5ForConditionalGeneration(T5Config(**T5_SMALL)),
}
ROW_SHAPES = ("plain", "plain, prompt implied", "chat", "chat, prompt implied")


def rows(shape: str) -> Dataset:
    """The shared pairs as one of the four shapes that preference datasets come in."""

    def present(prompt: str, answer: str) -> Any:
        if not shape.startswith("chat"):
            return prompt + answer if "implied" in shape else answer
        turns = [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
        return turns if "implied" in shape else turns[1:]

    columns: dict[str, list[Any]] = {
        side: [present(p, a) for p, a in zip(PAIRS["prompt"], PAIRS[side], strict=True)]
        for side in ("chosen", "rejected")
    }
    if "implied" not in shape:
        asked = [[{"role": "user", "content": p}] for p in PAIRS["prompt"]]
        columns["prompt"] = asked if shape == "chat" else list(PAIRS["prompt"])
    return Dataset.from_dict(columns)


def seeded(family: str) -> Any:
    torch.manual_seed(0)
    return FAMILIES[family]()


def quick(folder: Path, **settings: Any) -> ORPOConfig:
    base = {"per_device_train_batch_size": 2, "max_steps": 3, "report_to": "none", "use_cpu": True, "bf16": False}
    return ORPOConfig(output_dir=str(folder), save_strategy="no", disable_tqdm=True, **{**base, **settings})


def copy_of(model: Any) -> dict[str, torch.Tensor]:
    return {name: weight.detach().clone() for name, weight in model.named_parameters()}


def moved(trainer: Any, before: dict[str, torch.Tensor]) -> set[str]:
    """Names of the weights that differ from before; every weight must be finite."""
    after = dict(trainer.model.named_parameters())
    assert all(torch.isfinite(weight).all() for weight in after.values())
    return {name for name, weight in before.items() if not torch.equal(weight, after[name])}


@pytest.mark.parametrize("shape", ROW_SHAPES)
@pytest.mark.parametrize("family", FAMILIES)
def test_every_weight_of_every_family_learns_from_every_row_shape(family: str, shape: str, tmp_path: Path) -> None:
    args = quick(tmp_path, learning_rate=9e-3, logging_steps=1, eval_strategy="steps", eval_steps=3)
    args.is_encoder_decoder = family == "t5"  # as scripts do: after the config was built
    data = rows(shape)
    trainer = ORPOTrainer(
        model=seeded(family),
        args=args,
        processing_class=make_tokenizer(bos_token=None if family == "t5" else "<s>"),
        train_dataset=data,
        eval_dataset=data,
    )
    before, loss = copy_of(trainer.model), trainer.evaluate()["eval_loss"]
    trainer.train()
    assert moved(trainer, before) >= {name for name, weight in before.items() if weight.any()}
    at_the_end = trainer.state.log_history[-2]
    assert at_the_end["step"] == 3
    assert at_the_end["eval_loss"] < loss
    assert "eval_rewards/margins" in at_the_end
    assert trainer.state.log_history[-1]["train_loss"] > 0


@pytest.mark.parametrize("shape", ROW_SHAPES)
def test_an_adapter_learns_and_its_base_stays(shape: str, tmp_path: Path) -> None:
    data = rows(shape)
    trainer = ORPOTrainer(
        model=seeded("qwen2"),
        args=quick(tmp_path, max_steps=2, gradient_accumulation_steps=4, learning_rate=0.9),
        processing_class=make_tokenizer(),
        train_dataset=data,
        eval_dataset=data,
        peft_config=LoraConfig(r=16, lora_alpha=32, lora_dropout=0.05, bias="none", task_type="CAUSAL_LM"),
    )
    before = copy_of(trainer.model)
    trainer.train()
    assert moved(trainer, before) == {name for name in before if "lora_" in name}


def test_a_function_of_predictions_is_logged_with_each_evaluation(tmp_path: Path) -> None:
    seen: list[tuple[int, ...]] = []

    def judge(predictions: Any) -> dict[str, float]:
        seen.append(predictions.predictions.shape)
        return {"test": 0.25}

    trainer = ORPOTrainer(
        model=seeded("qwen2"),
        args=quick(tmp_path, do_eval=True, eval_strategy="steps", eval_steps=1, per_device_eval_batch_size=2),
        processing_class=make_tokenizer(),
        train_dataset=rows("plain"),
        eval_dataset=rows("plain").select(range(3)),
        compute_metrics=judge,
    )
    trainer.train()
    assert trainer.state.log_history[-2]["eval_test"] == 0.25
    assert seen == [(3, 2)] * 3


def named(model: Any, folder: Path, **tokenizer: Any) -> str:
    """Save a model with its tokenizer, to be found by name."""
    model.save_pretrained(folder)
    make_tokenizer(**tokenizer).save_pretrained(folder)
    return str(folder)


def test_the_tokenizer_left_out_is_the_model_s_own(tmp_path: Path) -> None:
    name = named(seeded("qwen3"), tmp_path / "model", bos_token=None)
    trainer = ORPOTrainer(
        model=Qwen3ForCausalLM.from_pretrained(name, dtype="float32"),
        args=quick(tmp_path, max_steps=1),
        train_dataset=rows("chat"),
    )
    assert (trainer.processing_class.bos_token, trainer.processing_class.eos_token) == (None, "</s>")
    trainer.train()


@pytest.mark.parametrize("kind", [dict, DatasetDict])
def test_evaluation_sets_by_name_are_each_tokenized(kind: Any, tmp_path: Path) -> None:
    sets = {"short": rows("plain").select(range(2)), "long": rows("plain").select(range(5))}
    trainer = ORPOTrainer(
        model=seeded("qwen2"),
        args=quick(tmp_path),
        processing_class=make_tokenizer(),
        train_dataset=rows("plain"),
        eval_dataset=kind(sets),
    )
    assert {name: len(part) for name, part in trainer.eval_dataset.items()} == {"short": 2, "long": 5}
    for part in trainer.eval_dataset.values():
        assert part[0]["chosen_input_ids"][-1] == trainer.processing_class.eos_token_id


def test_without_evaluation_rows_there_are_none(tmp_path: Path) -> None:
    trainer = ORPOTrainer(tiny_llama(), quick(tmp_path), None, rows("plain"), None, make_tokenizer())
    assert trainer.eval_dataset is None


def test_a_model_by_name_trains_under_checkpointing_and_by_defaults(tmp_path: Path) -> None:
    name = named(seeded("qwen2"), tmp_path / "model")
    # With its own keywords it is taken at its word.
    checkpointing = {"gradient_checkpointing": True, "gradient_checkpointing_kwargs": {"use_reentrant": False}}
    args = quick(tmp_path, learning_rate=0.1, **checkpointing, max_steps=-1, num_train_epochs=1)
    trainer = ORPOTrainer(model=name, args=args, train_dataset=rows("plain"))
    before = copy_of(trainer.model)
    trainer.train()
    assert trainer.model.is_gradient_checkpointing
    assert moved(trainer, before) == set(before)
    assert trainer.state.global_step == 4  # eight pairs, two at a time


@pytest.mark.parametrize("steps", [2, 6])
def test_evaluation_comes_at_the_steps_asked_for(steps: int, tmp_path: Path) -> None:
    name = named(seeded("qwen2"), tmp_path / "model")
    args = quick(tmp_path, eval_strategy="steps", eval_steps=2, max_steps=steps)
    trainer = ORPOTrainer(model=name, args=args, train_dataset=rows("plain"), eval_dataset=rows("chat"))
    trainer.train()
    evaluated = [entry["step"] for entry in trainer.state.log_history if "eval_loss" in entry]
    assert evaluated == list(range(2, steps + 1, 2))


def test_float16_weights_stay_float16_and_finite_where_trl_s_become_nan(tmp_path: Path, caplog: Any) -> None:
    name = named(seeded("qwen2"), tmp_path / "model")
    args = quick(tmp_path, model_init_kwargs={"dtype": torch.float16}, learning_rate=0.05)
    with caplog.at_level("WARNING"):
        trainer = ORPOTrainer(model=name, args=args, train_dataset=rows("plain"))
    assert "adam_epsilon" in caplog.text
    before = copy_of(trainer.model)
    trainer.train()
    assert {weight.dtype for weight in trainer.model.parameters()} == {torch.float16}
    assert moved(trainer, before) >= {name for name in before if "layernorm" not in name}


REMOTE_CODE = """
from transformers import LlamaConfig, LlamaForCausalLM


class HouseConfig(LlamaConfig):
    model_type = "house"


class HouseForCausalLM(LlamaForCausalLM):
    config_class = HouseConfig
"""


def test_a_model_s_own_code_runs_only_if_trusted(tmp_path: Path) -> None:
    name = named(LlamaForCausalLM(LlamaConfig(**SMALL)), tmp_path / "house")
    settings = json.loads((tmp_path / "house" / "config.json").read_text())
    settings |= {
        "model_type": "house",
        "architectures": ["HouseForCausalLM"],
        "auto_map": {"AutoConfig": "house.HouseConfig", "AutoModelForCausalLM": "house.HouseForCausalLM"},
    }
    (tmp_path / "house" / "config.json").write_text(json.dumps(settings))
    (tmp_path / "house" / "house.py").write_text(REMOTE_CODE)
    kwargs: dict[str, Any] = {"processing_class": make_tokenizer(), "train_dataset": rows("plain")}
    with pytest.raises(ValueError, match="custom code"):
        ORPOTrainer(model=name, args=quick(tmp_path), **kwargs)
    trainer = ORPOTrainer(model=name, args=quick(tmp_path, trust_remote_code=True), **kwargs)
    assert type(trainer.model).__name__ == "HouseForCausalLM"


@pytest.mark.parametrize("adapter", [None, LoraConfig()])
def test_what_trained_the_model_is_tagged(adapter: Any, tmp_path: Path) -> None:
    trainer = ORPOTrainer(
        seeded("qwen2"),
        quick(tmp_path),
        train_dataset=rows("plain"),
        processing_class=make_tokenizer(),
        peft_config=adapter,
    )
    assert list(trainer.model.model_tags) == ["orpo-compat", "orpo"]
