"""bfloat16 matrix products on CPUs that multiply float32 faster: widened, multiplied, rounded once.

A product of two bfloat16 numbers is exact in float32, and the bfloat16 kernels sum in float32 too, so both ways give
the same result up to the order of summation. Without AMX the float32 units of an Intel CPU are nearly twice as fast.
Decides where that pays, and answers the calls of a model's linear layers for the time of a step.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from orpo_compat.embedding_call import forward_replaced

# Below this many rows, as in generation, widening the weight costs more than the product.
_FEWEST_ROWS = 32


def pays(device: torch.device | str) -> bool:
    """Say whether float32 products are the faster way to bfloat16 ones on a device."""
    return torch.device(device).type == "cpu" and _float32_is_faster()


@cache
def _float32_is_faster() -> bool:
    """Decide by what the CPU has: a timing could come out otherwise the next time, and with it the last bits."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        flags = platform.processor()
    return prefers_float32(flags, platform.machine())


def prefers_float32(flags: str, machine: str) -> bool:
    """Say so of an x86 CPU without AMX whose bfloat16 instructions, if any, are Intel's: they run at half the rate.

    Args:
        flags: ``/proc/cpuinfo``.
        machine: ``platform.machine()``.
    """
    if machine.lower() not in ("x86_64", "amd64") or "amx_bf16" in flags:
        return False
    return "avx512_bf16" not in flags or "GenuineIntel" in flags


def widened(tensor: Tensor, like: Tensor | None = None) -> Tensor:
    """Return a tensor rounded to bfloat16 and widened to float32, where ``like`` (itself if None) is bfloat16 and that
    pays; otherwise in the dtype of ``like``."""
    target = (tensor if like is None else like).dtype
    rounded = tensor.to(target)
    return rounded.float() if target == torch.bfloat16 and pays(tensor.device) else rounded


@torch.library.custom_op("orpo_compat::wide_linear", mutates_args=())
def _operator(inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    wide = F.linear(inputs.float(), _rounded(weight), None if bias is None else _rounded(bias))
    return wide.to(torch.bfloat16)


def _rounded(weight: Tensor) -> Tensor:
    return weight.to(torch.bfloat16).float()


def _save(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor | None], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _differentiate(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    inputs, weight, bias = ctx.saved_tensors
    needs_inputs, needs_weight, needs_bias = ctx.needs_input_grad
    grad_RO = grad.float().flatten(0, -2)
    grad_inputs = (grad_RO @ _rounded(weight)).view(inputs.shape).to(inputs.dtype) if needs_inputs else None
    grad_weight = (grad_RO.T @ inputs.float().flatten(0, -2)).to(weight.dtype) if needs_weight else None
    return grad_inputs, grad_weight, grad_RO.sum(0).to(bias.dtype) if needs_bias else None


_operator.register_autograd(_differentiate, setup_context=_save)


@contextmanager
def wide_linears(model: nn.Module, device: torch.device | str, wanted: bool) -> Iterator[None]:
    """Within this block the model's linear layers take the widened product, where that is wanted and pays.

    It must cover the backward pass too: layers that are recomputed there run as they did before.
    """
    with ExitStack() as stack:
        for layer in _plain_linears(model) if wanted and pays(device) else ():
            stack.enter_context(forward_replaced(layer, partial(_answer, layer)))
        yield


def _plain_linears(model: nn.Module) -> Iterator[nn.Linear]:
    for module in model.modules():
        # Quantized layers and adapters have forwards of their own; offloading hooks stand in the instance.
        replaced = "forward" in vars(module)
        if isinstance(module, nn.Linear) and type(module).forward is nn.Linear.forward and not replaced:
            yield module


def _answer(layer: nn.Linear, inputs: Tensor) -> Tensor:
    weight, bias = layer.weight, layer.bias
    if _is_bfloat16_product(inputs, weight, bias):
        widened_product: Tensor = _operator(inputs.to(torch.bfloat16), weight, bias)
        return widened_product
    return F.linear(inputs, weight, bias)


def _is_bfloat16_product(inputs: Tensor, weight: Tensor, bias: Tensor | None) -> bool:
    operands = [inputs, weight] if bias is None else [inputs, weight, bias]
    if not all(type(x) in (Tensor, nn.Parameter) and x.device.type == "cpu" for x in operands):
        return False
    if inputs.numel() < _FEWEST_ROWS * inputs.shape[-1]:
        return False
    if torch.is_autocast_enabled("cpu"):
        castable = all(x.dtype in (torch.float32, torch.bfloat16) for x in operands)
        return castable and torch.get_autocast_dtype("cpu") == torch.bfloat16
    return all(x.dtype == torch.bfloat16 for x in operands)
