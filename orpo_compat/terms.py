"""What the ORPO loss and its metrics need to know of a batch, whatever path computed it.

The padded and the packed path both end in a ``PairTerms``; everything after it (loss, normalisation, metrics)
is written once. Shapes: ``B`` pairs.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(slots=True)
class PairTerms:
    """The log-probabilities and sums of one batch of ``B`` pairs, all float32."""

    chosen_logps_B: Tensor
    """Mean log-probability of the chosen response's tokens. Shape: ``(B,)``."""
    rejected_logps_B: Tensor
    """Mean log-probability of the rejected response's tokens. Shape: ``(B,)``."""
    nll_sum: Tensor
    """Negative log-likelihood summed over the NLL scope's tokens of the chosen rows. Scalar."""
    nll_tokens: Tensor
    """How many tokens that sum runs over. Scalar."""
    chosen_logits_mean: Tensor
    """Mean logit over the vocabulary and over the chosen rows' positions that have a next token. Detached scalar."""
    rejected_logits_mean: Tensor
    """The same for the rejected rows. Detached scalar."""
    aux_loss: Tensor | None = None
    """The router's load-balancing loss, where the model has one. Scalar."""
