"""How an estimate looks in a terminal: both trainers side by side, then the launch."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from orpo_compat.cli.console import out

if TYPE_CHECKING:
    from orpo_compat.planning.recommend import Arrangement
    from orpo_compat.planning.summary import Estimate

_SHARDING = {
    "none": "one GPU",
    "ddp": "DDP: whole copies",
    "fsdp-grad": "FSDP: gradients and optimizer sharded",
    "fsdp-full": "FSDP: everything sharded",
}


def show(estimate: Estimate) -> None:
    """Print the estimate on stdout."""
    from rich.table import Table

    from orpo_compat.planning.launch import training_arguments
    from orpo_compat.planning.summary import assumptions

    console, task = out(), estimate.task
    shape = task.shape
    what = f"LoRA of rank {task.setup.rank}" if task.setup.rank is not None else "every weight trained"
    console.print(
        f"An estimate, not a measurement: {shape.name} ({shape.weights / 1e9:.2f}B), {what}, {task.setup.precision}, "
        f"on {task.gpus} x {task.gpu.name}",
        style="bold",
        markup=False,
    )
    table = Table(box=None, pad_edge=False)
    for heading in ("", "orpo-compat", "TRL"):
        table.add_column(heading, justify="left" if not heading else "right", overflow="fold")
    for name, ours, theirs in zip(_NAMES, _cells(estimate, estimate.ours), _cells(estimate, estimate.theirs),
                                  strict=True):  # fmt: skip
        table.add_row(name, ours, theirs)
    console.print(table)
    if estimate.ours.fits:
        console.print("\nLaunch with (--write FILE makes accelerate's file):", style="bold")
        for name, value in training_arguments(estimate.ours).items():
            console.print(f"  {name}={value!r}", markup=False)
    else:
        fixes = "; ".join(estimate.remedies) or "none of the options below the size of this model"
        console.print(f"\nDoes not fit. Any of these would: {fixes}", style="bold red", markup=False)
    for line in assumptions(task):
        console.print(f"- {line}", style="dim", markup=False)


_NAMES = (
    "fits", "arrangement", "pairs per GPU x accumulation", "pairs per update", "layers computed again",
    "GiB per GPU", "  weights", "  gradients", "  optimizer", "  gathered and buckets", "  activations", "  logits",
    "  CUDA and NCCL", "TFLOP per pair", "seconds per update", "pairs per second", "hours for the pairs", "GPU hours",
)  # fmt: skip


def _cells(estimate: Estimate, arrangement: Arrangement) -> list[str]:
    """One trainer's column, in the order of the names."""
    gib = 2**30
    memory, hours = arrangement.memory, estimate.hours(arrangement)
    return [
        "yes" if arrangement.fits else "no",
        _SHARDING[arrangement.setup.sharding],
        f"{arrangement.micro_batch} x {arrangement.accumulation}",
        str(arrangement.pairs_per_update),
        "yes" if arrangement.recompute else "no",
        f"{memory.total / gib:.1f}",
        *(f"{getattr(memory, field.name) / gib:.1f}" for field in fields(memory)),
        f"{arrangement.flops_per_pair / 1e12:.4g}",
        f"{arrangement.seconds:.3g}",
        f"{arrangement.pairs_per_second:.3g}",
        f"{hours:.3g}",
        f"{hours * estimate.task.gpus:.3g}",
    ]
