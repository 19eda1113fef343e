"""Which path a trainer's step takes, and the packed one's part in the trainer.

A class that overrides a hook of the padded path gets the padded path, for its hook would not be called on packed
rows; so does a model that packed rows cannot serve. Each case is said in one line. Mixed into the trainer.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from accelerate.utils import DistributedType
from torch import Tensor, nn

from orpo_compat.attention import install
from orpo_compat.errors import PackingRefused
from orpo_compat.lean_layers import LeanLayers
from orpo_compat.normalization import nll_token_count
from orpo_compat.packed_path import PackedPath, packed_terms
from orpo_compat.padded import Batch, TrainEval, mean_logit
from orpo_compat.recompute import is_selective, lighten, stop_recomputing
from orpo_compat.self_check import open_packed_path
from orpo_compat.terms import PairTerms

if TYPE_CHECKING:
    from transformers import Trainer

    from orpo_compat.config import ORPOConfig

    _Base = Trainer
else:
    _Base = object

logger = logging.getLogger(__name__)

PADDED_HOOKS = ("concatenated_inputs", "concatenated_forward", "get_batch_logps", "get_batch_loss_metrics")
# Overridden, these may use the loss in ways that differentiating one group at a time would miss.
WHOLE_BATCH_HOOKS = ("odds_ratio_loss", "compute_loss", "loss_and_outputs", "finish_loss", "join_loss")
SHARDED = (DistributedType.FSDP, DistributedType.DEEPSPEED, DistributedType.MEGATRON_LM)


class PackedSteps(_Base):
    """``active_path``, and the packed counterpart of ``get_batch_loss_metrics``."""

    if TYPE_CHECKING:
        args: ORPOConfig
        aux_loss_enabled: bool
        label_pad_token_id: int
        is_encoder_decoder: bool
        concatenated_forward: Callable[[nn.Module, Batch], tuple[Tensor, ...]]
        get_batch_loss_metrics: Callable[[nn.Module, Batch, TrainEval], tuple[Tensor, dict[str, Any]]]
        finish_loss: Callable[[PairTerms, Batch, TrainEval], tuple[Tensor, dict[str, Any]]]
        join_loss: Callable[[PairTerms, Tensor, TrainEval], Tensor]
        odds_ratio_loss: Callable[[Tensor, Tensor], tuple[Tensor, ...]]

    _own_hooks: Mapping[str, Any] = {}
    """The hooks as this package defines them; whatever differs from it is an override. Set below the trainer."""

    _packed: tuple[nn.Module, PackedPath | None] | None = None
    _take_off: Callable[[], None] | None = None
    _stop_recomputing: Callable[[], None] | None = None
    _lean: tuple[nn.Module, LeanLayers] | None = None
    _differentiates_early = False

    @property
    def active_path(self) -> str:
        """``"packed"`` or ``"padded"``: how a batch of this trainer's model is computed. Decided when first asked."""
        return "padded" if self.packed_path() is None else "packed"

    def packed_path(self) -> PackedPath | None:
        """Return the packed path if the current model may take it; the comparison runs once per model.

        Raises:
            PackingRefused: it may not, and ``packing="always"`` was asked for.
        """
        model = self._bare(self.model)
        if self._packed is None or self._packed[0] is not model:
            self._packed = (model, self._open_or_say_why_not(model))
        return self._packed[1]

    def _bare(self, model: nn.Module | None) -> nn.Module:
        bare: nn.Module = self.accelerator.unwrap_model(model, keep_torch_compile=False)
        return bare

    def _leave_model(self) -> None:
        """Take the packed backend off the model, so that whoever gets it next finds it as it was."""
        if self._take_off is not None:
            self._take_off()
            self._take_off = None
        if self._stop_recomputing is not None:
            self._stop_recomputing()
            self._stop_recomputing = None

    def train(self, *args: Any, **kwargs: Any) -> Any:
        """Train as ``transformers.Trainer`` does, and leave the model with its own attention backend."""
        try:
            return super().train(*args, **kwargs)
        finally:
            self._leave_model()

    def _open_or_say_why_not(self, model: nn.Module) -> PackedPath | None:
        self._leave_model()
        if self.args.packing == "never":
            return None
        try:
            self._refuse_by_settings()
            sharded = self.accelerator.distributed_type in SHARDED
            path, self._take_off = open_packed_path(
                model,
                self._padded_terms,
                # FSDP1 gathers what its root holds in the wrapper's forward only.
                called=self.model if sharded else model,
                check_gradient=not sharded,
                agree=self._largest_over_ranks if sharded else float,
                nll_scope=self.args.nll_scope,
                tokens_per_pass=None if sharded else self.args.tokens_per_pass,
                label_pad_token_id=self.label_pad_token_id,
            )
        except PackingRefused as refusal:
            if self.args.packing == "always":
                raise
            logger.warning("training on padded batches: %s", refusal)
            return None
        return path

    def _largest_over_ranks(self, value: float) -> float:
        # NaN on any rank stays NaN, which no comparison lets pass.
        ranks = self.accelerator.gather(torch.tensor([value], dtype=torch.float64, device=self.args.device))
        return float(ranks.max())

    def _refuse_by_settings(self) -> None:
        overridden = self._overridden(PADDED_HOOKS)
        if overridden:
            raise PackingRefused(f"{type(self).__name__} overrides {', '.join(overridden)}, a hook of the padded path")
        reasons = {
            "an encoder-decoder reads prompt and response in different places": self.is_encoder_decoder,
            "the router's auxiliary loss is a mean over the padded batch": self.aux_loss_enabled,
            "several devices share one process": self.args.n_gpu > 1,
            "torch_compile would compile every row length anew": self.args.torch_compile,
        }
        for reason, holds in reasons.items():
            if holds:
                raise PackingRefused(reason)

    def _overridden(self, hooks: tuple[str, ...]) -> list[str]:
        """Return the hooks that are not ours, but for wrappers that say by ``only_observes`` that they change nothing.

        What watches a run, such as the parity harness, would otherwise see another path than the one that is used.
        """
        assigned = {name for name, hook in vars(self).items() if not getattr(hook, "only_observes", False)}
        return [name for name in hooks if getattr(type(self), name) is not self._own_hooks[name] or name in assigned]

    def _padded_terms(self, model: nn.Module, batch: Batch) -> PairTerms:
        chosen, rejected, chosen_logits, rejected_logits, nll = self.concatenated_forward(model, batch)[:5]
        nll_tokens = nll_token_count(batch, self.args.nll_scope, self.label_pad_token_id)
        means = [mean_logit(chosen_logits, batch, "chosen"), mean_logit(rejected_logits, batch, "rejected")]
        return PairTerms(chosen, rejected, nll * nll_tokens, nll_tokens, *means)

    def batch_loss_metrics(
        self, model: nn.Module, batch: Batch, train_eval: TrainEval
    ) -> tuple[Tensor, dict[str, Any]]:
        """Compute a batch's loss and metrics on the path that is open to it."""
        path = self.packed_path() if "pair_lengths" in batch else None
        if path is None or self._packed is None or self._bare(model) is not self._packed[0]:
            return self.get_batch_loss_metrics(model, batch, train_eval)
        if self._take_off is None:
            self._take_off = install(self._packed[0])
        terms = packed_terms(
            path,
            model,
            batch,
            nll_token_count(batch, self.args.nll_scope, self.label_pad_token_id),
            backward=self._backward_from if self._differentiates_early else None,
            without_sync=lambda: self.accelerator.no_sync(model),
        )
        return self.finish_loss(terms, batch, train_eval)

    def training_step(self, model: nn.Module, *args: Any, **kwargs: Any) -> Tensor:
        """Train on one micro-batch, releasing each group's activations before the next where nothing forbids it."""
        path = self.packed_path()
        self._differentiates_early = self._may_differentiate_early()
        keeping_little: AbstractContextManager[None] = nullcontext()
        if path is not None:
            path.head_call.may_write_grad = self._differentiates_early and self.args.world_size == 1
            keeping_little = self._keep_little(path, self._bare(model))
        try:
            with keeping_little:
                loss: Tensor = super().training_step(model, *args, **kwargs)
            return loss
        finally:
            self._differentiates_early = False
            if path is not None:
                path.head_call.may_write_grad = False

    def _lean_layers(self, model: nn.Module) -> LeanLayers | None:
        """Return the layers that keep little by themselves; they are looked for once per model."""
        in_float32 = self.accelerator.mixed_precision == "no" and self.args.device.type == "cpu"
        if not in_float32 or self.accelerator.distributed_type in SHARDED:
            return None
        if self._lean is None or self._lean[0] is not model:
            self._lean = (model, LeanLayers(model))
        return self._lean[1]

    def _keep_little(self, path: PackedPath, model: nn.Module) -> AbstractContextManager[None]:
        """Return the block for a step that keeps little, whether gradient checkpointing is on (TRL's default) or off.

        Given ``gradient_checkpointing_kwargs`` are taken at their word: whole layers, as they say. So is what the user
        chose under FSDP1 and DeepSpeed, whose hooks inside a layer do not come out the same on a second call.
        """
        lean = self._lean_layers(model)
        hooked = self.accelerator.distributed_type in SHARDED and not getattr(self.accelerator, "is_fsdp2", False)
        if self.args.gradient_checkpointing_kwargs is None and not hooked:
            tokens = max(path.budget or 0, 2 * (self.args.max_length or 512))
            changed = lighten(model, tokens, itemsize=2 if self.args.bf16 or self.args.fp16 else 4, lean=bool(lean))
            if changed and not self.args.gradient_checkpointing:
                self._stop_recomputing = partial(stop_recomputing, model)
        # Recomputed as a whole, a lean layer would compute its last product once more for nothing.
        if not lean or is_selective(model) is not None:
            return nullcontext()
        return lean.answering(into_grad=path.head_call.may_write_grad)

    def _may_differentiate_early(self) -> bool:
        if self.args.nan_policy == "skip" or self.compute_loss_func is not None:
            return False
        if self.accelerator.distributed_type in SHARDED or "lomo" in str(self.args.optim):
            return False
        return not self._overridden(WHOLE_BATCH_HOOKS)

    def _backward_from(self, terms: PairTerms) -> None:
        # The Trainer differentiates what compute_loss returns after dividing it like this.
        losses_B = self.odds_ratio_loss(terms.chosen_logps_B, terms.rejected_logps_B)[0]
        micro_batches = 1 if self.loss_is_scaled_for_ga else self.current_gradient_accumulation_steps
        loss = self.join_loss(terms, losses_B, "train") / micro_batches
        with torch.autocast(loss.device.type, enabled=False):
            self.accelerator.backward(loss)
