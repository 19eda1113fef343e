"""The in-place table gradient against autograd's dense one."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from orpo_compat.embedding_call import forward_replaced, is_unwatched_leaf, rows_into_grad

IDS = torch.tensor([[3, 1, 3, 0, 2]])


class Model(nn.Module):
    """As much of a model as the block asks for."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.table = nn.Embedding(6, 4, **options)

    def get_input_embeddings(self) -> nn.Module:
        return self.table


def gradient_of(model: Model, upstream: Tensor, *, in_place: bool) -> Tensor:
    if in_place:
        with rows_into_grad(model):
            embedded = model.table(IDS)
    else:
        embedded = model.table(IDS)
    (embedded * upstream).sum().backward()
    assert model.table.weight.grad is not None
    return model.table.weight.grad


@pytest.mark.parametrize("options", [{}, {"padding_idx": 0}, {"padding_idx": 3}])
def test_rows_add_up_as_in_the_dense_gradient(options: dict[str, Any]) -> None:
    upstream = torch.randn(1, 5, 4)
    theirs = gradient_of(Model(**options), upstream, in_place=False)
    ours = Model(**options)
    torch.testing.assert_close(gradient_of(ours, upstream, in_place=True), theirs)
    torch.testing.assert_close(gradient_of(ours, upstream, in_place=True), 2 * theirs)


@pytest.mark.parametrize("options", [{"max_norm": 1.0}, {"scale_grad_by_freq": True}])
def test_an_embedding_with_rules_of_its_own_is_left_to_autograd(options: dict[str, Any]) -> None:
    model = Model(**options)
    with rows_into_grad(model):
        assert "forward" not in vars(model.table)


def test_the_embedding_is_as_it_was_afterwards() -> None:
    model = Model()
    with rows_into_grad(model):
        assert "forward" in vars(model.table)
    assert "forward" not in vars(model.table)


def test_a_forward_that_was_already_replaced_comes_back() -> None:
    module = nn.Linear(2, 2)
    wrapped = lambda value: value  # noqa: E731
    module.forward = wrapped  # type: ignore[method-assign]
    with forward_replaced(module, lambda value: -value):
        assert module(torch.ones(2)).tolist() == [-1.0, -1.0]
    assert module.forward is wrapped


def test_only_a_leaf_that_nothing_watches_may_be_written_to() -> None:
    weight = nn.Parameter(torch.zeros(2))
    assert is_unwatched_leaf(weight)
    assert not is_unwatched_leaf(nn.Parameter(torch.zeros(2), requires_grad=False))
    assert not is_unwatched_leaf(weight * 2)
    weight.register_post_accumulate_grad_hook(lambda _: None)
    assert not is_unwatched_leaf(weight)
