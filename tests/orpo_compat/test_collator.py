"""Padding worked out by hand, and TRL's collator on the same rows."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from orpo_compat import PreferenceCollator
from orpo_compat.collator import pair_lengths

ROWS: list[dict[str, Any]] = [
    {
        "prompt": "a", "prompt_input_ids": [1, 5], "prompt_attention_mask": [1, 1],
        "chosen_input_ids": [1, 5, 6, 2], "chosen_attention_mask": [1] * 4, "chosen_labels": [-100, -100, 6, 2],
        "rejected_input_ids": [1, 5, 2], "rejected_attention_mask": [1] * 3, "rejected_labels": [-100, -100, 2],
    },
    {
        "prompt": "b", "prompt_input_ids": [1], "prompt_attention_mask": [1],
        "chosen_input_ids": [1, 2], "chosen_attention_mask": [1] * 2, "chosen_labels": [-100, 2],
        "rejected_input_ids": [1, 7, 8, 2], "rejected_attention_mask": [1] * 4, "rejected_labels": [-100, 7, 8, 2],
    },
]  # fmt: skip


def test_responses_are_padded_right_and_prompts_left() -> None:
    batch = PreferenceCollator(pad_token_id=9)(ROWS)
    assert batch["chosen_input_ids"].tolist() == [[1, 5, 6, 2], [1, 2, 9, 9]]
    assert batch["chosen_labels"].tolist() == [[-100, -100, 6, 2], [-100, 2, -100, -100]]
    assert batch["rejected_attention_mask"].tolist() == [[1, 1, 1, 0], [1, 1, 1, 1]]
    assert batch["prompt_input_ids"].tolist() == [[1, 5], [9, 1]]
    assert batch["prompt"] == ["a", "b"]


def test_lengths_stay_on_the_host_as_plain_numbers() -> None:
    assert PreferenceCollator()(ROWS)["pair_lengths"] == [(4, 3, 2, 2), (2, 4, 1, 1)]


def test_a_row_of_prompt_alone_has_no_response_tokens() -> None:
    assert pair_lengths({"chosen_labels": [-100, -100], "rejected_labels": [3]}) == (2, 1, 2, 0)


def test_tensors_come_first_for_those_who_read_the_batch_size_off_the_first_entry() -> None:
    kinds = [isinstance(value, torch.Tensor) for value in PreferenceCollator()(ROWS).values()]
    assert kinds == sorted(kinds, reverse=True)


def test_padding_can_reach_a_fixed_length() -> None:
    assert PreferenceCollator(pad_to=6)(ROWS)["chosen_labels"].shape == (2, 6)


@pytest.mark.parametrize("is_encoder_decoder", [False, True])
def test_batches_equal_trl_s(is_encoder_decoder: bool) -> None:
    utils = pytest.importorskip("trl.experimental.utils")
    keys = ("prompt", "chosen_labels", "rejected_labels", "prompt_input_ids", "prompt_attention_mask")
    rows = [{key: row[key] for key in keys} for row in ROWS] if is_encoder_decoder else ROWS
    theirs = utils.DPODataCollatorWithPadding(pad_token_id=9, is_encoder_decoder=is_encoder_decoder)(rows)
    ours = PreferenceCollator(pad_token_id=9, is_encoder_decoder=is_encoder_decoder)(rows)
    for key, value in theirs.items():
        assert torch.equal(ours[key], value) if isinstance(value, torch.Tensor) else ours[key] == value, key
