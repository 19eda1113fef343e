"""A look-up past the end of an embedding is said in words, on both paths; any other IndexError passes through."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaModel

from orpo_compat import ORPOConfig, ORPOTrainer
from orpo_compat.embedding_limits import explained_lookups
from orpo_compat.errors import DataError, ModelError
from tests.conftest import tiny_llama
from tests.orpo_compat.runs import SETTINGS


def small_gpt2(**sizes: int) -> GPT2LMHeadModel:
    config = GPT2Config(n_embd=32, n_layer=1, n_head=4, bos_token_id=0, eos_token_id=0, **sizes)
    return GPT2LMHeadModel(config)


def train(model: Any, folder: Path, tokenizer: Any, pairs: Any, packing: str) -> None:
    args = ORPOConfig(output_dir=str(folder), **{**SETTINGS, "max_steps": 1, "packing": packing})
    ORPOTrainer(model, args, train_dataset=pairs, processing_class=tokenizer).train()


@pytest.mark.parametrize("packing", ["auto", "never"])
def test_a_tokenizer_with_more_tokens_than_the_model_is_named(
    packing: str, tmp_path: Path, tokenizer: Any, pairs: Any
) -> None:
    with pytest.raises(DataError, match=r"token id \d+, the model embeds 8 tokens: .*\n  Next: pass the model's own"):
        train(small_gpt2(vocab_size=8), tmp_path, tokenizer, pairs, packing)


@pytest.mark.parametrize("packing", ["auto", "never"])
def test_rows_longer_than_the_positions_are_named_with_the_length_to_give(
    packing: str, tmp_path: Path, tokenizer: Any, pairs: Any
) -> None:
    with pytest.raises(DataError, match=r"holds \d+ tokens in a row, the model has 4 positions.\n.*max_length=4"):
        train(small_gpt2(vocab_size=len(tokenizer), n_positions=4), tmp_path, tokenizer, pairs, packing)


def test_an_index_error_that_the_batch_does_not_explain_stays_itself() -> None:
    with (
        pytest.raises(IndexError, match="mine"),
        explained_lookups(tiny_llama(), {"chosen_input_ids": torch.zeros(1, 2)}),
    ):
        raise IndexError("mine")


def test_a_model_without_a_head_is_named(tmp_path: Path, tokenizer: Any, pairs: Any) -> None:
    with pytest.raises(
        ModelError, match=r"LlamaModel returned no logits: .*\n  Next: load it with AutoModelForCausalLM"
    ):
        train(LlamaModel(tiny_llama().config), tmp_path, tokenizer, pairs, "auto")


def test_a_tokenizer_s_name_is_answered_with_how_to_load_it(tmp_path: Path, pairs: Any) -> None:
    with pytest.raises(TypeError, match=r"got the str 'gpt2'; pass AutoTokenizer.from_pretrained\('gpt2'\)"):
        train(tiny_llama(), tmp_path, "gpt2", pairs, "auto")
