"""Methods of ORPOTrainer that subclasses override, as our trainer calls them: data for the rule about subclasses.

Names and parameters are TRL 1.16's, and ours are the same. ``LOST`` are parameters that older releases had: an
override written for those may still ask for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Hook:
    """One method: its parameters without ``self``, how many of them have no default, and what became of it."""

    parameters: tuple[str, ...]
    required: int
    note: str = ""


HOOKS: Mapping[str, Hook] = {
    "build_tokenized_answer": Hook(("prompt", "answer"), 2),
    "tokenize_row": Hook(("feature", "model"), 1),
    "concatenated_inputs": Hook(
        ("batch", "is_encoder_decoder", "padding_value", "device"),
        1,
        "TRL 0.28 removed its parameter label_pad_token_id",
    ),
    "odds_ratio_loss": Hook(("policy_chosen_logps", "policy_rejected_logps"), 2),
    "get_batch_logps": Hook(
        ("logits", "labels", "average_log_prob", "is_encoder_decoder"),
        2,
        "TRL 0.28 removed its parameter label_pad_token_id",
    ),
    "concatenated_forward": Hook(("model", "batch"), 2),
    "get_batch_loss_metrics": Hook(("model", "batch", "train_eval"), 2),
    "compute_loss": Hook(
        ("model", "inputs", "return_outputs", "num_items_in_batch"),
        2,
        "num_items_in_batch came with TRL 0.12",
    ),
    "generate_from_model": Hook(("model", "batch"), 2, "called get_batch_samples before TRL 0.12"),
    "get_batch_samples": Hook(
        ("epoch_iterator", "num_batches", "device"),
        2,
        "it generated text before TRL 0.12; since then the name is transformers' loader of micro-batches",
    ),
    "prediction_step": Hook(("model", "inputs", "prediction_loss_only", "ignore_keys"), 3),
    "store_metrics": Hook(("metrics", "train_eval"), 1),
    "evaluation_loop": Hook(
        ("dataloader", "description", "prediction_loss_only", "ignore_keys", "metric_key_prefix"), 2
    ),
    "log": Hook(("logs", "start_time"), 1, "start_time came with TRL 0.13"),
    "_shift_right": Hook(("input_ids",), 1),
    "_save_checkpoint": Hook(("model", "trial"), 2),
}
