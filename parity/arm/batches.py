"""What a batch and a mapping of metrics say, in plain numbers and without padding."""

from __future__ import annotations

from typing import Any


def scalars(mapping: dict[str, Any]) -> dict[str, float]:
    """Return the entries that are single numbers, as floats."""
    found = {}
    for name, value in mapping.items():
        if hasattr(value, "numel"):
            if value.numel() == 1:
                found[name] = float(value.detach().float())
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            found[name] = float(value)
    return found


def rows_of(batch: dict[str, Any]) -> tuple[list[dict[str, list[int]]], bool]:
    """Return each pair's real tokens and labels, whatever the padding, and whether any row was padded."""
    pairs, padded = [], False
    num_pairs = len(batch["chosen_labels"])
    widths = [len(batch[side + "_labels"][0]) for side in ("chosen", "rejected")]
    for index in range(num_pairs):
        pair = {}
        for side in ("chosen", "rejected"):
            labels = batch[side + "_labels"][index].tolist()
            if side + "_input_ids" in batch:
                mask = batch[side + "_attention_mask"][index].tolist()
                ids = batch[side + "_input_ids"][index].tolist()
                kept = [position for position, real in enumerate(mask) if real]
            else:
                ids = labels
                kept = [position for position, label in enumerate(labels) if label != -100]
            pair[side] = [ids[position] for position in kept]
            pair[side + "_labels"] = [labels[position] for position in kept]
            padded = padded or len(kept) < max(widths)
        if "chosen_input_ids" not in batch:
            mask = batch["prompt_attention_mask"][index].tolist()
            ids = batch["prompt_input_ids"][index].tolist()
            pair["prompt"] = [token for token, real in zip(ids, mask) if real]  # noqa: B905  Python 3.8
        pairs.append(pair)
    return pairs, padded
