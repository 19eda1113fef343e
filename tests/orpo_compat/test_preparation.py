"""Models made ready: adapters, dropout, dtypes. Oracle: PEFT's and torch's own state, read back."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from orpo_compat.errors import ModelError
from orpo_compat.preparation import (
    attach_adapter,
    cast_for_4bit_bf16,
    disable_dropout,
    load_model,
    prepare_model,
    resolve_dtype,
)
from tests.conftest import tiny_llama

ARGS = SimpleNamespace(
    gradient_checkpointing=False, bf16=False, deepspeed_plugin=None, gradient_checkpointing_kwargs=None
)


def lora(**changes: Any) -> Any:
    from peft import LoraConfig

    return LoraConfig(r=2, target_modules=["q_proj"], lora_dropout=0.25, task_type="CAUSAL_LM", **changes)


def dropouts(model: nn.Module) -> set[float]:
    return {module.p for module in model.modules() if isinstance(module, nn.Dropout)}


def test_dropout_is_switched_off_everywhere_as_in_trl_with_a_word(caplog: Any) -> None:
    model, _ = attach_adapter(tiny_llama(), lora(), ARGS)
    with caplog.at_level(logging.WARNING, "orpo_compat.preparation"):
        disable_dropout(model, True)
    assert dropouts(model) == {0.0}
    assert "lora_dropout=0.25" in caplog.text
    assert "disable_dropout='base' keeps it" in caplog.text


def test_dropout_base_keeps_the_adapter_s_and_false_everything() -> None:
    model, _ = attach_adapter(tiny_llama(), lora(), ARGS)
    model.extra = nn.Dropout(0.5)
    disable_dropout(model, False)
    assert dropouts(model) == {0.25, 0.5}
    disable_dropout(model, "base")
    assert dropouts(model) == {0.25, 0.0}


@pytest.mark.parametrize(
    ("given", "expected"),
    [("auto", "auto"), ("bfloat16", torch.bfloat16), ("torch.float16", torch.float16), (torch.float32, torch.float32)],
)
def test_dtypes_may_be_names(given: Any, expected: Any) -> None:
    assert resolve_dtype(given) == expected


@pytest.mark.parametrize("wrong", ["bf17", "nn", "float"])
def test_a_name_that_is_no_dtype_is_refused(wrong: str) -> None:
    if isinstance(getattr(torch, wrong, None), torch.dtype):
        assert isinstance(resolve_dtype(wrong), torch.dtype)
        return
    with pytest.raises(ValueError, match="'auto' or name a torch dtype"):
        resolve_dtype(wrong)


@pytest.mark.parametrize("key", ["dtype", "torch_dtype"])
def test_a_model_is_loaded_in_the_dtype_asked_for_under_either_name(key: str, tmp_path: Path) -> None:
    tiny_llama().save_pretrained(tmp_path)
    keywords = {key: "bfloat16"}
    assert load_model(str(tmp_path), keywords, trust_remote_code=False).dtype == torch.bfloat16
    assert keywords == {key: "bfloat16"}


def test_an_encoder_decoder_is_loaded_as_one(tmp_path: Path) -> None:
    from tests.orpo_compat.test_trainer_models import tiny_t5

    tiny_t5().save_pretrained(tmp_path)
    assert type(load_model(str(tmp_path), None, trust_remote_code=False)).__name__ == "T5ForConditionalGeneration"


def test_a_second_adapter_is_refused() -> None:
    model, _ = attach_adapter(tiny_llama(), lora(), ARGS)
    with pytest.raises(ValueError, match="already is a PeftModel"):
        attach_adapter(model, lora(), ARGS)


def test_checkpointing_lets_gradients_into_a_frozen_base() -> None:
    args = SimpleNamespace(
        **{**vars(ARGS), "gradient_checkpointing": True, "model_init_kwargs": None, "disable_dropout": True}
    )
    model, _ = prepare_model(tiny_llama(), args, lora())
    hidden = model.get_input_embeddings()(torch.tensor([[1, 2]]))
    assert hidden.requires_grad


def test_zero_3_keeps_the_adapter_in_the_base_s_dtype() -> None:
    args = SimpleNamespace(**{**vars(ARGS), "deepspeed_plugin": SimpleNamespace(zero_stage=3)})
    for arguments, expected in ((args, torch.bfloat16), (ARGS, torch.float32)):
        model, _ = attach_adapter(tiny_llama().to(torch.bfloat16), lora(), arguments)
        assert {p.dtype for name, p in model.named_parameters() if "lora_" in name} == {expected}


def test_4bit_under_bf16_keeps_norms_in_float32_and_casts_the_ends() -> None:
    model = tiny_llama()
    model.model.norm.to(torch.bfloat16)
    cast_for_4bit_bf16(model)
    assert model.model.norm.weight.dtype == torch.float32
    assert model.lm_head.weight.dtype == model.model.embed_tokens.weight.dtype == torch.bfloat16
    assert model.model.layers[0].self_attn.q_proj.weight.dtype == torch.float32


@pytest.mark.parametrize(
    ("made", "name", "said"),
    [
        ((), "./nowhere", r"model '\./nowhere': no such folder.\n  Next: give a folder"),
        ((), "{folder}", r"it has no config.json; it holds nothing.\n  Next: give the folder that save_pretrained"),
        (("train.py",), "{folder}", "it holds train.py"),
        (
            ("adapter_config.json",),
            "{folder}",
            r"it holds an adapter only.\n  Next: load it with AutoPeftModelForCausalLM",
        ),
    ],
)
def test_a_folder_that_is_no_model_s_is_said_in_words(
    made: tuple[str, ...], name: str, said: str, tmp_path: Path
) -> None:
    for file in made:
        (tmp_path / file).write_text("{}")
    with pytest.raises(ModelError, match=said):
        load_model(name.format(folder=tmp_path), None, False)
