"""Norms, linear and gated layers, each one node of the graph that keeps only what it cannot compute again.

Autograd keeps every intermediate result of these layers, four times what the backward pass needs. Here a norm keeps
its input; a linear layer its input, or what that was normed from; a gated layer the same and its two first products.
The rest is elementwise and computed a second time. Float32 in, float32 out. Decides nothing about who may use them.

Shapes: ``R`` rows, ``D`` hidden size, ``W`` a layer's output or inner size.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from orpo_compat.embedding_call import is_unwatched_leaf


class Activation(NamedTuple):
    """An elementwise function, and its backward: ``(gradient of the result, argument)`` to the argument's gradient."""

    apply: Callable[[Tensor], Tensor]
    pull_back: Callable[[Tensor, Tensor], Tensor]


ACTIVATIONS = (
    Activation(F.silu, torch.ops.aten.silu_backward.default),
    Activation(
        lambda x: F.gelu(x, approximate="tanh"),
        lambda grad, x: torch.ops.aten.gelu_backward.default(grad, x, approximate="tanh"),
    ),
    Activation(F.gelu, torch.ops.aten.gelu_backward.default),
)


def rms_norm(rows: Tensor, gain_D: Tensor, eps: float) -> Tensor:
    """Return ``gain * x / sqrt(mean(x ** 2) + eps)`` over the last axis (arXiv:1910.07467, equation 4)."""
    normed, scale = _RmsNorm.apply(rows, gain_D, eps)  # type: ignore[no-untyped-call]  # torch leaves it untyped
    # For the layer that is called with it: these are kept anyway.
    normed.made_from = (normed._version, (rows, scale, gain_D))
    return normed  # type: ignore[no-any-return]


class _RmsNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, gain_D: Tensor, eps: float) -> tuple[Tensor, Tensor]:
        scale = torch.rsqrt(rows.pow(2).mean(-1, keepdim=True) + eps)
        ctx.save_for_backward(rows, gain_D, scale)
        ctx.mark_non_differentiable(scale)
        return (rows * scale).mul_(gain_D), scale

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        rows, gain_D, scale = ctx.saved_tensors
        needs_rows, needs_gain = ctx.needs_input_grad[:2]
        normed = rows * scale
        along = grads[0] * normed
        grad_gain_D = along.flatten(0, -2).sum(0) if needs_gain else None
        if not needs_rows:
            return None, grad_gain_D, None
        minus_mean = (along @ gain_D)[..., None].div_(-len(gain_D))
        return (grads[0] * gain_D).addcmul_(normed, minus_mean).mul_(scale), grad_gain_D, None


class _LastNormed(threading.local):
    """The rows that were normed again last in a backward pass: several layers were called with them."""

    def __init__(self) -> None:
        self._last: tuple[Tensor, Tensor] | None = None

    def again(self, parts: Sequence[Tensor]) -> Tensor:
        """Return a layer's input, given what its node kept of it."""
        if len(parts) == 1:
            return parts[0]
        rows, scale, gain_D = parts
        # The scale is held, so that no other can have its address.
        if self._last is None or self._last[0].data_ptr() != scale.data_ptr():
            self._last = scale, (rows * scale).mul_(gain_D)
        return self._last[1]

    def forget(self) -> None:
        """Let go of them."""
        self._last = None


last_normed = _LastNormed()


def _parts(inputs: Tensor) -> tuple[Tensor, ...]:
    """Say what to keep of a layer's input: the rows, scale and gain it was normed from, or itself."""
    version, parts = getattr(inputs, "made_from", (None, ()))
    # What was changed in place since is no longer what was normed.
    return parts if version == inputs._version else (inputs,)


