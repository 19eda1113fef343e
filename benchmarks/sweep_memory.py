"""Measure how training memory grows with the vocabulary, the batch or the length; prints one line per size.

    python benchmarks/sweep_memory.py vocabulary 32768 65536 131072 262144 [--layers 10] [--arm ours]
    python benchmarks/sweep_memory.py batch 2 4 8 16
    python benchmarks/sweep_memory.py length 256 512 1024

What is printed is the peak beyond the imports, less the weights, their gradients and the optimizer's state: what the
trainer itself takes. Batches go over the same pairs, in as many steps as they need.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from bench_trainer import COMMON, MODEL, run_arm  # noqa: E402  # this folder is no package
from pairs import load_pairs, save_tokenizer, short_prompts  # noqa: E402


def main() -> int:
    """Run every size in a process of its own."""
    options = parse_options()
    beyond = []
    with tempfile.TemporaryDirectory() as folder:
        for size in options.sizes:
            run = run_arm(task_for(options, size, Path(folder)))
            beyond.append(run["peak_mb"] - run["fixed_mb"])
            print(
                f"{options.what} {size:7d}: {beyond[-1]:7.0f} MB beyond {run['fixed_mb']:.0f} ({run['path']})",
                flush=True,
            )
    print(
        json.dumps(
            {"what": options.what, "sizes": options.sizes, "beyond_mb": beyond, "spread": max(beyond) / min(beyond)}
        )
    )
    return 0


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("vocabulary", "batch", "length"))
    parser.add_argument("sizes", type=int, nargs="+")
    parser.add_argument("--arm", choices=("ours", "theirs"), default="ours")
    parser.add_argument("--data", type=Path, help="ShareGPT JSON; the built-in sample by default")
    parser.add_argument("--pairs", type=int, default=16, help="pairs gone through once, whatever the batch")
    parser.add_argument("--layers", type=int, default=10)
    parser.add_argument("--length", type=int, default=1024, help="max_length")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def task_for(options: argparse.Namespace, size: int, folder: Path) -> dict[str, Any]:
    """Say what the run of one size is."""
    chosen = {"vocabulary": MODEL["vocab_size"], "batch": options.batch, "length": options.length} | {
        options.what: size
    }
    pairs, tokenizer = load_pairs(options.data), folder / "tokenizer.json"
    save_tokenizer(pairs, tokenizer)
    pairs = short_prompts(pairs, tokenizer, chosen["length"] - 32)[: options.pairs]
    (folder / "pairs.json").write_text(json.dumps(pairs), encoding="utf-8")
    settings = COMMON | {
        "bf16": options.bf16,
        "num_train_epochs": 1,
        "per_device_train_batch_size": chosen["batch"],
        "max_length": chosen["length"],
    }
    return {
        "arm": options.arm,
        "settings": settings,
        "model": MODEL | {"vocab_size": chosen["vocabulary"], "num_hidden_layers": options.layers},
        "lora": False,
        "threads": options.threads,
        "pairs": str(folder / "pairs.json"),
        "tokenizer": str(tokenizer),
    }


if __name__ == "__main__":
    raise SystemExit(main())
