"""A norm and a gated feed-forward layer, each one node of the graph that keeps only what it cannot compute again.

Autograd keeps every intermediate result of these layers, four times what the backward pass needs. Here a norm keeps
its input, a gated layer its input and its two first products; the rest is elementwise and computed a second time.
Float32 in, float32 out. Decides nothing about who may use them.

Shapes: ``R`` rows, ``D`` hidden size, ``W`` the gated layer's inner size.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


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
    normed: Tensor = _RmsNorm.apply(rows, gain_D, eps)  # type: ignore[no-untyped-call]  # torch leaves it untyped
    return normed


class _RmsNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, gain_D: Tensor, eps: float) -> Tensor:
        scale = torch.rsqrt(rows.pow(2).mean(-1, keepdim=True) + eps)
        ctx.save_for_backward(rows, gain_D, scale)
        return (rows * scale).mul_(gain_D)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        rows, gain_D, scale = ctx.saved_tensors
        needs_rows, needs_gain = ctx.needs_input_grad[:2]
        normed = rows * scale
        grad_gain_D = (grads[0] * normed).flatten(0, -2).sum(0) if needs_gain else None
        if not needs_rows:
            return None, grad_gain_D, None
        grad = grads[0] * gain_D
        along = (grad * normed).mean(-1, keepdim=True)
        return grad.addcmul_(normed, along, value=-1).mul_(scale), grad_gain_D, None


def gated_layer(inputs: Tensor, gate_WD: Tensor, up_WD: Tensor, down_DW: Tensor, activation: Activation) -> Tensor:
    """Return ``down(activation(gate(x)) * up(x))`` (arXiv:2002.05202, equation 6)."""
    outputs: Tensor = _Gated.apply(inputs, gate_WD, up_WD, down_DW, activation)  # type: ignore[no-untyped-call]
    return outputs


class _Gated(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, gate_WD: Tensor, up_WD: Tensor, down_DW: Tensor, activation: Activation
    ) -> Tensor:
        gates, ups = F.linear(inputs, gate_WD), F.linear(inputs, up_WD)
        ctx.save_for_backward(inputs, gates, ups, gate_WD, up_WD, down_DW)
        ctx.activation = activation
        return F.linear(activation.apply(gates) * ups, down_DW)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        inputs, gates, ups, gate_WD, up_WD, down_DW = ctx.saved_tensors
        needs_inputs, needs_gate, needs_up, needs_down = ctx.needs_input_grad[:4]
        inputs_RD, gates_RW, ups_RW, grad_RD = (x.flatten(0, -2) for x in (inputs, gates, ups, grads[0]))
        active_RW = ctx.activation.apply(gates_RW)
        grad_down = grad_RD.T @ (active_RW * ups_RW) if needs_down else None
        grad_inner_RW = grad_RD @ down_DW
        grad_gates_RW = ctx.activation.pull_back(grad_inner_RW * ups_RW, gates_RW)
        grad_ups_RW = grad_inner_RW.mul_(active_RW)
        grad_inputs = None
        if needs_inputs:
            grad_inputs = (grad_ups_RW @ up_WD).addmm_(grad_gates_RW, gate_WD).view_as(inputs)
        grad_gate = grad_gates_RW.T @ inputs_RD if needs_gate else None
        grad_up = grad_ups_RW.T @ inputs_RD if needs_up else None
        return grad_inputs, grad_gate, grad_up, grad_down, None
