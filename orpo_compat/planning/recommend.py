"""The arrangement to launch with: which sharding, batch per GPU and recomputation fit, and of those the fastest.

Tries them all (a few dozen) with the formulas beside this file. Decides nothing about a user's settings: what was
asked for is kept, and what would make a model fit that does not is only said.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from orpo_compat.errors import PlanError
from orpo_compat.planning.hardware import Gpu
from orpo_compat.planning.lengths import PairShape
from orpo_compat.planning.memory import GIB, Keeping, Memory, Setup, Sharding, packed_memory, padded_memory
from orpo_compat.planning.shapes import ModelShape
from orpo_compat.planning.timing import Assumptions, update_seconds
from orpo_compat.planning.work import Training, packed_work, padded_work

Arm = Literal["ours", "theirs"]
USABLE = 0.92
"""Share of a card's memory that a plan fills: the allocator's gaps need the rest."""
# Tokens of one pass where weights are not sharded (orpo_compat/packed_path.py).
_PASS_TOKENS = 4096
_MOST_GPUS = 4096
_SIMPLEST_FIRST: tuple[Sharding, ...] = ("none", "ddp", "fsdp-grad", "fsdp-full")


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is to be trained, on what."""

    shape: ModelShape
    gpu: Gpu
    gpus: int
    pairs: Sequence[PairShape]
    """A sample of the data; the longest of them is the longest there is."""
    batch: int
    """Pairs of an update, all GPUs together."""
    setup: Setup
    """Precision, optimizer and adapter; the rest of it is the planner's to choose."""
    recompute: bool | None = None
    """Gradient checkpointing; None lets the planner choose."""
    assume: Assumptions = field(default_factory=Assumptions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrangement:
    """One way to run the task, and what it takes."""

    setup: Setup
    micro_batch: int
    accumulation: int
    memory: Memory
    fits: bool
    seconds: float
    """Of one update."""
    flops_per_pair: float

    @property
    def recompute(self) -> bool:
        """Whether whole layers are computed again."""
        return self.setup.keeping == "inputs"

    @property
    def pairs_per_update(self) -> int:
        """Over all GPUs."""
        return self.micro_batch * self.accumulation * self.setup.gpus

    @property
    def pairs_per_second(self) -> float:
        """Over all GPUs."""
        return self.pairs_per_update / self.seconds


def best_arrangement(task: Task, arm: Arm = "ours") -> Arrangement:
    """The fastest arrangement that fits; if none does, the one that needs least memory.

    Raises:
        PlanError: fewer pairs in an update than GPUs, or sizes below 1.
    """
    _check(task)
    tried = list(_arrangements(task, arm))
    fitting = [each for each in tried if each.fits]
    if not fitting:
        return min(tried, key=lambda each: each.memory.total)
    # Within a hundredth of the fastest the simplest, and of those the one that leaves most memory free.
    fastest = max(each.pairs_per_second for each in fitting)
    near = [each for each in fitting if each.pairs_per_second > 0.99 * fastest]
    return min(near, key=lambda each: (_SIMPLEST_FIRST.index(each.setup.sharding), each.memory.total))


def remedies(task: Task) -> list[str]:
    """What would make a task fit that does not: options, each alone, and the smallest number of GPUs."""
    found = []
    changes = {
        "--optim adamw-8bit": replace(task.setup, optimizer="adamw-8bit"),
        "--dtype bf16": replace(task.setup, precision="bf16"),
        "--lora-r 16": replace(task.setup, rank=16),
        "--lora-r 16 --load-in-4bit": replace(task.setup, rank=16, four_bit=True),
    }
    for option, setup in changes.items():
        if setup != task.setup and best_arrangement(replace(task, setup=setup)).fits:
            found.append(option)
    gpus = 2 * task.gpus
    while gpus <= _MOST_GPUS:
        more = replace(task, gpus=gpus, batch=max(task.batch, gpus))
        if best_arrangement(more).fits:
            found.append(f"--gpus {gpus}")
            break
        gpus *= 2
    return found


def _check(task: Task) -> None:
    if task.gpus < 1:
        raise PlanError(f"--gpus must be at least 1, got {task.gpus}")
    if task.batch < task.gpus:
        raise PlanError(
            f"--batch {task.batch} leaves some of {task.gpus} GPUs without a pair; give {task.gpus} or more"
        )


def _arrangements(task: Task, arm: Arm) -> Iterator[Arrangement]:
    keeps: tuple[Keeping, ...] = ("all", "inputs") if task.recompute is None else (
        ("inputs",) if task.recompute else ("all",)
    )  # fmt: skip
    for sharding in _shardings(task):
        for keeping in keeps:
            setup = replace(task.setup, sharding=sharding, gpus=task.gpus, keeping=keeping)
            for micro in _micro_batches(task):
                yield _arrange(task, setup, micro, arm)


def _shardings(task: Task) -> tuple[Sharding, ...]:
    if task.gpus == 1:
        return ("none",)
    # 4-bit weights are not what FSDP shards as they are.
    return ("ddp",) if task.setup.four_bit else ("ddp", "fsdp-grad", "fsdp-full")


def _micro_batches(task: Task) -> Iterator[int]:
    """Powers of two that split a GPU's share of the update evenly."""
    each = task.batch // task.gpus
    micro = 1
    while each % micro == 0:
        yield micro
        micro *= 2


def _arrange(task: Task, setup: Setup, micro: int, arm: Arm) -> Arrangement:
    how = Training(rank=setup.rank, recompute=setup.keeping == "inputs", itemsize=4 if setup.precision == "fp32" else 2)
    accumulation = task.batch // task.gpus // micro
    flops = flops_per_pair(task, how, micro, arm)
    memory = _memory(task, setup, micro, arm)
    seconds = update_seconds(task.shape, setup, task.gpu, flops * micro * accumulation, accumulation, task.assume)
    return Arrangement(
        setup=setup,
        micro_batch=micro,
        accumulation=accumulation,
        memory=memory,
        fits=memory.total <= USABLE * task.gpu.memory_gib * GIB,
        seconds=seconds,
        flops_per_pair=flops,
    )


def flops_per_pair(task: Task, how: Training, micro: int, arm: Arm) -> float:
    """Operations of a pair on average over the sample."""
    if arm == "ours":
        passes = max(1, sum(pair.packed for pair in task.pairs) // _PASS_TOKENS)
        return packed_work(task.shape, task.pairs, how, passes=passes).total / len(task.pairs)
    batches = [task.pairs[start : start + micro] for start in range(0, len(task.pairs), micro)]
    # A sample smaller than a batch stands for all of it.
    return sum(padded_work(task.shape, batch, how).total for batch in batches) / len(task.pairs)


def _memory(task: Task, setup: Setup, micro: int, arm: Arm) -> Memory:
    if arm == "theirs":
        return padded_memory(task.shape, setup, rows=2 * micro * max(pair.longest for pair in task.pairs))
    longest = max(pair.packed for pair in task.pairs)
    tokens = micro * longest if setup.fsdp else max(longest, min(_PASS_TOKENS, micro * longest))
    return packed_memory(task.shape, setup, tokens=tokens, rows=tokens)
