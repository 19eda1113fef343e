"""From what people ask for to what a Trainer takes: total batch size to accumulation, an end rate to a schedule."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from orpo_compat.errors import ConfigError

DEFAULT_PER_DEVICE = 8


def split_total_batch(total: int, *, per_device: int | None, world_size: int) -> dict[str, int]:
    """Divide a total batch into the micro-batch of a device and the accumulation steps.

    Args:
        total: pairs per update, over all devices.
        per_device: what the user fixed; None takes the largest divisor up to 8.
        world_size: number of processes.

    Raises:
        ConfigError: it cannot be divided evenly.
    """
    if total < 1 or total % world_size:
        raise ConfigError(
            f"--total-batch-size {total} cannot be shared by {world_size} processes.\n"
            f"  Next: give a multiple of {world_size}."
        )
    share = total // world_size
    if per_device is None:
        per_device = max(size for size in range(1, min(DEFAULT_PER_DEVICE, share) + 1) if share % size == 0)
    if share % per_device:
        sizes = [size for size in range(1, share + 1) if share % size == 0]
        raise ConfigError(
            f"--total-batch-size {total} is no multiple of --per-device-train-batch-size {per_device}"
            + (f" times {world_size} processes" if world_size > 1 else "")
            + f".\n  Next: use a per-device size of {', '.join(map(str, sizes[-6:]))}, or another total."
        )
    return {"per_device_train_batch_size": per_device, "gradient_accumulation_steps": share // per_device}


def planned_updates(pairs: int, values: Mapping[str, Any], *, world_size: int) -> int:
    """How many updates a run will make, from the arguments of `ORPOConfig` as far as they were given.

    Args:
        pairs: to train on.
        values: may hold ``max_steps``, ``num_train_epochs``, ``per_device_train_batch_size`` and the like.
        world_size: number of processes.
    """
    if int(values.get("max_steps") or -1) > 0:
        return int(values["max_steps"])
    per_device = int(values.get("per_device_train_batch_size") or DEFAULT_PER_DEVICE)
    accumulation = int(values.get("gradient_accumulation_steps") or 1)
    batches = -(-pairs // (per_device * world_size))
    return max(1, math.ceil(float(values.get("num_train_epochs", 3.0)) * max(1, -(-batches // accumulation))))


def end_at(rate: float, *, scheduler: str | None, kwargs: dict[str, Any] | None) -> dict[str, Any]:
    """The schedule that ends at a given learning rate: a straight line, or a cosine if one was asked for.

    Raises:
        ConfigError: the schedule named cannot end anywhere.
    """
    extra = dict(kwargs or {})
    if scheduler in (None, "linear", "polynomial"):
        return {"lr_scheduler_type": "polynomial", "lr_scheduler_kwargs": {"power": 1.0, **extra, "lr_end": rate}}
    if scheduler in ("cosine", "cosine_with_min_lr"):
        return {"lr_scheduler_type": "cosine_with_min_lr", "lr_scheduler_kwargs": {**extra, "min_lr": rate}}
    raise ConfigError(
        f"--learning-rate-end with --lr-scheduler-type {scheduler}: that schedule has no end rate to set.\n"
        "  Next: use linear, polynomial or cosine."
    )
