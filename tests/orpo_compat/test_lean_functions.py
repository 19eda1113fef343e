"""Oracles: torch's numeric differentiation in float64, and the same formulas left to autograd."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from orpo_compat.lean_functions import ACTIVATIONS, Activation, gated_layer, rms_norm

NAMES = ["silu", "gelu-tanh", "gelu"]


def numbers(*shape: int, salt: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(salt)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_()


def kept_floats(result: Tensor, *weights: Tensor) -> int:
    """Count what the graph's last node keeps besides the weights."""
    kept = [x for x in result.grad_fn.saved_tensors if x is not None]  # type: ignore[union-attr]
    return sum(x.numel() for x in kept) - sum(weight.numel() for weight in weights)


def test_the_norm_is_the_formula_of_the_paper() -> None:
    rows, gain = torch.tensor([[3.0, 4.0]]), torch.tensor([1.0, 2.0])
    # The mean square is 12.5.
    expected = torch.tensor([[3.0 / 12.5**0.5, 8.0 / 12.5**0.5]])
    torch.testing.assert_close(rms_norm(rows, gain, 0.0), expected)


@pytest.mark.parametrize("eps", [1e-6, 0.5])
def test_the_norms_gradients_are_those_of_its_values(eps: float) -> None:
    assert torch.autograd.gradcheck(lambda x, g: rms_norm(x, g, eps), (numbers(2, 3, 4), numbers(4, salt=1)))


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=NAMES)
def test_the_gated_layers_gradients_are_those_of_its_values(activation: Activation) -> None:
    arguments = (numbers(2, 3, 4), numbers(5, 4, salt=1), numbers(5, 4, salt=2), numbers(4, 5, salt=3))
    assert torch.autograd.gradcheck(lambda *some: gated_layer(*some, activation), arguments)


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=NAMES)
def test_the_gated_layer_gives_what_its_parts_give(activation: Activation) -> None:
    x, gate, up, down = numbers(3, 4), numbers(5, 4, salt=1), numbers(5, 4, salt=2), numbers(4, 5, salt=3)
    expected = F.linear(activation.apply(F.linear(x, gate)) * F.linear(x, up), down)
    assert torch.equal(gated_layer(x, gate, up, down, activation), expected)


@pytest.mark.parametrize("frozen", [0, 1, 2, 3])
def test_what_is_frozen_gets_no_gradient_and_the_rest_the_same(frozen: int) -> None:
    def gradients(freeze: int | None) -> list[Tensor | None]:
        arguments = [numbers(3, 4), numbers(5, 4, salt=1), numbers(5, 4, salt=2), numbers(4, 5, salt=3)]
        if freeze is not None:
            arguments[freeze].requires_grad_(False)
        gated_layer(*arguments, ACTIVATIONS[0]).square().sum().backward()  # type: ignore[arg-type]
        return [x.grad for x in arguments]

    everything, some = gradients(None), gradients(frozen)
    assert some[frozen] is None
    assert all(torch.equal(some[i], everything[i]) for i in range(4) if i != frozen)  # type: ignore[arg-type]


def test_a_frozen_norm_passes_the_gradient_on() -> None:
    rows, gain = numbers(3, 4), numbers(4, salt=1).detach()
    assert torch.autograd.gradcheck(lambda x: rms_norm(x, gain, 1e-6), (rows,))


def test_little_is_kept() -> None:
    rows, gain = numbers(7, 4), numbers(4)
    assert kept_floats(rms_norm(rows, gain, 1e-6), gain) == rows.numel() + 7
    weights = (numbers(5, 4), numbers(5, 4), numbers(4, 5))
    assert kept_floats(gated_layer(rows, *weights, ACTIVATIONS[0]), *weights) == rows.numel() + 2 * 7 * 5
