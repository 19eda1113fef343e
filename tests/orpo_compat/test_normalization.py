"""Losses worked out by hand, and the law that shares add up to the whole however a step is split."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from orpo_compat.normalization import Window, micro_batch_loss, nll_token_count
from orpo_compat.terms import PairTerms

BATCH: dict[str, Any] = {
    "chosen_attention_mask": torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]]),
    "chosen_labels": torch.tensor([[-100, -100, 6, 2], [-100, 2, -100, -100]]),
}


def terms(nll_sum: float, tokens: int, aux: float | None = None) -> PairTerms:
    zero = torch.zeros(())
    aux_loss = None if aux is None else torch.tensor(aux)
    return PairTerms(zero, zero, torch.tensor(nll_sum), torch.tensor(tokens), zero, zero, aux_loss)


def test_the_first_token_of_a_row_is_predicted_by_nothing() -> None:
    assert nll_token_count(BATCH, "prompt_and_response") == 3 + 1
    assert nll_token_count(BATCH, "response") == 2 + 1


def test_every_label_of_an_encoder_decoder_counts() -> None:
    assert nll_token_count({"chosen_labels": torch.tensor([[3, 2, -100], [4, 5, 2]])}, "prompt_and_response") == 5


def test_a_micro_batch_is_a_token_mean_less_a_pair_mean() -> None:
    """12 / 4 - mean(-1, -3) + 0.5 * 4 = 3 + 2 + 2."""
    assert micro_batch_loss(terms(12.0, 4, aux=4.0), torch.tensor([-1.0, -3.0]), aux_coef=0.5) == 7.0


def test_the_shares_of_a_window_add_up_to_the_loss_of_the_whole() -> None:
    parts = [(terms(12.0, 4), torch.tensor([-1.0, -3.0])), (terms(30.0, 6), torch.tensor([-2.0]))]
    window = Window(torch.tensor(10.0), torch.tensor(3.0), num_micro_batches=2, world_size=1)
    total = sum(window.loss(t, losses, 0.0) for t, losses in parts)
    assert float(total) == pytest.approx(42 / 10 + 6 / 3)


def test_ranks_whose_gradients_are_averaged_get_shares_scaled_up() -> None:
    window = Window(torch.tensor(10.0), torch.tensor(3.0), num_micro_batches=1, world_size=2)
    ranks = [
        window.loss(terms(12.0, 4), torch.tensor([-1.0, -3.0]), 0.0),
        window.loss(terms(30.0, 6), torch.tensor([-2.0]), 0.0),
    ]
    assert float(sum(ranks) / 2) == pytest.approx(42 / 10 + 6 / 3)


def test_a_window_counts_its_batches_and_reduces_once() -> None:
    calls = []

    def reduce(totals: torch.Tensor) -> torch.Tensor:
        calls.append(totals.tolist())
        return totals * 2

    window = Window.of([BATCH, BATCH], "response", reduce, world_size=2)
    assert calls == [[6.0, 4.0]]
    assert (float(window.nll_tokens), float(window.num_pairs), window.num_micro_batches) == (12.0, 8.0, 2)
