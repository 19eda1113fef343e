"""``nan_policy="skip"``: computing a batch again without the pairs that came out not finite, all ranks in step.

Gathering sharded weights and averaging gradients are collectives, so where ranks share a model they compute again
together, also the ranks whose own pairs were fine. Mixed into the trainer; ``guard`` finds the pairs.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from orpo_compat.guard import row_names, without_pairs
from orpo_compat.packed_steps import SHARDED
from orpo_compat.padded import Batch, TrainEval
from orpo_compat.self_check import check_batch

if TYPE_CHECKING:
    from transformers import Trainer

    _Base = Trainer
else:
    _Base = object

logger = logging.getLogger(__name__)


class SkipsBrokenPairs(_Base):
    """``finite_loss``: the loss of a batch, without its broken pairs where that was asked for."""

    if TYPE_CHECKING:
        _watch: Any
        _pairs: Any
        batch_loss_metrics: Any
        _sum_over_ranks: Any

    def finite_loss(self, model: nn.Module, inputs: Batch, train_eval: TrainEval) -> tuple[Tensor, dict[str, Any]]:
        """Compute a batch's loss and metrics under ``nan_policy``."""
        computed: tuple[Tensor, dict[str, Any]] = self.batch_loss_metrics(model, inputs, train_eval)
        policy: Any = self.args
        if policy.nan_policy != "skip":
            return computed
        finite_B: Tensor | None = self._watch.unfinished()
        together = self.args.world_size > 1 and (train_eval == "train" or self.accelerator.distributed_type in SHARDED)
        broke = torch.tensor([float(finite_B is not None)])
        if not (self._sum_over_ranks(broke) if together else broke).any():
            return computed
        return self._again(model, inputs, finite_B, train_eval, together)

    def _again(
        self, model: nn.Module, inputs: Batch, finite_B: Tensor | None, train_eval: TrainEval, together: bool
    ) -> tuple[Tensor, dict[str, Any]]:
        if finite_B is None:
            kept = inputs
        else:
            broken = row_names(inputs, (~finite_B).nonzero().flatten().tolist())
            logger.warning("step %d: leaving out %s: not finite", self.state.global_step, ", ".join(broken))
            kept = without_pairs(inputs, finite_B)
        if finite_B is None or finite_B.any():
            computed: tuple[Tensor, dict[str, Any]] = self.batch_loss_metrics(model, kept, train_eval)
            return computed
        if not together:
            self._pairs = {}
            return sum((p.sum() * 0.0 for p in model.parameters() if p.requires_grad), torch.zeros(())), {}
        # Nothing is left on this rank: a stand-in keeps its forwards, gradients and metrics' names in step with the
        # other ranks', and counts for nothing.
        stand_in = check_batch(self.accelerator.unwrap_model(model), self.args.device)
        loss, metrics = self.batch_loss_metrics(model, stand_in, train_eval)
        self._watch.unfinished()
        self._pairs = {side: pairs_B[:0] for side, pairs_B in self._pairs.items()}
        return loss * 0.0, metrics
