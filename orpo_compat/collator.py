"""Token lists to padded tensors, in TRL's layout.

Responses are padded on the right, a decoder's prompts on the left (generation starts at their end), whatever else a
row carries goes through as a list. Lengths stay on the host: the packed path never has to ask the device for them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from orpo_compat.loss import IGNORE_INDEX
from orpo_compat.packing import common_prefix

_PADDED_SUFFIXES = ("_input_ids", "_attention_mask", "_labels")


@dataclass
class PreferenceCollator:
    """Pads tokenized preference pairs to the longest of the batch.

    Args:
        pad_token_id: Fills token ids. Never trained on: labels and masks say so.
        is_encoder_decoder: Pads responses with the label padding instead, as sequence-to-sequence labels.
        label_pad_token_id: Fills labels.
        pad_to: Pads everything to this many tokens instead (``padding="max_length"``).

    Source: TRL's ``DPODataCollatorWithPadding``, 0.8.2 to 1.16.
    """

    pad_token_id: int = 0
    is_encoder_decoder: bool | None = False
    label_pad_token_id: int = IGNORE_INDEX
    pad_to: int | None = None

    def __call__(self, features: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Collate ``B`` rows. Tensors have shape ``(B, T)`` with ``T`` the longest of their own column."""
        padded: dict[str, Any] = {}
        carried: dict[str, Any] = {}
        for column in features[0]:
            values = [feature[column] for feature in features]
            if column.endswith(_PADDED_SUFFIXES):
                padded[column] = self._pad(column, values)
            elif column.endswith("_logps"):
                padded[column] = torch.tensor(values)
            else:
                carried[column] = values
        if not self.is_encoder_decoder and "chosen_labels" in features[0]:
            carried["pair_lengths"] = [pair_lengths(feature, self.label_pad_token_id) for feature in features]
            carried["shared_lengths"] = [
                common_prefix(f["chosen_input_ids"], f["rejected_input_ids"]) for f in features
            ]
        # Tensors first: accelerate reads the batch size off the first entry.
        return padded | carried

    def _pad(self, column: str, values: list[Sequence[int]]) -> Tensor:
        longest = max(len(value) for value in values)
        width = longest if self.pad_to is None else max(longest, self.pad_to)
        padded = torch.full((len(values), width), self._filler(column), dtype=torch.long)
        on_the_left = column.startswith("prompt_") and not self.is_encoder_decoder
        for row, value in zip(padded, values, strict=True):
            span = slice(width - len(value), width) if on_the_left else slice(0, len(value))
            row[span] = torch.as_tensor(value, dtype=torch.long)
        return padded

    def _filler(self, column: str) -> int:
        if column.endswith("_attention_mask"):
            return 0
        if column.endswith("_labels"):
            return self.label_pad_token_id
        if self.is_encoder_decoder and not column.startswith("prompt_"):
            return self.label_pad_token_id
        return self.pad_token_id


def pair_lengths(feature: Mapping[str, Any], label_pad_token_id: int = IGNORE_INDEX) -> tuple[int, int, int, int]:
    """Count a row's tokens: (chosen, rejected, chosen's prompt, rejected's prompt)."""
    chosen, rejected = feature["chosen_labels"], feature["rejected_labels"]
    return (
        len(chosen),
        len(rejected),
        _leading_padding(chosen, label_pad_token_id),
        _leading_padding(rejected, label_pad_token_id),
    )


def _leading_padding(labels: Sequence[int], label_pad_token_id: int) -> int:
    return next((i for i, label in enumerate(labels) if label != label_pad_token_id), len(labels))
