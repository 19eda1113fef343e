"""Watches for pairs whose log-probabilities are not finite, and says which rows they are.

One such pair makes every weight NaN at the next step, and the Trainer logs the loss as 0. The check of a step is read
when the next one begins, so that the device is never waited for inside a step.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from orpo_compat.errors import NonFiniteLoss
from orpo_compat.terms import PairTerms


def finite_pairs(terms: PairTerms) -> Tensor:
    """Tell per pair whether its log-probabilities are finite. Shape: ``(B,)``, bool."""
    return torch.isfinite(terms.chosen_logps_B.detach()) & torch.isfinite(terms.rejected_logps_B.detach())


def row_names(batch: Mapping[str, Any], positions: list[int]) -> list[str]:
    """Name rows for a person: by id where the dataset gave one, and by the start of their prompt."""
    names = []
    for position in positions:
        name = f"row {batch['row_id'][position]}" if "row_id" in batch else f"pair {position} of the batch"
        prompt = batch.get("prompt")
        names.append(f"{name} ({prompt[position][:60]!r})" if prompt else name)
    return names


class NonFiniteWatch:
    """Remembers the last step's check until it is asked for."""

    def __init__(self) -> None:
        self._seen: tuple[Tensor, Mapping[str, Any]] | None = None

    def note(self, finite_B: Tensor, batch: Mapping[str, Any]) -> None:
        """Keep a step's check, and of its batch only what names the rows."""
        kept = {key: batch[key] for key in ("row_id", "prompt") if key in batch}
        self._seen = (finite_B, kept)

    def unfinished(self) -> Tensor | None:
        """Read the check now: which pairs are finite, or None if all are."""
        if self._seen is None:
            return None
        (finite_B, _), self._seen = self._seen, None
        return None if bool(finite_B.all()) else finite_B

    def settle(self, step: int) -> None:
        """Read the check kept last.

        Raises:
            NonFiniteLoss: some pair's log-probabilities were NaN or infinite.
        """
        if self._seen is None:
            return
        (finite_B, batch), self._seen = self._seen, None
        positions = (~finite_B).nonzero().flatten().tolist()
        if positions:
            raise NonFiniteLoss(
                f"step {step}: the log-probabilities of {', '.join(row_names(batch, positions))} are not finite. "
                "Look for an overflow (fp16: try bf16 or float32), a learning rate too high, or a broken row; "
                "nan_policy='skip' leaves such pairs out and goes on."
            )


def without_pairs(batch: Mapping[str, Any], keep_B: Tensor) -> dict[str, Any]:
    """Return the batch with only the pairs where ``keep_B`` is true."""
    size, kept = len(keep_B), keep_B.nonzero().flatten().tolist()
    result: dict[str, Any] = {}
    for key, value in batch.items():
        if isinstance(value, Tensor) and value.ndim and len(value) == size:
            result[key] = value[keep_B.to(value.device)]
        elif isinstance(value, list) and len(value) == size:
            result[key] = [value[i] for i in kept]
        else:
            result[key] = value
    return result
