"""Evaluation with the right names and weights: every dataset its own prefix, every pair its own weight.

TRL writes ``eval_`` whatever prefix it is asked for, and averages batches of unequal size as if they were equal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from torch.utils.data import DataLoader
    from transformers import Trainer
    from transformers.trainer_utils import EvalLoopOutput

    _Base = Trainer
else:
    _Base = object


class EvaluationHooks(_Base):
    """``prediction_step`` and ``evaluation_loop``, as a mixin of the trainer."""

    if TYPE_CHECKING:
        _means: Any
        loss_and_outputs: Any
        store_metrics: Any
        _sum_over_ranks: Any

    def prediction_step(  # type: ignore[override]  # logits are per-pair rewards
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        prediction_loss_only: bool,
        ignore_keys: list[str] | None = None,
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Evaluate one batch.

        Returns:
            The loss; the rewards of chosen and rejected, shape ``(B, 2)``; and the index of the preferred column,
            zero throughout, shape ``(B,)``. The last two are None with ``prediction_loss_only``.
        """
        inputs = self._prepare_inputs(inputs)
        with torch.no_grad():
            loss, outputs = self.loss_and_outputs(model, inputs, "eval")
        self.store_metrics(outputs, train_eval="eval")
        if prediction_loss_only or "chosen_rewards" not in outputs:
            return loss.detach(), None, None
        rewards = torch.stack((outputs["chosen_rewards"], outputs["rejected_rewards"]), dim=-1)
        return loss.detach(), rewards, rewards.new_zeros(len(rewards))

    def evaluation_loop(
        self,
        dataloader: DataLoader[Any],
        description: str,
        prediction_loss_only: bool | None = None,
        ignore_keys: list[str] | None = None,
        metric_key_prefix: str = "eval",
    ) -> EvalLoopOutput:
        """Evaluate one dataset and add its preference metrics under ``metric_key_prefix``."""
        self._means["eval"].drain()
        output = super().evaluation_loop(dataloader, description, prediction_loss_only, ignore_keys, metric_key_prefix)
        means = self._means["eval"].drain(self._sum_over_ranks)
        if output.metrics is not None:
            output.metrics.update({f"{metric_key_prefix}_{k.removeprefix('eval_')}": v for k, v in means.items()})
        return output
