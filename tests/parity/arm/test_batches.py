"""Batches and metrics are noted as plain numbers, without their padding."""

from __future__ import annotations

import math

import torch

from parity.arm.batches import rows_of, scalars


def test_rows_are_noted_without_their_padding():
    batch = {
        "chosen_input_ids": torch.tensor([[1, 2, 3], [1, 4, 0]]),
        "chosen_attention_mask": torch.tensor([[1, 1, 1], [1, 1, 0]]),
        "chosen_labels": torch.tensor([[-100, 2, 3], [-100, 4, -100]]),
        "rejected_input_ids": torch.tensor([[1, 9, 8], [1, 7, 6]]),
        "rejected_attention_mask": torch.ones(2, 3, dtype=torch.long),
        "rejected_labels": torch.tensor([[-100, 9, 8], [-100, 7, 6]]),
    }
    pairs, padded = rows_of(batch)
    assert padded
    assert pairs[1]["chosen"] == [1, 4]
    assert pairs[1]["chosen_labels"] == [-100, 4]
    full = {name: tensor[:1] for name, tensor in batch.items()}
    assert rows_of(full)[1] is False


def test_only_single_numbers_count_as_metrics():
    found = scalars({"a": torch.tensor(2.0), "b": torch.ones(2), "c": 3, "d": True, "e": "x", "f": math.inf})
    assert found == {"a": 2.0, "c": 3.0, "f": math.inf}