def linear(inputs: Tensor, weight_WD: Tensor, bias_W: Tensor | None = None, *, into_grad: bool = False) -> Tensor:
    """Return ``weight @ x + bias``.

    Args:
        inputs: Shape: ``(..., D)``.
        weight_WD: A frozen one gets no gradient.
        bias_W: Added to the product.
        into_grad: Add the weight's gradient to its ``.grad`` rather than handing autograd a second tensor to add,
            where it is a plain leaf that nothing watches. Only for a plain ``backward()``.
    """
    outputs: Tensor = _Linear.apply(inputs, weight_WD, bias_W, into_grad)  # type: ignore[no-untyped-call]
    return outputs


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight_WD: Tensor, bias_W: Tensor | None, into_grad: bool) -> Tensor:
        ctx.save_for_backward(weight_WD, *(_parts(inputs) if weight_WD.requires_grad else ()))
        ctx.into_grad, ctx.shape = into_grad, inputs.shape
        return F.linear(inputs, weight_WD, bias_W)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        weight_WD, *parts = ctx.saved_tensors
        needs_inputs, needs_weight, needs_bias = ctx.needs_input_grad[:3]
        grad_RW = grads[0].flatten(0, -2)
        grad_inputs = (grad_RW @ weight_WD).view(ctx.shape) if needs_inputs else None
        grad_weight = None
        if needs_weight:
            grad_weight = _product(weight_WD, grad_RW.T, last_normed.again(parts).flatten(0, -2), ctx.into_grad)
        return grad_inputs, grad_weight, grad_RW.sum(0) if needs_bias else None, None


def _product(weight: Tensor, left: Tensor, right: Tensor, into_grad: bool) -> Tensor | None:
    """Return ``left @ right`` for autograd to add to the weight's gradient, or add it here and return nothing."""
    if not (into_grad and is_unwatched_leaf(weight)):
        return left @ right
    if weight.grad is None:
        weight.grad = left @ right
    else:
        weight.grad.addmm_(left, right)
    return None


def gated_layer(
    inputs: Tensor,
    gate_WD: Tensor,
    up_WD: Tensor,
    down_DW: Tensor,
    activation: Activation,
    *,
    into_grad: bool = False,
) -> Tensor:
    """Return ``down(activation(gate(x)) * up(x))`` (arXiv:2002.05202, equation 6); ``into_grad`` as for ``linear``."""
    weights = (gate_WD, up_WD, down_DW)
    outputs: Tensor = _Gated.apply(inputs, *weights, activation, into_grad)  # type: ignore[no-untyped-call]
    return outputs


class _Gated(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        gate_WD: Tensor,
        up_WD: Tensor,
        down_DW: Tensor,
        activation: Activation,
        into_grad: bool,
    ) -> Tensor:
        gates, ups = F.linear(inputs, gate_WD), F.linear(inputs, up_WD)
        ctx.save_for_backward(gates, ups, gate_WD, up_WD, down_DW, *_parts(inputs))
        ctx.activation, ctx.into_grad, ctx.shape = activation, into_grad, inputs.shape
        return F.linear(activation.apply(gates).mul_(ups), down_DW)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        gates, ups, gate_WD, up_WD, down_DW, *parts = ctx.saved_tensors
        needs_inputs, needs_gate, needs_up, needs_down = ctx.needs_input_grad[:4]
        gates_RW, ups_RW, grad_RD = (x.flatten(0, -2) for x in (gates, ups, grads[0]))
        inputs_RD = last_normed.again(parts).flatten(0, -2)
        grad_inner_RW = grad_RD @ down_DW
        grad_gates_RW = ctx.activation.pull_back(grad_inner_RW * ups_RW, gates_RW)
        active_RW = ctx.activation.apply(gates_RW)
        grad_ups_RW = grad_inner_RW.mul_(active_RW)
        grad_down = _product(down_DW, grad_RD.T, active_RW.mul_(ups_RW), ctx.into_grad) if needs_down else None
        grad_inputs = None
        if needs_inputs:
            grad_inputs = (grad_ups_RW @ up_WD).addmm_(grad_gates_RW, gate_WD).view(ctx.shape)
        grad_gate = _product(gate_WD, grad_gates_RW.T, inputs_RD, ctx.into_grad) if needs_gate else None
        grad_up = _product(up_WD, grad_ups_RW.T, inputs_RD, ctx.into_grad) if needs_up else None
        return grad_inputs, grad_gate, grad_up, grad_down, None, None
