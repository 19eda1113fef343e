"""What of a tensor is written down: elements of it and its norm. Both arms pick the same elements."""

from __future__ import annotations

from typing import Any


def sample_of(tensor: Any, limit: int) -> Any:
    """Return all of a small tensor, or evenly strided elements of a large one, as float32 on the CPU."""
    flat = tensor.detach().reshape(-1)
    if limit and flat.numel() > limit:
        stride = -(-flat.numel() // limit)
        # An offset that is no multiple of a power of two walks over rows and columns alike.
        flat = flat[(stride // 3) :: stride | 1]
    return flat.to("cpu", copy=True).float().contiguous()


def norm_of(tensor: Any) -> float:
    import torch

    return float(torch.linalg.vector_norm(tensor.detach().float(), dtype=torch.float64))
