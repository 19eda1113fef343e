"""A folder in which the documents' commands find what they name: data, a repository, and models under hub names.

The models have the shape that their name promises in kind only (a Llama, a T5, a Mixtral) and a few thousand weights.
They lie in a hub cache, so that ``meta-llama/Llama-3.2-1B`` loads without a network as it would with one.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from orpo_compat.tiny_model import tiny_model, tiny_tokenizer
from tests.conftest import PAIRS
from tests.docs_blocks import ROOT

REVISION = "0" * 40
IDENTITY = {
    f"GIT_{role}_{part}": value
    for role in ("AUTHOR", "COMMITTER")
    for part, value in (("NAME", "docs"), ("EMAIL", "docs@example.invalid"))
}
LLAMAS = (
    "HuggingFaceTB/SmolLM-135M",
    "HuggingFaceTB/SmolLM2-135M",
    "meta-llama/Llama-3.2-1B",
    "mistralai/Mistral-7B-v0.1",
)


def tiny_llama() -> Any:
    """A Llama whose layers are as wide as bitsandbytes' kernels for a CPU ask: in steps of 32."""
    return tiny_model(intermediate_size=192)


def tiny_t5() -> Any:
    """An encoder-decoder over the byte tokenizer's vocabulary."""
    from transformers import T5Config, T5ForConditionalGeneration

    return T5ForConditionalGeneration(
        T5Config(
            vocab_size=259, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4,
            decoder_start_token_id=0, pad_token_id=0, eos_token_id=2,
        )
    )  # fmt: skip


def tiny_mixtral() -> Any:
    """Four experts over the byte tokenizer's vocabulary."""
    from transformers import MixtralConfig, MixtralForCausalLM

    return MixtralForCausalLM(
        MixtralConfig(
            vocab_size=259, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, num_local_experts=4, max_position_embeddings=2048,
            pad_token_id=0, bos_token_id=1, eos_token_id=2,
        )
    )  # fmt: skip


def fill_hub_cache(cache: Path) -> None:
    """Put every model that the pages name into a hub cache."""
    stand_ins = {**dict.fromkeys(LLAMAS, tiny_llama), "google/flan-t5-base": tiny_t5}
    for name, build in {**stand_ins, "mistralai/Mixtral-8x7B-v0.1": tiny_mixtral}.items():
        folder = cache / f"models--{name.replace('/', '--')}"
        (folder / "refs").mkdir(parents=True)
        (folder / "refs" / "main").write_text(REVISION)
        build().save_pretrained(folder / "snapshots" / REVISION)
        tiny_tokenizer().save_pretrained(folder / "snapshots" / REVISION)


def fill_data(folder: Path) -> None:
    """Write the files of pairs and prompts that the pages read."""
    rows = [dict(zip(PAIRS, row, strict=True)) for row in zip(*PAIRS.values(), strict=True)]
    asked = ("", " Please.", " Be brief.", " Take your time.")
    more = [{**row, "prompt": row["prompt"] + how} for how in asked for row in rows]
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in more), "utf-8")
    for name, some in (("prefs.csv", more), ("held_out.csv", rows)):
        with (folder / name).open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(PAIRS))
            writer.writeheader()
            writer.writerows(some)
    (folder / "prompts.txt").write_text("What is the capital of Japan?\nWhy do birds sing?\n", "utf-8")


def fill_repository(folder: Path) -> None:
    """Copy the example repository and commit it, as a user's repository would be."""
    shutil.copytree(ROOT / "examples" / "repo", folder, ignore=shutil.ignore_patterns("__pycache__", ".orpo-compat"))
    for command in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-qm", "Train with TRL"]):
        subprocess.run(["git", *command], cwd=folder, check=True, env={**os.environ, **IDENTITY})


def environment(folder: Path) -> dict[str, str]:
    """What a command sees: our program first on the path, the hub cache, no network, one thread."""
    return {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "HF_HUB_CACHE": str(folder / "hub"),
        "HF_DATASETS_CACHE": str(folder / "datasets"),
        **IDENTITY,
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        "NO_COLOR": "1",
        "COLUMNS": "160",  # so that no line a page shows is broken
    }
