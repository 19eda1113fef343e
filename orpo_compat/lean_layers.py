"""Which norms, linear and gated layers of a model may be answered by ``lean_functions``, and for how long.

No class of a model is known by name. A norm or gated layer is taken if it has the parts of one and, tried on a few
rows, gives the same result bit for bit; whatever else its class does would show in the result. What something watches,
wraps or has replaced is left alone. Only float32 on a CPU: elsewhere the gain was not measured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from transformers.modeling_layers import GradientCheckpointingLayer

from orpo_compat.embedding_call import forward_replaced
from orpo_compat.lean_functions import ACTIVATIONS, gated_layer, last_normed, linear, rms_norm

Forward = Callable[[Tensor], Tensor]

_PARTS = {"gate_proj", "up_proj", "down_proj"}
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_ROWS_TRIED = 5


class LeanLayers:
    """The modules of one model that can do with less, if every layer of it has a gated one among them."""

    def __init__(self, model: nn.Module) -> None:
        self._forwards: dict[nn.Module, Forward] = {}
        self._into_grad = False
        layers = [module for module in model.modules() if isinstance(module, GradientCheckpointingLayer)]
        gated = [self._first_gated(layer) for layer in layers]
        if layers and None not in gated:
            norms = [(module, _lean_norm(module)) for module in model.modules()]
            taken = {part for each in gated if each is not None for part in each[0].modules()}
            alone = (module for layer in layers for module in layer.modules() if module not in taken)
            linears = [(module, self._lean_linear(module)) for module in alone]
            found = [each for each in (*gated, *norms, *linears) if each is not None]
            self._forwards = {module: forward for module, forward in found if forward is not None}

    def __bool__(self) -> bool:
        return bool(self._forwards)

    @contextmanager
    def answering(self, *, into_grad: bool = False) -> Iterator[None]:
        """Within this block, and the backward passes in it, the modules keep little.

        Args:
            into_grad: Add the weights' gradients to their ``.grad`` in place; only for plain ``backward()`` calls of
                one process.
        """
        self._into_grad = into_grad
        with ExitStack() as stack:
            stack.callback(last_normed.forget)
            for module, forward in self._forwards.items():
                # Hooks may have come since.
                if all(map(_is_untouched, module.modules())):
                    stack.enter_context(forward_replaced(module, partial(_answer, module, forward)))
            yield

    def _first_gated(self, layer: nn.Module) -> tuple[nn.Module, Forward | None] | None:
        tried = ((module, self._lean_gated(module)) for module in layer.modules())
        return next((found for found in tried if found[1] is not None), None)

    def _lean_gated(self, module: nn.Module) -> Forward | None:
        parts = {name: child for name, child in module.named_children() if name in _PARTS}
        weights = [child.weight for child in parts.values() if _is_plain_linear(child) and child.bias is None]
        if len(weights) < len(_PARTS) or not _is_untouched(module) or len(list(module.parameters())) > len(weights):
            return None
        gate, up, down = (parts[name] for name in ("gate_proj", "up_proj", "down_proj"))

        def forward_with(activation: Any) -> Forward:
            return lambda inputs: gated_layer(
                inputs, _weight(gate), _weight(up), _weight(down), activation, into_grad=self._into_grad
            )

        return _first_equal(module, _weight(gate).shape[1], [forward_with(each) for each in ACTIVATIONS])

    def _lean_linear(self, module: nn.Module) -> Forward | None:
        # Of a frozen one autograd keeps nothing as it is.
        if not _is_plain_linear(module) or not _weight(module).requires_grad:
            return None
        plain: Any = module
        return lambda inputs: linear(inputs, plain.weight, plain.bias, into_grad=self._into_grad)


def _answer(module: nn.Module, lean: Forward, inputs: Tensor) -> Tensor:
    if type(inputs) is Tensor and inputs.dtype == torch.float32 and not torch.is_autocast_enabled(inputs.device.type):
        return lean(inputs)
    answer: Tensor = type(module).forward(module, inputs)
    return answer


def _lean_norm(module: nn.Module) -> Forward | None:
    weight, eps = getattr(module, "weight", None), getattr(module, "variance_epsilon", getattr(module, "eps", None))
    plain = _is_untouched(module) and not list(module.children()) and not list(module.buffers(recurse=False))
    if not (plain and isinstance(eps, float) and list(module.parameters()) == [weight] and _is_float32(weight, 1)):
        return None
    # The weights are looked up at each call: loading and moving a model may put others in their place.
    forwards: list[Forward] = [
        lambda rows: rms_norm(rows, _weight(module), eps),
        lambda rows: rms_norm(rows, 1.0 + _weight(module), eps),
    ]
    return _first_equal(module, _weight(module).shape[0], forwards)


def _weight(linear: nn.Module) -> Tensor:
    weight: Any = linear.weight
    return weight  # type: ignore[no-any-return]


def _is_plain_linear(module: nn.Module) -> bool:
    # Adapters, quantized and parametrized layers are other classes.
    return type(module) is nn.Linear and _is_untouched(module) and _is_float32(module.weight, 2)


def _is_float32(weight: Any, axes: int) -> bool:
    plain = type(weight) is nn.Parameter and weight.device.type == "cpu" and weight.dtype == torch.float32
    return plain and weight.dim() == axes


def _is_untouched(module: nn.Module) -> bool:
    return "forward" not in vars(module) and not any(getattr(module, name) for name in _HOOKS)


def _first_equal(module: nn.Module, size: int, forwards: list[Forward]) -> Forward | None:
    """Return the first of some functions that gives what the module gives, bit for bit."""
    rows = torch.linspace(-2.0, 3.0, _ROWS_TRIED * size).mul(7.0).sin().view(1, _ROWS_TRIED, size)
    with torch.no_grad():
        try:
            expected = module(rows)
        except Exception:
            return None  # it wants more than its input: not of these kinds
        return next((forward for forward in forwards if torch.equal(forward(rows), expected)), None)
