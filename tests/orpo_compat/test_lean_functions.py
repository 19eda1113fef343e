"""Oracles: torch's numeric differentiation in float64, and the same formulas left to autograd."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from orpo_compat.lean_functions import ACTIVATIONS, Activation, gated_layer, last_normed, linear, rms_norm

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


@pytest.mark.parametrize("with_bias", [True, False])
def test_a_linear_layer_is_torchs(with_bias: bool) -> None:
    x, weight, bias = numbers(2, 3, 4), numbers(5, 4, salt=1), numbers(5, salt=2) if with_bias else None
    assert torch.equal(linear(x, weight, bias), F.linear(x, weight, bias))
    assert torch.autograd.gradcheck(lambda *some: linear(*some), (x, weight, *([bias] if with_bias else [])))


def normed_layers(normed: Tensor, weights: list[Tensor], *, into_grad: bool = False) -> Tensor:
    """Two linear layers and a gated one called with the same normed rows."""
    first, second, gate, up, down = weights
    alike = [linear(normed, weight, into_grad=into_grad).square().sum() for weight in (first, second)]
    return sum(alike, gated_layer(normed, gate, up, down, ACTIVATIONS[0], into_grad=into_grad).sum())


def five_weights() -> list[Tensor]:
    shapes = [(5, 4), (2, 4), (6, 4), (6, 4), (4, 6)]
    return [nn.Parameter(numbers(*shape, salt=i).detach()) for i, shape in enumerate(shapes)]


def test_layers_called_with_normed_rows_keep_what_these_were_normed_from() -> None:
    rows, gain, weights = numbers(7, 4), numbers(4), five_weights()
    normed = rms_norm(rows, gain, 1e-6)
    result = linear(normed, weights[0])
    kept = {x.data_ptr() for x in result.grad_fn.saved_tensors}  # type: ignore[union-attr]
    assert rows.data_ptr() in kept
    assert normed.data_ptr() not in kept


@pytest.mark.parametrize("changed", [False, True])
def test_normed_rows_lead_to_the_gradients_of_the_plain_formula(changed: bool) -> None:
    def gradients(norm: bool) -> list[Tensor | None]:
        rows, gain, weights = numbers(7, 4), numbers(4), five_weights()
        normed = rms_norm(rows, gain, 1e-6) if norm else rows * (rows.pow(2).mean(-1, True) + 1e-6).rsqrt() * gain
        if changed:
            # What was normed is then no longer what the layers are called with.
            normed.mul_(3.0)
        normed_layers(normed, weights).backward()
        return [x.grad for x in (rows, gain, *weights)]

    for ours, plain in zip(gradients(True), gradients(False), strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-10, atol=1e-10)


def test_two_norms_in_turn_are_not_taken_for_each_other() -> None:
    rows, gain, weights = numbers(7, 4), numbers(4), five_weights()
    one, other = rms_norm(rows, gain, 1e-6), rms_norm(rows, gain.detach() * 2, 0.5)
    (linear(one, weights[0]).sum() * linear(other, weights[1]).sum() * linear(one, weights[0]).sum()).backward()
    ours = [weights[0].grad, weights[1].grad]
    last_normed.forget()
    plain = five_weights()
    one, other = one.detach(), other.detach()
    (F.linear(one, plain[0]).sum() * F.linear(other, plain[1]).sum() * F.linear(one, plain[0]).sum()).backward()
    for mine, theirs in zip(ours, [plain[0].grad, plain[1].grad], strict=True):
        torch.testing.assert_close(mine, theirs)


def test_gradients_are_added_in_place() -> None:
    rows, gain, weights, plain = numbers(7, 4), numbers(4), five_weights(), five_weights()
    for _ in range(3):
        normed_layers(rms_norm(rows, gain, 1e-6), weights, into_grad=True).backward()
        normed_layers(rms_norm(rows, gain, 1e-6), plain).backward()
    for mine, theirs in zip(weights, plain, strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad)
    places = [weight.grad.data_ptr() for weight in weights]  # type: ignore[union-attr]
    normed_layers(rms_norm(rows, gain, 1e-6), weights, into_grad=True).backward()
    assert places == [weight.grad.data_ptr() for weight in weights]  # type: ignore[union-attr]


def test_a_watched_weight_gets_its_gradient_from_autograd() -> None:
    weights, seen = five_weights(), []
    weights[0].register_post_accumulate_grad_hook(lambda weight: seen.append(weight.grad.clone()))  # type: ignore[attr-defined]
    weights[4].register_hook(lambda grad: seen.append(grad.clone()))
    normed_layers(numbers(7, 4), weights, into_grad=True).backward()
    assert {tuple(x.shape) for x in seen} == {(5, 4), (4, 6)}
