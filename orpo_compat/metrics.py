"""Metrics as running sums on the device: nothing is synchronised inside a step, one reduction per log.

TRL gathers eleven tensors across ranks and reads each back to the host in every micro-step; here a step costs a few
scalar additions, and ``drain`` does one all-reduce and one copy to the host whatever was recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

Reduce = Callable[[Tensor], Tensor]

PER_PAIR = frozenset({"chosen_rewards", "rejected_rewards"})
"""Tensors of shape ``(B,)`` that travel with a batch's metrics and are not logged, also when ``B`` is 1."""


class RunningMeans:
    """Weighted means of named scalars.

    A mapping handed to ``record`` is kept until the next one arrives and only then summed, so that a subclass may
    add metrics to what ``compute_loss(return_outputs=True)`` gave it and still see them logged.
    """

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._pending: tuple[Mapping[str, Any], float] | None = None

    def record(self, metrics: Mapping[str, Any], weight: float = 1.0) -> None:
        """Note one batch's scalars; values that are not scalars (per-pair tensors) are left out of the means."""
        self._settle()
        self._pending = (metrics, weight)

    def drain(self, reduce: Reduce | None = None) -> dict[str, float]:
        """Return the means since the last call and start afresh.

        Args:
            reduce: Sums a float64 tensor of shape ``(2 * K,)`` over the ranks. Called exactly once, even when
                nothing was recorded, so that ranks never wait for one another in vain.
        """
        self._settle()
        names = list(self._sums)
        totals = torch.cat([self._sums[name] for name in names]) if names else torch.zeros(0)
        self._sums = {}
        if reduce is not None:
            totals = reduce(totals)
        sums, weights = totals.view(-1, 2).unbind(-1) if names else (totals, totals)
        return dict(zip(names, (sums / weights.clamp(min=1e-30)).tolist(), strict=True))

    def _settle(self) -> None:
        if self._pending is None:
            return
        metrics, weight = self._pending
        self._pending = None
        for name, value in metrics.items():
            scalar = None if name in PER_PAIR else _as_scalar(value)
            if scalar is None:
                continue
            # Of a batch that counts for nothing only the names are kept: every rank must reduce the same ones.
            part = scalar * weight if weight else torch.zeros_like(scalar)
            entry = torch.stack((part, torch.full_like(scalar, weight)))
            self._sums[name] = self._sums[name] + entry.to(self._sums[name].device) if name in self._sums else entry


def _as_scalar(value: Any) -> Tensor | None:
    """Return a detached 0-dim double tensor on the value's own device, or None if it is no scalar."""
    if isinstance(value, Tensor):
        return value.detach().double().reshape(()) if value.numel() == 1 else None
    if isinstance(value, (int, float)):
        return torch.tensor(float(value), dtype=torch.float64)
    return None
