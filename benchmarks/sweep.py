"""Measure how training time and memory grow with the vocabulary, the batch or the length; prints a line per run.

    python benchmarks/sweep.py vocabulary 32768 65536 131072 262144 [--layers 10] [--arms ours theirs] [--out FILE]
    python benchmarks/sweep.py batch 2 4 8 16 --steps 3
    python benchmarks/sweep.py length 256 512 1024

Memory is the peak beyond the imports, less the weights, their gradients and the optimizer's state: what the trainer
itself takes. Time is processor time per pair. Every size is a process of its own; all sizes go over the same pairs, and
with more than one arm the arms take turns.
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
    """Run every size and arm in a process of its own."""
    options = parse_options()
    points: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for size in options.sizes:
            for arm in options.arms:
                points.append(measure(task_for(options, size, Path(folder)) | {"arm": arm}, size))
                print("{arm:6} {size:7d}: {beyond_mb:6.0f} MB, {cpu_s_per_pair:6.2f} s a pair".format(**points[-1]))
                sys.stdout.flush()
    result = {"what": options.what, "points": points, "spread": spreads(points)}
    print(json.dumps(result["spread"]))
    if options.out:
        options.out.write_text(json.dumps(result, indent=1), encoding="utf-8")
    return 0


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("vocabulary", "batch", "length"))
    parser.add_argument("sizes", type=int, nargs="+")
    parser.add_argument("--arms", nargs="+", choices=("ours", "theirs"), default=["ours"])
    parser.add_argument("--data", type=Path, help="ShareGPT JSON; the built-in sample by default")
    parser.add_argument("--pairs", type=int, default=48, help="pairs gone through once, whatever the batch")
    parser.add_argument("--layers", type=int, default=10)
    parser.add_argument("--length", type=int, default=512, help="max_length")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, help="write the points to this JSON file")
    return parser.parse_args()


def measure(task: dict[str, Any], size: int) -> dict[str, Any]:
    """Run one arm at one size."""
    run = run_arm(task)
    return {
        "arm": task["arm"],
        "size": size,
        "beyond_mb": run["peak_mb"] - run["fixed_mb"],
        "peak_mb": run["peak_mb"],
        "cpu_s_per_pair": run["cpu_s"] / (len(run["step_s"]) * task["settings"]["per_device_train_batch_size"]),
        "path": run["path"],
    }


def spreads(points: list[dict[str, Any]]) -> dict[str, float]:
    """Return, for each arm, the largest memory over the smallest."""
    by_arm: dict[str, list[float]] = {}
    for point in points:
        by_arm.setdefault(point["arm"], []).append(point["beyond_mb"])
    return {arm: max(sizes) / min(sizes) for arm, sizes in by_arm.items()}


def task_for(options: argparse.Namespace, size: int, folder: Path) -> dict[str, Any]:
    """Say what the run of one size is."""
    chosen = {"vocabulary": MODEL["vocab_size"], "batch": options.batch, "length": options.length} | {
        options.what: size
    }
    shortest = min(options.sizes) if options.what == "length" else options.length
    pairs, tokenizer = load_pairs(options.data), folder / "tokenizer.json"
    save_tokenizer(pairs, tokenizer)
    pairs = short_prompts(pairs, tokenizer, shortest - 32)[: options.pairs]
    (folder / "pairs.json").write_text(json.dumps(pairs), encoding="utf-8")
    settings = COMMON | {
        "bf16": options.bf16,
        "num_train_epochs": 1,
        "per_device_train_batch_size": chosen["batch"],
        "max_length": chosen["length"],
        "dataloader_drop_last": True,
    }
    return {
        "settings": settings,
        "model": MODEL | {"vocab_size": chosen["vocabulary"], "num_hidden_layers": options.layers},
        "lora": False,
        "threads": options.threads,
        "pairs": str(folder / "pairs.json"),
        "tokenizer": str(tokenizer),
    }


if __name__ == "__main__":
    raise SystemExit(main())
