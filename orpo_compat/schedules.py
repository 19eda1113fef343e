"""How the odds term's weight moves over a run: constant, or from ``beta_start`` to ``beta``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import TrainerState

    from orpo_compat.config import ORPOConfig


def beta_at(progress: float, kind: str, start: float, end: float) -> float:
    """Return beta at a share of the run.

    Args:
        progress: 0 before the first step, 1 at the last; clamped.
        kind: ``constant`` (always ``end``), ``linear``, or ``cosine`` (half a cosine wave, flat at both ends).
        start: Beta at the start of a schedule.
        end: Beta at its end.

    Raises:
        ValueError: an unknown kind.
    """
    progress = min(max(progress, 0.0), 1.0)
    if kind == "constant":
        return end
    if kind == "linear":
        return start + (end - start) * progress
    if kind == "cosine":
        return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2
    raise ValueError(f"beta_schedule must be constant, linear or cosine, got {kind!r}")


def scheduled_beta(args: ORPOConfig, state: TrainerState) -> float:
    """Return beta for the step about to be taken: ``beta_start`` at the first, ``beta`` at the last."""
    progress = state.global_step / max(state.max_steps - 1, 1)
    return beta_at(progress, args.beta_schedule, args.beta_start or 0.0, args.beta)
