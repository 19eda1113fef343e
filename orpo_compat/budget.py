"""How many tokens one packed pass may take where the user leaves it to us.

Enough to keep the matrix products busy, less where the model leaves too little memory for that. A longer pair cannot be
split and goes alone, the longest first, while no gradient is held yet: memory is then the same however large the batch.
From totals rather than from what happens to be free, so that a resumed run forms the same passes.
"""

from __future__ import annotations

import psutil
import torch
from torch import nn

from orpo_compat.recompute import kept_bytes_per_token

# Where products of layers of a thousand or more reach nine tenths of their rate: measured on a CPU; on CUDA taken from
# the size of the device.
_BUSY = {"cpu": 512, "cuda": 4096}
_FEWEST = 256
# Of the memory that weights, gradients and AdamW's two moments leave.
_SHARE = 3
_FLOAT32 = 4


def busy_tokens(model: nn.Module) -> int:
    """Return the tokens of a pass that keep the model's device busy and fit a third of what its training leaves."""
    device = next(model.parameters()).device
    tokens = _BUSY.get(device.type, _BUSY["cuda"])
    room = (total_memory(device) - _fixed_bytes(model)) // _SHARE
    per_token = kept_bytes_per_token(model, _FLOAT32)
    while tokens > _FEWEST and tokens * per_token > room:
        tokens //= 2
    return tokens


def total_memory(device: torch.device) -> int:
    """Return how much memory a device has, in bytes."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    return int(psutil.virtual_memory().total)


def _fixed_bytes(model: nn.Module) -> int:
    return sum(p.numel() * (p.element_size() + 3 * _FLOAT32 * p.requires_grad) for p in model.parameters())
