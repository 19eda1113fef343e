"""The project's own small tokenizer: a byte-level BPE of 512 tokens, trained on the embedded pairs.

It exists so that a parity run needs no network. Training is deterministic, and a test rebuilds the bundled file.
Rebuild it with ``python -m parity.tokenizer``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from parity.catalog import MODELS
from parity.rows import embedded_pairs

VOCABULARY = 512
SPECIALS = ("<pad>", "<s>", "</s>", "<|user|>", "<|assistant|>", "<|system|>")
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] + '</s>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
BUNDLED = MODELS / "tokenizer.json"


def build() -> dict[str, Any]:
    """Train the tokenizer and return ``tokenizer.json`` in the form that releases before 0.20 read as well."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIALS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    text = [pair[column] for pair in embedded_pairs() for column in ("prompt", "chosen", "rejected")]
    tokenizer.train_from_iterator(text, trainer)
    content: dict[str, Any] = json.loads(tokenizer.to_str())
    merges = content["model"]["merges"]
    content["model"]["merges"] = [" ".join(merge) if isinstance(merge, list) else merge for merge in merges]
    return content


def write(folder: Path) -> None:
    """Put the bundled tokenizer into a model folder."""
    (folder / "tokenizer.json").write_bytes(BUNDLED.read_bytes())
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<s>",
        "eos_token": "</s>",
        "pad_token": "<pad>",
        "model_max_length": 100000,
        "clean_up_tokenization_spaces": False,
        "chat_template": CHAT_TEMPLATE,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2), encoding="utf-8")
    tokens = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}
    (folder / "special_tokens_map.json").write_text(json.dumps(tokens), encoding="utf-8")


if __name__ == "__main__":
    BUNDLED.write_text(json.dumps(build(), indent=1) + "\n", encoding="utf-8")
