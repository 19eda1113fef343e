"""The padded hooks on their own, against TRL's static methods and sums done by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from orpo_compat.loss import IGNORE_INDEX
from orpo_compat.padded import PaddedHooks, mean_logit

BATCH: dict[str, Any] = {
    "chosen_input_ids": torch.tensor([[1, 5, 6], [1, 7, 0]]),
    "chosen_attention_mask": torch.tensor([[1, 1, 1], [1, 1, 0]]),
    "chosen_labels": torch.tensor([[-100, 5, 6], [-100, 7, -100]]),
    "rejected_input_ids": torch.tensor([[1, 8, 9, 2], [1, 2, 0, 0]]),
    "rejected_attention_mask": torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]]),
    "rejected_labels": torch.tensor([[-100, 8, 9, 2], [-100, 2, -100, -100]]),
    "prompt_input_ids": torch.tensor([[1], [1]]),
    "prompt_attention_mask": torch.tensor([[1], [1]]),
    "prompt": ["a", "b"],
}


def theirs() -> Any:
    return pytest.importorskip("trl.experimental.orpo").ORPOTrainer


def test_chosen_is_stacked_over_rejected_as_in_trl() -> None:
    expected = theirs().concatenated_inputs(BATCH, padding_value=9)
    stacked = PaddedHooks.concatenated_inputs(BATCH, padding_value=9)
    assert stacked.keys() == expected.keys()
    assert all(torch.equal(stacked[key], expected[key]) for key in expected)


def test_an_encoder_decoder_repeats_its_prompts_as_in_trl() -> None:
    keys = ("chosen_labels", "rejected_labels", "prompt_input_ids", "prompt_attention_mask")
    batch = {key: BATCH[key] for key in keys}
    expected = theirs().concatenated_inputs(batch, is_encoder_decoder=True)
    stacked = PaddedHooks.concatenated_inputs(batch, is_encoder_decoder=True)
    assert stacked.keys() == expected.keys()
    assert all(torch.equal(stacked[key], expected[key]) for key in expected)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**31), st.booleans(), st.booleans())
def test_log_probabilities_equal_trl_s(seed: int, average: bool, is_encoder_decoder: bool) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(3, 5, 11, generator=generator) * 4
    labels = torch.randint(0, 11, (3, 5), generator=generator)
    labels[torch.rand(3, 5, generator=generator) < 0.4] = IGNORE_INDEX
    labels[:, -1] = 3  # no row without a counted label: TRL divides by zero there
    expected = theirs().get_batch_logps(logits, labels, average, is_encoder_decoder)
    ours = PaddedHooks.get_batch_logps(logits, labels, average, is_encoder_decoder=is_encoder_decoder)
    torch.testing.assert_close(ours, expected, rtol=2e-6, atol=2e-6)


def test_shapes_that_do_not_belong_together_are_named() -> None:
    with pytest.raises(ValueError, match=r"got \(2, 3, 5\) and \(2, 4\)"):
        PaddedHooks.get_batch_logps(torch.zeros(2, 3, 5), torch.zeros(2, 4, dtype=torch.long))


def hooks(**attributes: Any) -> Any:
    return SimpleNamespace(**attributes, odds_ratio_loss=None)


def test_the_odds_term_is_weighted_by_beta_and_equals_trl_s() -> None:
    chosen, rejected = torch.tensor([-0.5, -2.0]), torch.tensor([-1.5, -0.25])
    device = SimpleNamespace(device=torch.device("cpu"))
    expected = theirs().odds_ratio_loss(hooks(beta=0.3, accelerator=device), chosen, rejected)
    for ours, value in zip(PaddedHooks.odds_ratio_loss(hooks(beta=0.3), chosen, rejected), expected, strict=True):
        torch.testing.assert_close(ours, value)


def test_labels_are_shifted_behind_the_start_token() -> None:
    model = hooks(decoder_start_token_id=0, pad_token_id=7, label_pad_token_id=IGNORE_INDEX)
    shifted = PaddedHooks._shift_right(model, torch.tensor([[5, 6, -100, -100]]))
    assert shifted.tolist() == [[0, 5, 6, 7]]


@pytest.mark.parametrize("missing", ["decoder_start_token_id", "pad_token_id"])
def test_a_model_without_a_start_or_padding_token_is_told_which(missing: str) -> None:
    model = hooks(**{"decoder_start_token_id": 0, "pad_token_id": 0, "label_pad_token_id": -100, missing: None})
    with pytest.raises(ValueError, match=missing):
        PaddedHooks._shift_right(model, torch.zeros(1, 2, dtype=torch.long))


def test_logits_are_averaged_over_positions_that_have_a_next_token() -> None:
    """Row 0 has two such positions, row 1 one: (1 + 2 + 5) / 3, whatever stands at the padding."""
    logits = torch.tensor([[1.0, 2.0], [5.0, 99.0]])[:, :, None].expand(2, 2, 4)
    assert mean_logit(logits, BATCH, "chosen") == pytest.approx(8 / 3)
