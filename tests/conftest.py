"""Small real things the tests share: a byte-level BPE tokenizer, models built from configs, preference rows."""

from __future__ import annotations

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# Python's readline tells every process that is started after its import the size of a terminal, so the workers of
# pytest-xdist and what they start: it would break what commands print into pipes.
os.environ.pop("COLUMNS", None)
os.environ.pop("LINES", None)

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHAT_TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}{{ eos_token }}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)

TEXT = (
    "The capital of Japan is Tokyo. Two plus two is four, and water boils at one hundred degrees. "
    "I do not know. Please name a colour of the sky: it is blue, or grey when it rains. "
    "def add(a, b): return a + b  # a function that adds. Why do birds sing? They sing to find a mate. "
)

PAIRS = {
    "prompt": [
        "What is the capital of Japan?",
        "Two plus two?",
        "Name a colour of the sky when it rains and the birds do not sing:",
        "Why do birds sing?",
        "Write a function that adds two numbers. ",
        "At which degrees does water boil?",
        "Hi",
        "Is it blue?",
    ],
    "chosen": [
        " The capital of Japan is Tokyo.",
        " It is four.",
        " grey",
        " They sing to find a mate.",
        "def add(a, b): return a + b  # adds a and b",
        " At one hundred degrees.",
        " Please name what you want to know!",
        " Yes, it is blue, or grey when it rains.",
    ],
    "rejected": [
        " I do not know.",
        " It is five, as two and two is always five, or one hundred.",
        " blue, it is blue",
        " No.",
        "I do not write.",
        " At Tokyo.",
        " Hi",
        " No",
    ],
}


@pytest.fixture(autouse=True)
def one_environment() -> Iterator[None]:
    """Keep the one `os.environ` that every module holds: `datasets` puts a copy in its place when it maps in processes.

    A test that sets a variable would set it in the copy from then on, and rich, for one, reads the first.
    """
    first = os.environ
    yield
    os.environ = first  # noqa: B003 - to put back the object is the point


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    """A byte-level BPE of 384 tokens with BOS, EOS and PAD, trained on the spot."""
    return make_tokenizer()


def make_tokenizer(**special: Any) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=384,
        special_tokens=["<pad>", "<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator([TEXT] * 4, trainer)
    names = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>", **special}
    wrapped = PreTrainedTokenizerFast(tokenizer_object=bpe, **{k: v for k, v in names.items() if v is not None})
    wrapped.chat_template = CHAT_TEMPLATE
    return wrapped


def tiny_llama(seed: int = 0, **overrides: Any) -> Any:
    """Build a two-layer Llama of hidden size 32 with seeded float32 weights."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    settings = {
        "vocab_size": 384,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "initializer_range": 0.2,
        **overrides,
    }
    torch.manual_seed(seed)
    return LlamaForCausalLM(LlamaConfig(**settings))


@pytest.fixture
def pairs() -> Any:
    """Eight preference pairs of uneven lengths as a dataset of strings."""
    from datasets import Dataset

    return Dataset.from_dict(PAIRS)


@pytest.fixture(scope="session")
def docs_hub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hub cache with a tiny model under every name that the documents load."""
    from tests import docs_stage

    cache = tmp_path_factory.mktemp("hub")
    docs_stage.fill_hub_cache(cache)
    return cache
