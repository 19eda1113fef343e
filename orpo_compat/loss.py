"""The ORPO terms as pure functions of log-probabilities: no model, no batch, no configuration.

Notation: ``p = exp(logp)`` with ``logp`` the *mean* log-probability of a response's tokens, as in Hong et al. 2024
(arXiv:2403.07691), equations 4 to 7. Shapes: ``B`` pairs, ``T`` positions, ``V`` vocabulary.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

IGNORE_INDEX = -100
"""The label of a position that no loss term counts (torch's and TRL's convention)."""

_LN_HALF = -0.6931471805599453
# Below this distance from 0, float32 exp() rounds to 1. TRL's log(-expm1(x)) is -inf at x = 0 with a NaN gradient;
# clamping to the smallest normal float keeps the value finite (-87.3) and the exact result everywhere else.
_LARGEST_LOGP = -torch.finfo(torch.float32).tiny
# The slope grows as 1/|logp| without bound. Past 2**-25 float32 exp(logp) is 1 and TRL's gradient is NaN, so that is
# where ours stops growing (at 3.4e7): equal wherever TRL is finite, finite beyond.
_STEEPEST_SLOPE_AT = -(2.0**-25)


class OddsTerms(NamedTuple):
    """The odds-ratio part of the loss for a batch of pairs. Shapes: ``(B,)``."""

    log_odds_B: Tensor
    """``log OR``, equation 4: the log-odds of chosen less those of rejected."""
    log_sigmoid_B: Tensor
    """``log sigmoid(log OR)``, equation 7 before its sign and weight."""


class _Log1mExp(torch.autograd.Function):
    """``log(1 - exp(x))`` for ``x <= 0`` with a value and a slope that are finite everywhere."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor) -> Tensor:
        clamped = x.clamp(max=_LARGEST_LOGP)
        ctx.save_for_backward(x)
        return torch.where(
            clamped < _LN_HALF,
            torch.log1p(-torch.exp(clamped.clamp(max=_LN_HALF))),
            torch.log(-torch.expm1(clamped.clamp(min=_LN_HALF))),
        )

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *grads: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors  # type: ignore[attr-defined]  # torch leaves it off the base class
        safe = x.clamp(max=_STEEPEST_SLOPE_AT)
        # d/dx log(1 - e^x) = -e^x / (1 - e^x) = -1 / (e^-x - 1)
        return -grads[0] / torch.expm1(-safe)


def log1mexp(x: Tensor) -> Tensor:
    """Return ``log(1 - exp(x))`` for ``x <= 0``, finite in value and gradient for every input.

    TRL 0.27 to 1.16 differentiate both branches of a ``torch.where``, so their gradient is NaN as soon as
    ``exp(x)`` rounds to 1; here the slope is computed once, from the closed form.
    """
    result: Tensor = _Log1mExp.apply(x)  # type: ignore[no-untyped-call]  # torch leaves apply() untyped
    return result


def odds_terms(chosen_logps_B: Tensor, rejected_logps_B: Tensor) -> OddsTerms:
    """Compute the log odds ratio and its log-sigmoid in float32.

    Args:
        chosen_logps_B: Mean log-probabilities of the chosen responses. Shape: ``(B,)``.
        rejected_logps_B: The same for the rejected responses. Shape: ``(B,)``.

    Source: arXiv:2403.07691, equations 4 and 7; TRL 0.27 for the float32 upcast.
    """
    chosen, rejected = chosen_logps_B.float(), rejected_logps_B.float()
    log_odds_B = (chosen - rejected) - (log1mexp(chosen) - log1mexp(rejected))
    return OddsTerms(log_odds_B, F.logsigmoid(log_odds_B))


def token_logps(logits_BTV: Tensor, targets_BT: Tensor) -> Tensor:
    """Return each target's log-probability in float32, row by row to bound the peak. Shape: ``(B, T)``.

    Positions whose target is ``IGNORE_INDEX`` get the log-probability of token 0; mask them out.
    """
    safe_BT = targets_BT.masked_fill(targets_BT == IGNORE_INDEX, 0)
    rows = [
        logits_TV.float().gather(-1, index_T[:, None]).squeeze(-1) - logits_TV.float().logsumexp(-1)
        for logits_TV, index_T in zip(logits_BTV, safe_BT, strict=True)
    ]
    return torch.stack(rows)


def masked_mean(values_BT: Tensor, mask_BT: Tensor) -> Tensor:
    """Average ``values`` over the positions where ``mask`` is true, per row; a row without any gives 0.

    TRL divides by zero there; one such row turns every weight into NaN at the next step. Shape: ``(B,)``.
    """
    counts_B = mask_BT.sum(-1)
    return values_BT.masked_fill(~mask_BT, 0.0).sum(-1) / counts_B.clamp(min=1)
