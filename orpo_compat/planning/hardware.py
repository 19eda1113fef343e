"""GPUs that a plan can be made for: memory, dense bf16 rate, and links, from the vendors' data sheets.

Rates are peaks without sparsity. What share of a peak a run reaches is the planner's assumption, not the card's.
"""

from __future__ import annotations

from dataclasses import dataclass

from orpo_compat.errors import PlanError

PER_NODE = 8
"""GPUs of one machine, as the usual servers have them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One card and how it reaches its neighbours."""

    name: str
    memory_gib: float
    teraflops: float
    """Dense bf16, peak."""
    link_gbs: float
    """GB/s of one card to the others of its machine, one direction."""
    network_gbs: float = 50.0
    """GB/s of one card to other machines: a 400 Gb/s port each. 12.5 would be 100 Gb/s."""


GPUS = {
    "h100": Gpu(name="H100 SXM 80 GB", memory_gib=79.2, teraflops=989, link_gbs=450),
    "h200": Gpu(name="H200 SXM 141 GB", memory_gib=139.8, teraflops=989, link_gbs=450),
    "a100-80": Gpu(name="A100 SXM 80 GB", memory_gib=79.2, teraflops=312, link_gbs=300, network_gbs=25),
    "a100-40": Gpu(name="A100 SXM 40 GB", memory_gib=39.4, teraflops=312, link_gbs=300, network_gbs=25),
    "l40s": Gpu(name="L40S 48 GB", memory_gib=44.4, teraflops=362, link_gbs=32, network_gbs=12.5),
    "4090": Gpu(name="RTX 4090 24 GB", memory_gib=23.5, teraflops=165, link_gbs=32, network_gbs=12.5),
}


def find_gpu(name: str, memory_gib: float | None, teraflops: float | None) -> Gpu:
    """Look a card up, with its memory or rate replaced where they are given; ``custom`` needs both.

    Raises:
        PlanError: no such card, or ``custom`` without memory and rate.
    """
    known = GPUS.get(name.lower())
    if known is None and (name.lower() != "custom" or memory_gib is None or teraflops is None):
        raise PlanError(
            f"--gpu {name}: known are {', '.join(GPUS)}.\n"
            "  Next: --gpu custom --gpu-memory GIB --gpu-tflops RATE describes any other."
        )
    base = known or Gpu(name="custom", memory_gib=0, teraflops=0, link_gbs=32, network_gbs=12.5)
    if min(memory_gib or 1, teraflops or 1) <= 0:
        raise PlanError("--gpu-memory and --gpu-tflops must be above 0")
    return Gpu(
        name=base.name,
        memory_gib=memory_gib or base.memory_gib,
        teraflops=teraflops or base.teraflops,
        link_gbs=base.link_gbs,
        network_gbs=base.network_gbs,
    )
