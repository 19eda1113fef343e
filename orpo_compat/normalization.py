"""What the loss of a micro-batch is divided by: its own counts (TRL), or those of the whole update step.

TRL averages the NLL over each micro-batch's tokens and the odds term over its pairs, and then averages micro-batches
and ranks, so the objective depends on how a batch is split. ``Window`` counts before the step what all its
micro-batches on all ranks hold together, which makes 1x8, 8x1 and two processes one and the same objective.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from orpo_compat.loss import IGNORE_INDEX
from orpo_compat.terms import PairTerms


def nll_token_count(batch: Mapping[str, Any], scope: str, label_pad_token_id: int = IGNORE_INDEX) -> Tensor:
    """Count the chosen tokens that the NLL of a padded batch runs over. Scalar, on the batch's device.

    The first token of a row is predicted by nothing and does not count. Rows without an attention mask are
    encoder-decoder labels, where every label counts.
    """
    labels: Tensor = batch["chosen_labels"]
    mask: Tensor | None = batch.get("chosen_attention_mask")
    if mask is None:
        return (labels != label_pad_token_id).sum()
    counted = mask == 1 if scope == "prompt_and_response" else labels != label_pad_token_id
    return counted[:, 1:].sum()


@dataclass(slots=True)
class Window:
    """The counts of one update step over all its micro-batches and ranks."""

    nll_tokens: Tensor
    num_pairs: Tensor
    num_micro_batches: int
    world_size: int

    @classmethod
    def of(
        cls, batches: Sequence[Mapping[str, Any]], scope: str, reduce: Callable[[Tensor], Tensor], world_size: int
    ) -> Window:
        """Count the micro-batches of this rank and sum over the ranks (one reduction)."""
        tokens = torch.stack([nll_token_count(batch, scope).double() for batch in batches]).sum()
        pairs = torch.tensor(float(sum(len(batch["chosen_labels"]) for batch in batches)), dtype=torch.float64)
        totals = reduce(torch.stack((tokens, pairs.to(tokens.device))))
        return cls(totals[0], totals[1], len(batches), world_size)

    def loss(self, terms: PairTerms, losses_B: Tensor, aux_coef: float) -> Tensor:
        """Return this micro-batch's share of the step's loss; the shares of all add up to it.

        Gradients are averaged over ranks afterwards, hence the factor ``world_size``.
        """
        nll = terms.nll_sum * (self.world_size / self.nll_tokens).to(terms.nll_sum)
        share = nll - losses_B.sum() * (self.world_size / self.num_pairs).to(losses_B)
        if terms.aux_loss is not None:
            share = share + aux_coef * terms.aux_loss / self.num_micro_batches
        return share


def micro_batch_loss(terms: PairTerms, losses_B: Tensor, aux_coef: float) -> Tensor:
    """Return TRL's loss of one micro-batch: token mean of the NLL less pair mean of the weighted odds term."""
    loss = terms.nll_sum / terms.nll_tokens.clamp(min=1) - losses_B.mean()
    if terms.aux_loss is not None:
        loss = loss + aux_coef * terms.aux_loss
    return loss
