"""Evaluation with the right names and weights: every dataset its own prefix, every pair its own weight.

TRL writes ``eval_`` whatever prefix it is asked for, and averages batches of unequal size as if they were equal.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.trainer_pt_utils import find_batch_size

from orpo_compat.construction import text_tokenizer
from orpo_compat.generation import write_samples
from orpo_compat.guard import without_pairs

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
        casting_context: Any
        wide_context: Any
        max_length: int
        padding_value: int
        use_dpo_data_collator: bool
        generate_during_eval: bool

    def prediction_step(
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
        pairs = int(find_batch_size(inputs) or 0)  # type: ignore[no-untyped-call]  # transformers leaves it untyped
        seen_first = self._num_seen_first(pairs)
        if 0 < seen_first < pairs:
            inputs = without_pairs(inputs, torch.arange(pairs) < seen_first)
        with torch.no_grad(), self.wide_context(model):
            loss, outputs = self.loss_and_outputs(model, inputs, "eval")
        if seen_first:
            self.store_metrics(outputs, train_eval="eval")
        else:
            self._means["eval"].record(outputs, 0.0)
        if prediction_loss_only or "chosen_rewards" not in outputs:
            return loss.detach(), None, None
        rewards = torch.stack((outputs["chosen_rewards"], outputs["rejected_rewards"]), dim=-1)
        # Every rank hands in as many rows; those of repeats are cut off where they are gathered.
        rewards = F.pad(rewards, (0, 0, 0, pairs - len(rewards)))
        return loss.detach(), rewards, rewards.new_zeros(len(rewards))

    def _num_seen_first(self, pairs: int) -> int:
        """Count the pairs of a rank's batch that are not there again only to fill the ranks' last batches."""
        state = self.accelerator.gradient_state
        if self.args.world_size == 1 or not state.end_of_dataloader or state.remainder <= 0:
            return pairs
        first: int = state.remainder - self.args.process_index * pairs
        return min(max(first, 0), pairs)

    def generate_from_model(self, model: nn.Module, batch: Mapping[str, Any]) -> list[str]:
        """Sample one continuation per prompt of a batch, up to ``max_length`` tokens, decoded with its prompt."""
        with torch.no_grad(), self.casting_context():
            ids = cast(Any, model).generate(
                input_ids=batch["prompt_input_ids"].to(self.args.device),
                attention_mask=batch["prompt_attention_mask"].to(self.args.device),
                max_length=self.max_length,
                do_sample=True,
                pad_token_id=self.padding_value,
            )
        decoded: list[str] = text_tokenizer(self.processing_class).batch_decode(ids, skip_special_tokens=True)
        return decoded

    def evaluation_loop(
        self,
        dataloader: DataLoader[Any],
        description: str,
        prediction_loss_only: bool | None = None,
        ignore_keys: list[str] | None = None,
        metric_key_prefix: str = "eval",
    ) -> EvalLoopOutput:
        """Evaluate one dataset and add its preference metrics under ``metric_key_prefix``."""
        if self.generate_during_eval:
            write_samples(self, dataloader.dataset, metric_key_prefix)
        self._means["eval"].drain()
        output = super().evaluation_loop(dataloader, description, prediction_loss_only, ignore_keys, metric_key_prefix)
        means = self._means["eval"].drain(self._sum_over_ranks)
        if output.metrics is not None:
            output.metrics.update({f"{metric_key_prefix}_{k.removeprefix('eval_')}": v for k, v in means.items()})
        return output
