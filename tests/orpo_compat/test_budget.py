"""Budgets worked out by hand from a model's layers and a made-up memory."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from orpo_compat import budget
from orpo_compat.budget import busy_tokens
from orpo_compat.head import LogitRule
from orpo_compat.head_call import HeadCall
from orpo_compat.packed_path import PackedPath
from orpo_compat.packing import PairLengths


class TwoLayers(nn.Module):
    """100 trained and 60 frozen weights; 10 + 6 outputs a token."""

    def __init__(self) -> None:
        super().__init__()
        self.trained, self.frozen = nn.Linear(10, 10, bias=False), nn.Linear(10, 6, bias=False)
        self.frozen.requires_grad_(False)


# Weights, gradients and moments: 100 * 16 + 60 * 4 = 1840 bytes. A token keeps 16 outputs of four bytes: 64.
@pytest.mark.parametrize(("passes_of", "tokens"), [(10_000, 512), (512, 512), (511, 256), (300, 256), (3, 256)])
def test_a_pass_fits_a_third_of_what_training_leaves(
    monkeypatch: pytest.MonkeyPatch, passes_of: int, tokens: int
) -> None:
    monkeypatch.setattr(budget, "total_memory", lambda _: 1840 + 3 * 64 * passes_of)
    assert busy_tokens(TwoLayers()) == tokens


def path(tokens_per_pass: Any) -> PackedPath:
    return PackedPath(HeadCall(nn.Linear(2, 2), LogitRule()), TwoLayers(), tokens_per_pass=tokens_per_pass)


def pairs(*sizes: int) -> list[PairLengths]:
    return [PairLengths(size, 0, 1, 0, 0) for size in sizes]


@pytest.mark.parametrize(
    ("tokens_per_pass", "sizes", "groups"),
    [
        ("auto", (300, 200, 300), [[0, 1], [2]]),
        ("auto", (900, 300, 500, 100), [[0], [2], [1, 3]]),
        ("auto", (2000, 900, 1000, 100, 50), [[0], [2], [1], [3, 4]]),
        (600, (900, 300, 300), [[0], [1, 2]]),
        (None, (900, 300, 500), [[0, 1, 2]]),
    ],
)
def test_no_pass_is_larger_than_the_budget_or_one_pair(
    tokens_per_pass: Any, sizes: tuple[int, ...], groups: list[list[int]]
) -> None:
    assert path(tokens_per_pass).groups(pairs(*sizes)) == groups


def test_memory_is_the_device_s_own() -> None:
    assert budget.total_memory(torch.device("cpu")) > 2**30
