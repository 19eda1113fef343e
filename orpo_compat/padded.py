"""The padded path: TRL's hooks, with TRL's meaning, for subclasses that override or call them.

Every method here may be overridden by real code in the wild, so names, arities and return values are TRL's (both
historical signatures where they changed). Shapes: ``B`` pairs, ``T`` padded length, ``V`` vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from orpo_compat.errors import ModelError
from orpo_compat.loss import IGNORE_INDEX, masked_mean, odds_terms, token_logps

if TYPE_CHECKING:
    from torch import nn

Batch = Mapping[str, Any]
TrainEval = Literal["train", "eval"]


class PaddedHooks:
    """The overridable pieces of one padded ORPO step, as a mixin of the trainer."""

    if TYPE_CHECKING:
        beta: float
        is_encoder_decoder: bool
        label_pad_token_id: int
        padding_value: int
        aux_loss_enabled: bool
        aux_loss_coef: float
        decoder_start_token_id: int | None
        pad_token_id: int | None
        accelerator: Any
        args: Any

    @staticmethod
    def concatenated_inputs(
        batch: Batch,
        is_encoder_decoder: bool = False,
        *legacy: Any,
        label_pad_token_id: int = IGNORE_INDEX,
        padding_value: int = 0,
        device: torch.device | None = None,
    ) -> dict[str, Tensor]:
        """Stack chosen over rejected, padded to one length. Tensors have shape ``(2B, T)``.

        Args:
            batch: As the collator emits it.
            legacy: Further positional arguments in either historical order: ``(padding_value, device)`` as since
                TRL 0.28, or ``(label_pad_token_id, padding_value, device)`` as before it.
        """
        if len(legacy) == 3 or (len(legacy) == 2 and isinstance(legacy[1], int)):
            label_pad_token_id, padding_value, *rest = legacy
        else:
            padding_value, *rest = (*legacy, padding_value)[:1] + legacy[1:]
        device = rest[0] if rest else device
        reference = "labels" if is_encoder_decoder else "input_ids"
        width = max(batch[f"chosen_{reference}"].shape[1], batch[f"rejected_{reference}"].shape[1])
        stacked = {}
        for column, chosen in batch.items():
            if not column.startswith("chosen_") or not isinstance(chosen, Tensor) or chosen.ndim != 2:
                continue
            kind = column.removeprefix("chosen_")
            filler = _filler(kind, is_encoder_decoder, label_pad_token_id, padding_value)
            both = [_widened(batch[f"{side}_{kind}"], width, filler) for side in ("chosen", "rejected")]
            stacked[f"concatenated_{kind}"] = torch.cat(both).to(device)
        if is_encoder_decoder:
            for kind in ("input_ids", "attention_mask"):
                stacked[f"concatenated_{kind}"] = batch[f"prompt_{kind}"].repeat(2, 1).to(device)
        return stacked

    @staticmethod
    def get_batch_logps(
        logits: Tensor,
        labels: Tensor,
        average_log_prob: bool = False,
        *legacy: Any,
        label_pad_token_id: int = IGNORE_INDEX,
        is_encoder_decoder: bool = False,
    ) -> Tensor:
        """Sum or average the labels' log-probabilities per row, in float32. Shape: ``(B,)``.

        Args:
            logits: Shape: ``(B, T, V)``.
            labels: Shape: ``(B, T)``; ``label_pad_token_id`` is not counted.
            average_log_prob: Mean over the counted tokens rather than their sum.
            legacy: Further positional arguments in either historical order: ``(is_encoder_decoder,)`` as since
                TRL 0.28, or ``(label_pad_token_id, is_encoder_decoder)`` as before it.

        Raises:
            ValueError: the shapes of logits and labels do not belong together.
        """
        if len(legacy) == 1 and isinstance(legacy[0], bool):
            is_encoder_decoder = legacy[0]
        elif legacy:
            label_pad_token_id = legacy[0]
            is_encoder_decoder = legacy[1] if len(legacy) > 1 else is_encoder_decoder
        if logits.shape[:-1] != labels.shape:
            raise ValueError(
                f"logits and labels must agree but for the vocabulary, got {tuple(logits.shape)} and "
                f"{tuple(labels.shape)}; pass the labels the logits were computed for"
            )
        if not is_encoder_decoder:
            logits, labels = logits[:, :-1], labels[:, 1:]
        counted = labels != label_pad_token_id
        logps_BT = token_logps(logits, labels.masked_fill(~counted, IGNORE_INDEX))
        if average_log_prob:
            return masked_mean(logps_BT, counted)
        return logps_BT.masked_fill(~counted, 0.0).sum(-1)

    def odds_ratio_loss(
        self, policy_chosen_logps: Tensor, policy_rejected_logps: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Weigh the log odds ratio of each pair.

        Args:
            policy_chosen_logps: Mean log-probabilities of the chosen responses. Shape: ``(B,)``.
            policy_rejected_logps: The same for the rejected ones.

        Returns:
            ``beta * log sigmoid(log odds)`` per pair (to be *subtracted* from the NLL), the chosen and rejected
            rewards (``beta`` times the log-probabilities, detached), and the means of ``log sigmoid(log odds)`` and
            of the log odds, for logging.
        """
        log_odds_B, log_sigmoid_B = odds_terms(policy_chosen_logps, policy_rejected_logps)
        chosen_rewards = self.beta * policy_chosen_logps.detach().float()
        rejected_rewards = self.beta * policy_rejected_logps.detach().float()
        return (
            self.beta * log_sigmoid_B,
            chosen_rewards,
            rejected_rewards,
            log_sigmoid_B.mean(),
            log_odds_B.mean(),
        )

    def concatenated_forward(self, model: nn.Module, batch: Batch) -> tuple[Tensor, ...]:
        """Run chosen and rejected through the model in one padded forward.

        Returns:
            Mean log-probabilities of chosen and rejected ``(B,)``, their logits ``(B, T-1, V)`` (``(B, T, V)`` for
            encoder-decoders), the NLL of the chosen rows (scalar), and the router's auxiliary loss if enabled.
        """
        # Overrides written since TRL 0.28 do not take the label padding: it is passed only where it is not -100.
        unusual = {} if self.label_pad_token_id == IGNORE_INDEX else {"label_pad_token_id": self.label_pad_token_id}
        inputs = self.concatenated_inputs(
            batch,
            is_encoder_decoder=self.is_encoder_decoder,
            padding_value=self.padding_value,
            device=self.accelerator.device,
            **unusual,
        )
        num_pairs = len(batch["chosen_labels"])
        extra: dict[str, Any] = {"output_router_logits": True} if self.aux_loss_enabled else {}
        if self.is_encoder_decoder:
            extra["decoder_input_ids"] = self._shift_right(inputs["concatenated_labels"])
        outputs = model(
            inputs["concatenated_input_ids"],
            attention_mask=inputs["concatenated_attention_mask"],
            use_cache=False,
            **extra,
        )
        logits, labels = logits_of(outputs, model), inputs["concatenated_labels"]
        logps = self.get_batch_logps(
            logits, labels, average_log_prob=True, is_encoder_decoder=self.is_encoder_decoder, **unusual
        )
        targets = self._nll_targets(inputs)[:num_pairs]
        if not self.is_encoder_decoder:
            logits, targets = logits[:, :-1], targets[:, 1:]
        nll = -masked_mean(token_logps(logits[:num_pairs], targets).flatten(), (targets != IGNORE_INDEX).flatten())
        terms = (logps[:num_pairs], logps[num_pairs:], logits[:num_pairs], logits[num_pairs:], nll)
        return (*terms, outputs.aux_loss) if self.aux_loss_enabled else terms

    def _nll_targets(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Label what the NLL counts: TRL's prompt and response, or the response alone."""
        labels = inputs["concatenated_labels"]
        if self.is_encoder_decoder or getattr(self.args, "nll_scope", "") == "response":
            return labels.masked_fill(labels == self.label_pad_token_id, IGNORE_INDEX)
        hidden = inputs["concatenated_attention_mask"] != 1
        return inputs["concatenated_input_ids"].masked_fill(hidden, IGNORE_INDEX)

    def _shift_right(self, input_ids: Tensor) -> Tensor:
        """Return decoder inputs for the labels: shifted by one behind the start token. Shape as given."""
        if self.decoder_start_token_id is None or self.pad_token_id is None:
            missing = "decoder_start_token_id" if self.decoder_start_token_id is None else "pad_token_id"
            raise ValueError(f"an encoder-decoder needs model.config.{missing}, got None; T5 sets it to the pad token")
        shifted = input_ids.roll(1, dims=-1)
        shifted[..., 0] = self.decoder_start_token_id
        return shifted.masked_fill(shifted == self.label_pad_token_id, self.pad_token_id)


def mean_logit(logits_BTV: Tensor, batch: Batch, side: str) -> Tensor:
    """Average one side's logits over the vocabulary and its real positions, for the log. Detached scalar.

    TRL averages padding too, so its value depends on who shares the batch.
    """
    mask = batch.get(f"{side}_attention_mask")
    real = mask[:, 1:] if mask is not None else batch[f"{side}_labels"] != IGNORE_INDEX
    means_BT = logits_BTV.detach().mean(-1, dtype=torch.float32)
    real = _widened(real.to(means_BT.device), means_BT.shape[1], 0).bool()
    return masked_mean(means_BT.flatten(), real.flatten())


def _filler(kind: str, is_encoder_decoder: bool, label_pad_token_id: int, padding_value: int) -> int:
    if "labels" in kind or is_encoder_decoder:
        return label_pad_token_id
    return 0 if kind.endswith("attention_mask") else padding_value


def _widened(tensor: Tensor, width: int, filler: int) -> Tensor:
    return torch.nn.functional.pad(tensor, (0, width - tensor.shape[1]), value=filler)


def logits_of(outputs: Any, model: nn.Module) -> Tensor:
    """Return a forward's logits.

    Raises:
        ModelError: there are none.
    """
    logits: Tensor | None = getattr(outputs, "logits", None)
    if logits is None:
        raise ModelError(
            f"{type(model).__name__} returned no logits: it is a model without a language-modelling head.\n"
            "  Next: load it with AutoModelForCausalLM or AutoModelForSeq2SeqLM."
        )
    return logits
