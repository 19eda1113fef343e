"""The watch over pairs that are not finite, apart from any trainer."""

from __future__ import annotations

import math

import pytest
import torch

from orpo_compat.errors import NonFiniteLoss
from orpo_compat.guard import NonFiniteWatch, finite_pairs, row_names, without_pairs
from orpo_compat.terms import PairTerms

NAN, INF = math.nan, math.inf


def terms(chosen: list[float], rejected: list[float]) -> PairTerms:
    zero = torch.zeros(())
    return PairTerms(torch.tensor(chosen), torch.tensor(rejected), zero, zero, zero, zero)


def test_a_pair_is_finite_if_both_its_sides_are() -> None:
    finite = finite_pairs(terms([-1.0, NAN, -2.0, -3.0], [-1.0, -1.0, -INF, INF]))
    assert finite.tolist() == [True, False, False, False]


def test_rows_are_named_by_id_and_prompt_where_there_are_any() -> None:
    assert row_names({"row_id": [7, 8], "prompt": ["hello", "x" * 99]}, [1]) == [f"row 8 ({'x' * 60!r})"]
    assert row_names({}, [0, 2]) == ["pair 0 of the batch", "pair 2 of the batch"]


def test_settling_names_the_rows_once_and_then_forgets() -> None:
    watch = NonFiniteWatch()
    watch.note(torch.tensor([True, False, False]), {"row_id": [4, 5, 6], "chosen_input_ids": torch.ones(3)})
    with pytest.raises(NonFiniteLoss, match=r"step 12: .*row 5, row 6 are not finite"):
        watch.settle(12)
    watch.settle(13)


def test_a_finite_step_settles_in_silence() -> None:
    watch = NonFiniteWatch()
    watch.note(torch.tensor([True]), {})
    assert watch.unfinished() is None
    watch.note(torch.tensor([True]), {})
    watch.settle(1)


def test_leaving_pairs_out_cuts_tensors_and_lists_alike() -> None:
    batch = {"ids": torch.tensor([[1], [2], [3]]), "prompt": ["a", "b", "c"], "scale": torch.tensor(2.0), "n": 5}
    rest = without_pairs(batch, torch.tensor([True, False, True]))
    assert rest["ids"].tolist() == [[1], [3]]
    assert rest["prompt"] == ["a", "c"]
    assert (rest["scale"], rest["n"]) == (torch.tensor(2.0), 5)
