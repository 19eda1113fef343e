"""A finished estimate as numbers under plain names: what ``plan --json`` prints and the tables are made from."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

from orpo_compat.planning.launch import accelerate_config, training_arguments
from orpo_compat.planning.lengths import padded_tokens
from orpo_compat.planning.memory import GIB
from orpo_compat.planning.recommend import USABLE, Arrangement, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A task with the best arrangement of each trainer."""

    task: Task
    ours: Arrangement
    theirs: Arrangement
    num_pairs: int
    remedies: tuple[str, ...] = ()

    def hours(self, arrangement: Arrangement) -> float:
        """Hours of one pass over the pairs."""
        return math.ceil(self.num_pairs / arrangement.pairs_per_update) * arrangement.seconds / 3600


def assumptions(task: Task) -> list[str]:
    """What the numbers rest on that no formula gives, in sentences."""
    return [
        f"runs reach {task.assume.mfu:.0%} of the peak rate and {task.assume.link_share:.0%} of the links' "
        "(--mfu changes the first); measure a few steps before buying hours",
        "memory counts the longest pairs at once; a card is taken as full at "
        f"{USABLE:.0%} of its {task.gpu.memory_gib:g} GiB",
        "reading data, evaluation, logging and saving are not counted",
    ]


def summarize(estimate: Estimate) -> dict[str, Any]:
    """The estimate as JSON can hold it; bytes as GiB."""
    task, shape = estimate.task, estimate.task.shape
    return {
        "estimate": True,
        "assumptions": assumptions(task),
        "model": {
            "name": shape.name,
            "weights": shape.weights,
            "trained": shape.weights if task.setup.rank is None else shape.adapter_weights(task.setup.rank),
            "layers": shape.layers,
            "hidden": shape.hidden,
            "vocabulary": shape.vocabulary,
        },
        "gpus": {"count": task.gpus, "name": task.gpu.name, "memory_gib": task.gpu.memory_gib},
        "pairs": {
            "count": estimate.num_pairs,
            "tokens_packed": sum(pair.packed for pair in task.pairs) / len(task.pairs),
            "tokens_padded": padded_tokens(task.pairs, estimate.theirs.micro_batch),
            "longest": max(pair.longest for pair in task.pairs),
        },
        "ours": _of(estimate, estimate.ours),
        "theirs": _of(estimate, estimate.theirs),
        "remedies": list(estimate.remedies),
        "accelerate_config": accelerate_config(estimate.ours),
        "training_arguments": training_arguments(estimate.ours),
    }


def _of(estimate: Estimate, arrangement: Arrangement) -> dict[str, Any]:
    memory = arrangement.memory
    hours = estimate.hours(arrangement)
    return {
        "fits": arrangement.fits,
        "sharding": arrangement.setup.sharding,
        "gradient_checkpointing": arrangement.recompute,
        "pairs_per_gpu": arrangement.micro_batch,
        "accumulation": arrangement.accumulation,
        "memory_gib": {
            **{field.name: round(getattr(memory, field.name) / GIB, 3) for field in fields(memory)},
            "total": round(memory.total / GIB, 3),
        },
        "teraflops_per_pair": arrangement.flops_per_pair / 1e12,
        "seconds_per_update": arrangement.seconds,
        "pairs_per_second": arrangement.pairs_per_second,
        "hours": hours,
        "gpu_hours": hours * estimate.task.gpus,
    }
