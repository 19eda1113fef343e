"""Set the memory that ``orpo-compat plan`` computes beside the memory that training took, on this machine's CPU.

    python benchmarks/check_plan.py [--layers 8] [--lengths 256 1024] [--vocabularies 32768 131072]

What is compared is the growth from the first size to the last, for both trainers: a process's constant share (the
allocator's, the data's) drops out of it. Every pair fills the length, half of it prompt, so that all batches are alike;
batches of two pairs, three steps, each run a process of its own.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from bench_trainer import run_arm  # noqa: E402  # this folder is no package
from pairs import load_pairs  # noqa: E402
from sweep import task_for  # noqa: E402

from orpo_compat.planning.lengths import PairShape  # noqa: E402
from orpo_compat.planning.memory import Setup, packed_memory, padded_memory  # noqa: E402
from orpo_compat.planning.shapes import shape_from_config  # noqa: E402

BATCH = 2


def main() -> int:
    """Run every size with both trainers and print what each grew by."""
    options = parse_options()
    for bf16 in (False, True):
        for what, sizes in (("length", options.lengths), ("vocabulary", options.vocabularies)):
            for arm in ("ours", "theirs"):
                points = [measure(options, what, size, arm, bf16) for size in (sizes[0], sizes[-1])]
                measured, computed = (points[1][i] - points[0][i] for i in range(2))
                precision = "bf16" if bf16 else "fp32"
                print(
                    f"{precision} {what} {sizes[0]} to {sizes[-1]}, {arm}: measured +{measured:.0f} MB, "
                    f"computed +{computed:.0f} MB, ratio {computed / measured:.2f}",
                    flush=True,
                )
    return 0


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--lengths", type=int, nargs=2, default=(256, 1024))
    parser.add_argument("--vocabularies", type=int, nargs=2, default=(32768, 131072))
    parser.add_argument("--pairs", type=int, default=6)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def measure(options: argparse.Namespace, what: str, size: int, arm: str, bf16: bool) -> tuple[float, float]:
    """Megabytes beyond weights, gradients and optimizer: measured and computed."""
    sweep = argparse.Namespace(
        what=what, sizes=[size], data=None, pairs=options.pairs, layers=options.layers, length=512,
        batch=BATCH, bf16=bf16, threads=options.threads,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        task = task_for(sweep, size, Path(folder)) | {"arm": arm}
        fill(Path(folder), task["settings"]["max_length"], options.pairs)
        # Whole layers computed again and the batch in one pass, as a GPU's memory is planned for both trainers.
        task["settings"]["gradient_checkpointing_kwargs"] = {"use_reentrant": False}
        if arm == "ours":
            task["settings"]["tokens_per_pass"] = None
        run = run_arm(task)
        computed = predict(task, Path(folder), arm, bf16)
    return run["peak_mb"] - run["fixed_mb"], computed / 2**20


def fill(folder: Path, length: int, count: int) -> None:
    """Replace the pairs by such as fill the length: a prompt of half of it, responses that are cut."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    words = " ".join(" ".join(row.values()) for row in load_pairs(None)).split()

    def text(tokens: int, start: int) -> str:
        ids = tokenizer.encode(" ".join(words[start : start + tokens])).ids[:tokens]
        decoded: str = tokenizer.decode(ids)
        return decoded

    starts = range(0, 4 * length * count, 4 * length)
    rows = [
        {
            "prompt": text(length // 2, at),
            "chosen": text(length, at + length),
            "rejected": text(length, at + 2 * length),
        }
        for at in starts
    ]
    (folder / "pairs.json").write_text(json.dumps(rows), encoding="utf-8")


def predict(task: dict[str, Any], folder: Path, arm: str, bf16: bool) -> float:
    """What the plan's formulas give for the same task, in bytes."""
    shape = shape_from_config(task["model"], "benchmark")
    pairs = lengths(folder, task["settings"]["max_length"])
    setup = Setup(precision="mixed" if bf16 else "fp32", keeping="inputs", device="cpu")
    batches = [pairs[start : start + BATCH] for start in range(0, len(pairs), BATCH)]
    if arm == "theirs":
        memory = padded_memory(shape, setup, rows=max(2 * len(b) * max(p.longest for p in b) for b in batches))
    else:
        tokens = max(sum(pair.packed for pair in batch) for batch in batches)
        memory = packed_memory(shape, setup, tokens=tokens, rows=tokens)
    return memory.total - memory.fixed


def lengths(folder: Path, max_length: int) -> list[PairShape]:
    """The pairs in tokens, cut as training cuts them; one token before a sequence and one after."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    shapes = []
    for row in json.loads((folder / "pairs.json").read_text(encoding="utf-8")):
        prompt, chosen, rejected = (len(tokenizer.encode(row[name]).ids) for name in ("prompt", "chosen", "rejected"))
        room = max(1, max_length - prompt - 1)
        shapes.append(PairShape(prompt + 1, min(chosen + 1, room), min(rejected + 1, room)))
    return shapes


if __name__ == "__main__":
    raise SystemExit(main())
