"""Seconds of an update: work over the rate that runs reach, or the bytes between GPUs over their links, the longer.

Both shares of a peak are assumptions, stated with every estimate. Reading data, logging and saving are left out.
"""

from __future__ import annotations

from dataclasses import dataclass

from orpo_compat.planning.hardware import PER_NODE, Gpu
from orpo_compat.planning.memory import Setup
from orpo_compat.planning.shapes import ModelShape


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What no formula gives."""

    mfu: float = 0.35
    """Share of a card's peak rate that the model's operations reach; 0.3 to 0.5 are usual for 1B and more."""
    link_share: float = 0.7
    """Share of a link's rate that collectives reach."""


def update_seconds(
    shape: ModelShape, setup: Setup, gpu: Gpu, flops: float, micro_steps: int, assume: Assumptions
) -> float:
    """Seconds from one optimizer step to the next, computing and communicating at the same time.

    Args:
        flops: of one GPU for the whole update.
        micro_steps: forward and backward passes of one GPU for the update.
    """
    computing = flops / (gpu.teraflops * 1e12 * assume.mfu)
    rate = gpu.link_gbs if setup.gpus <= PER_NODE else min(gpu.link_gbs, gpu.network_gbs)
    return max(computing, bytes_between(shape, setup, micro_steps) / (rate * 1e9 * assume.link_share))


def bytes_between(shape: ModelShape, setup: Setup, micro_steps: int) -> float:
    """Bytes that one GPU sends for an update, by ring collectives."""
    if setup.gpus == 1:
        return 0.0
    share = (setup.gpus - 1) / setup.gpus
    trained = shape.weights if setup.rank is None else shape.adapter_weights(setup.rank)
    if setup.sharding == "ddp":
        size = 4 if setup.rank is not None or setup.precision != "bf16" else 2
        return share * 2 * size * trained
    # Weights are gathered in the dtype of computing, for forward and (if let go of in between) again for backward;
    # gradients are summed in float32.
    item = 4 if setup.precision == "fp32" else 2
    gathers = 2 if setup.sharding == "fsdp-full" else 1
    return share * micro_steps * (gathers * item * shape.weights + 4 * trained)
