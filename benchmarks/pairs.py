"""Preference pairs to measure with: a ShareGPT file of your own, or a seeded sample with the lengths of a real one.

Also the tokenizer: byte-pair merges learnt from the pairs themselves, so that nothing has to be downloaded.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

# Characters at the 0, 25, 50, 75 and 100 % quantiles of 300 real English pairs (prompts, responses).
PROMPT_QUANTILES = (20, 236, 768, 3074, 13283)
RESPONSE_QUANTILES = (10, 500, 1450, 2250, 4800)
SYLLABLES = ("ra", "ten", "lo", "mi", "sor", "ve", "ka", "dun", "el", "po", "shi", "an", "gre", "tu", "ble", "ix")


def load_pairs(path: Path | None) -> list[dict[str, str]]:
    """Return rows of prompt, chosen and rejected, shuffled with a fixed seed.

    Raises:
        ValueError: the file holds no such rows; it must be a JSON list of ShareGPT pairs.
    """
    if path is None:
        return sample_pairs(300)
    rows = json.loads(path.read_text(encoding="utf-8"))
    if not rows or not {"conversations", "chosen", "rejected"} <= set(rows[0]):
        raise ValueError(f"{path}: expected a JSON list of rows with conversations, chosen and rejected")
    pairs = [_flatten(row) for row in rows]
    random.Random(0).shuffle(pairs)
    return pairs


def _flatten(row: dict[str, Any]) -> dict[str, str]:
    turns = "".join(f"<{turn['from']}>\n{turn['value']}\n" for turn in row["conversations"])
    return {"prompt": turns + "<gpt>\n", "chosen": row["chosen"]["value"], "rejected": row["rejected"]["value"]}


def sample_pairs(count: int) -> list[dict[str, str]]:
    """Draw pairs of made-up words whose lengths are spread like those of real ones."""
    draw = random.Random(0)
    words = ["".join(draw.choices(SYLLABLES, k=draw.randint(1, 4))) for _ in range(3000)]

    def text(quantiles: tuple[int, ...]) -> str:
        band = draw.randrange(4)
        size = draw.randint(quantiles[band], quantiles[band + 1])
        return " ".join(draw.choices(words, k=max(1, size // 7)))

    return [
        {"prompt": text(PROMPT_QUANTILES), "chosen": text(RESPONSE_QUANTILES), "rejected": text(RESPONSE_QUANTILES)}
        for _ in range(count)
    ]


def short_prompts(pairs: list[dict[str, str]], tokenizer_file: Path, limit: int) -> list[dict[str, str]]:
    """Leave out the pairs whose prompt would fill ``max_length``: TRL's loss of them is NaN, and so is all after."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    return [pair for pair in pairs if len(tokenizer.encode(pair["prompt"]).ids) <= limit]


def save_tokenizer(pairs: list[dict[str, str]], path: Path, size: int = 8192) -> None:
    """Learn byte-pair merges from the pairs and write the tokenizer."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=["<pad>", "<s>", "</s>"], show_progress=False)
    tokenizer.train_from_iterator((text for pair in pairs for text in pair.values()), trainer)
    tokenizer.save(str(path))
