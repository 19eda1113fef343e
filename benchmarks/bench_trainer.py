"""Measure orpo-compat's trainer against TRL's: same model, pairs and settings, fresh processes in turn.

    python benchmarks/bench_trainer.py --setting defaults --steps 3 --rounds 3 [--data pairs.json] [--out result.json]

Every round runs ours and theirs one after the other, so that a machine that drifts drifts for both. The losses of
both arms are compared in the same run: a faster number that is another number counts for nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from pairs import load_pairs, save_tokenizer, short_prompts  # noqa: E402  # this folder is no package

# The shape of SmolLM-135M.
MODEL: dict[str, Any] = {
    "vocab_size": 49152,
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "max_position_embeddings": 2048,
    "tie_word_embeddings": True,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
COMMON: dict[str, Any] = {
    "use_cpu": True,
    "logging_steps": 1,
    "report_to": [],
    "save_strategy": "no",
    "disable_tqdm": True,
    "seed": 11,
    "learning_rate": 1e-5,
}
SETTINGS: dict[str, dict[str, Any]] = {
    "defaults": {"bf16": True, "per_device_train_batch_size": 8, "max_length": 1024},
    "lora": {"bf16": True, "per_device_train_batch_size": 8, "max_length": 1024},
    "float32": {
        "bf16": False,
        "gradient_checkpointing": False,
        "per_device_train_batch_size": 2,
        "max_length": 512,
    },
}


def main() -> int:
    """Run the rounds, print a table, return 1 if the arms' losses differ."""
    options = parse_options()
    task = base_task(options)
    with tempfile.TemporaryDirectory() as folder:
        pairs, tokenizer_file = load_pairs(options.data), Path(folder, "tokenizer.json")
        save_tokenizer(pairs, tokenizer_file)
        pairs = short_prompts(pairs, tokenizer_file, task["settings"]["max_length"] - 32)[: options.pairs]
        Path(folder, "pairs.json").write_text(json.dumps(pairs), encoding="utf-8")
        task |= {"pairs": f"{folder}/pairs.json", "tokenizer": f"{folder}/tokenizer.json"}
        runs: list[dict[str, Any]] = []
        for number in range(options.rounds):
            for arm in options.arms:
                runs.append(run_arm(task | {"arm": arm}))
                show(number, runs[-1])
    verdict = summarize(runs, options.setting)
    if options.out:
        options.out.write_text(json.dumps({"task": task, "runs": runs, "summary": verdict}, indent=1), encoding="utf-8")
    return 0 if verdict["losses_equal"] else 1


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--setting", choices=sorted(SETTINGS), default="defaults", help="row of the table")
    parser.add_argument("--data", type=Path, help="ShareGPT JSON; the built-in sample by default")
    parser.add_argument("--pairs", type=int, default=64, help="how many pairs to draw from it")
    parser.add_argument("--steps", type=int, default=3, help="optimizer steps of each run")
    parser.add_argument("--rounds", type=int, default=3, help="how often each arm runs")
    parser.add_argument("--constructions", type=int, default=1, help="build the trainer so often (tokenization)")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="of torch and the tokenizer")
    parser.add_argument("--arms", nargs="+", choices=("ours", "theirs"), default=["ours", "theirs"])
    parser.add_argument("--batch", type=int, help="pairs per step, instead of the setting's")
    parser.add_argument("--vocabulary", type=int, help="vocabulary size, instead of 49152")
    parser.add_argument("--layers", type=int, help="layers, instead of 30")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=JSON", help="further training arguments")
    parser.add_argument("--out", type=Path, help="write everything measured to this JSON file")
    return parser.parse_args()


def base_task(options: argparse.Namespace) -> dict[str, Any]:
    """Say what every run of this call has in common."""
    settings = COMMON | SETTINGS[options.setting] | {"max_steps": options.steps}
    settings |= {name: json.loads(value) for name, value in (item.split("=", 1) for item in options.set)}
    if options.batch:
        settings["per_device_train_batch_size"] = options.batch
    model = MODEL | ({"vocab_size": options.vocabulary} if options.vocabulary else {})
    model |= {"num_hidden_layers": options.layers} if options.layers else {}
    return {
        "settings": settings,
        "model": model,
        "lora": options.setting == "lora",
        "threads": options.threads,
        "constructions": options.constructions,
    }


def run_arm(task: dict[str, Any]) -> dict[str, Any]:
    """Run one arm in a fresh interpreter and read the JSON line that it prints last."""
    threads = str(task["threads"])
    environment = os.environ | {"OMP_NUM_THREADS": threads, "RAYON_NUM_THREADS": threads}
    # So that a checkout can be measured without installing it.
    environment["PYTHONPATH"] = os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, str(HERE / "arm.py")],
        input=json.dumps(task),
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    if done.returncode != 0:
        raise SystemExit(f"arm {task['arm']} failed:\n{done.stderr[-3000:]}")
    report: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return report


def show(number: int, run: dict[str, Any]) -> None:
    """Print one run as it ends."""
    print(
        f"round {number + 1} {run['arm']:6} ({run['path']}): {run['train_s']:7.1f} s, cpu {run['cpu_s']:7.1f} s, "
        f"peak {run['peak_mb']:6.0f} MB (fixed {run['fixed_mb']:5.0f}), set up {run['construct_s'][0]:5.1f} s, "
        f"loss {run['loss']}",
        file=sys.stderr,
        flush=True,
    )


def summarize(runs: list[dict[str, Any]], setting: str) -> dict[str, Any]:
    """Take medians, compare losses, print the row."""
    by_arm = {arm: [run for run in runs if run["arm"] == arm] for arm in {run["arm"] for run in runs}}
    medians: dict[str, dict[str, Any]] = {
        arm: {key: statistics.median(run[key] for run in some) for key in ("train_s", "cpu_s", "peak_mb")}
        for arm, some in by_arm.items()
    }
    for arm, some in by_arm.items():
        medians[arm]["construct_s"] = [
            statistics.median(times) for times in zip(*(run["construct_s"] for run in some), strict=True)
        ]
    summary: dict[str, Any] = {"setting": setting, "medians": medians, "losses_equal": True}
    if "ours" in by_arm:
        rates = [run["needed_gflop"] / run["cpu_s"] for run in by_arm["ours"]]
        summary["needed_gflop_per_cpu_s"] = statistics.median(rates)
        summary["share_of_matmul_rate"] = statistics.median(
            rate / run["matmul_gflop_s"] for rate, run in zip(rates, by_arm["ours"], strict=True)
        )
    if len(by_arm) == 2:
        ours, theirs = medians["ours"], medians["theirs"]
        gaps = {
            name: max(
                abs(a - b) / max(abs(b), 1e-12)
                for a, b in zip(by_arm["ours"][0][name], by_arm["theirs"][0][name], strict=True)
            )
            for name in ("loss", "grad_norm")
        }
        # bfloat16 keeps 8 bits; two right orders of summation differ in the third digit of a gradient's norm.
        allowed = {"loss": 2e-3, "grad_norm": 2e-2} if setting != "float32" else {"loss": 1e-5, "grad_norm": 1e-4}
        summary |= {
            "times_faster": theirs["train_s"] / ours["train_s"],
            "times_less_cpu": theirs["cpu_s"] / ours["cpu_s"],
            "share_of_memory": ours["peak_mb"] / theirs["peak_mb"],
            "relative_gap": gaps,
            "losses_equal": all(gaps[name] <= allowed[name] for name in gaps),
        }
    print(json.dumps(summary, indent=1))
    return summary


if __name__ == "__main__":
    raise SystemExit(main())
