"""One measured training run of one trainer, alone in its process; prints what it saw as one JSON line.

Run by ``bench_trainer.py``. Decides nothing: model shape, data and settings come as a JSON object on standard input.
Time runs from the first step's begin to the last one's end; memory is the process's highest resident size less what
the imports had taken before the model was built.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, TrainerCallback


class Clock(TrainerCallback):
    """Notes when each step begins and ends."""

    def __init__(self) -> None:
        self.begins: list[float] = []
        self.ends: list[float] = []
        self.cpu_begins: list[float] = []
        self.cpu_ends: list[float] = []

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self.begins.append(time.perf_counter())
        self.cpu_begins.append(time.process_time())

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.ends.append(time.perf_counter())
        self.cpu_ends.append(time.process_time())


def main() -> None:
    """Build, train, report."""
    task = json.load(sys.stdin)
    torch.set_num_threads(task["threads"])
    config_class, trainer_class = trainer_of(task["arm"])
    from datasets import load_dataset

    adapter = adapter_config() if task["lora"] else None
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=task["tokenizer"], pad_token="<pad>", bos_token="<s>", eos_token="</s>"
    )
    after_imports = resident_bytes()
    clock = Clock()
    construct_s = []
    with tempfile.TemporaryDirectory() as folder:
        rows = load_dataset("json", data_files=task["pairs"], split="train", cache_dir=f"{folder}/cache")
        for _ in range(task.get("constructions", 1)):
            torch.manual_seed(0)
            model = LlamaForCausalLM(LlamaConfig(**task["model"]))
            started = time.perf_counter()
            trainer = trainer_class(
                model=model,
                args=config_class(output_dir=folder, **task["settings"]),
                train_dataset=rows,
                processing_class=tokenizer,
                peft_config=adapter,
                callbacks=[clock],
            )
            construct_s.append(time.perf_counter() - started)
        counted = count_packed() if task["arm"] == "ours" else None
        trainer.train()
    logs = [entry for entry in trainer.state.log_history if "loss" in entry]
    report = {
        "arm": task["arm"],
        "path": getattr(trainer, "active_path", "padded"),
        "construct_s": construct_s,
        "train_s": clock.ends[-1] - clock.begins[0],
        "cpu_s": clock.cpu_ends[-1] - clock.cpu_begins[0],
        "step_s": [end - begin for begin, end in zip(clock.begins, clock.ends, strict=True)],
        "peak_mb": (peak_bytes() - after_imports) / 2**20,
        "fixed_mb": fixed_bytes(trainer.model) / 2**20,
        "needed_gflop": needed_flop(trainer.model, counted) / 1e9 if counted else None,
        "matmul_gflop_s": matmul_rate(),
        **{
            name: [entry[name] for entry in logs] for name in ("loss", "grad_norm", "rewards/chosen", "rewards/margins")
        },
    }
    print(json.dumps(report))


def trainer_of(arm: str) -> tuple[Any, Any]:
    """Return an arm's config and trainer class. Each arm imports only its own."""
    if arm == "theirs":
        os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"
        from trl.experimental.orpo import ORPOConfig as TheirConfig
        from trl.experimental.orpo import ORPOTrainer as TheirTrainer

        return TheirConfig, TheirTrainer
    from orpo_compat import ORPOConfig, ORPOTrainer

    return ORPOConfig, ORPOTrainer


def adapter_config() -> Any:
    """Return the LoRA setting of the table."""
    from peft import LoraConfig

    return LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")


def count_packed() -> dict[str, int]:
    """Count, from now on, the tokens that pass through our layers and the rows that reach the head."""
    from orpo_compat import packed_path

    counted, honest = {"tokens": 0, "rows": 0}, packed_path.pack

    def pack(*args: Any, **options: Any) -> Any:
        packed = honest(*args, **options)
        counted["tokens"] += packed.input_ids_1N.shape[1]
        counted["rows"] += len(packed.row_positions_M)
        return packed

    packed_path.pack = pack
    return counted


def needed_flop(model: torch.nn.Module, counted: dict[str, int]) -> int:
    """What the mathematics needs: each distinct token once through the layers, each needed row through the head.

    Two operations a weight forward, two for the gradient of what came in, two for a trained weight's own. Attention's
    products are left out, as is usual.
    """
    find_head: Any = getattr(model, "get_output_embeddings")  # noqa: B009  # torch types a module's attributes as tensors
    head = find_head()
    total = 0
    for module in model.modules():
        if isinstance(module, torch.nn.Linear):
            uses = counted["rows" if module is head else "tokens"]
            total += uses * module.weight.numel() * (6 if module.weight.requires_grad else 4)
    return total


def matmul_rate() -> float:
    """This machine's own rate of large float32 products, in GFLOP/s of processor time: the best of five."""
    left, right = torch.randn(2048, 2048), torch.randn(2048, 2048)
    rates = []
    for _ in range(6):
        started = time.process_time()
        left @ right
        rates.append(2 * 2048**3 / (time.process_time() - started) / 1e9)
    return max(rates[1:])


def resident_bytes() -> int:
    """How much of this process is in memory now (Linux)."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


def peak_bytes() -> int:
    """The most of this process that ever was in memory (Linux counts in KiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def fixed_bytes(model: torch.nn.Module) -> int:
    """Weights, and for what is trained its gradient and AdamW's two moments."""
    return sum(p.numel() * p.element_size() * (4 if p.requires_grad else 1) for p in model.parameters())


if __name__ == "__main__":
    main()
