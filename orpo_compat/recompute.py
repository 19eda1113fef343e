"""Keeping fewer activations than autograd would: matrix products and attention are kept, the rest is computed again.

What lies between two matrix products of a transformer layer (norms, rotations, activations, casts) is most of what
autograd keeps and little of what it computes. Recomputing exactly that halves the memory of a pass at a few per cent
of its time, where recomputing whole layers costs a third. Bit for bit the same numbers either way.
"""

from __future__ import annotations

from typing import Any

import psutil
import torch
from torch import nn
from torch.utils.checkpoint import CheckpointPolicy, create_selective_checkpoint_contexts

import orpo_compat.pair_attention
import orpo_compat.wide_products  # noqa: F401  # both register an operator that is kept

_KEPT = {
    getattr(torch.ops.aten, name).default
    for name in (
        "mm",
        "addmm",
        "bmm",
        "baddbmm",
        "_scaled_dot_product_flash_attention_for_cpu",
        "_scaled_dot_product_flash_attention",
        "_scaled_dot_product_efficient_attention",
        "_scaled_dot_product_cudnn_attention",
    )
    if hasattr(torch.ops.aten, name)
} | {torch.ops.orpo_compat.pair_attention.default, torch.ops.orpo_compat.wide_linear.default}

# What autograd keeps of a layer over the outputs of its products alone, roughly; and what it keeps of a lean one.
_EVERYTHING, _LEAN = 3.0, 1.5


def selective() -> tuple[Any, Any]:
    """Return the two contexts that ``torch.utils.checkpoint`` wants as ``context_fn``."""
    contexts: tuple[Any, Any] = create_selective_checkpoint_contexts(_policy)  # type: ignore[no-untyped-call]
    return contexts


def _policy(_context: Any, operation: Any, *args: Any, **_: Any) -> CheckpointPolicy:
    # Autocast's copies of the weights live as long as the pass does anyway.
    of_weight = operation is torch.ops.aten._to_copy.default and isinstance(args[0], nn.Parameter)
    return CheckpointPolicy.MUST_SAVE if operation in _KEPT or of_weight else CheckpointPolicy.PREFER_RECOMPUTE


def is_selective(model: nn.Module) -> bool | None:
    """Say whether the model recomputes this way; None if it recomputes nothing."""
    for module in model.modules():
        if getattr(module, "gradient_checkpointing", False) and hasattr(module, "_gradient_checkpointing_func"):
            function = module._gradient_checkpointing_func
            return getattr(function, "keywords", {}).get("context_fn") is selective
    return None


def lighten(model: nn.Module, tokens: int, itemsize: int, *, lean: bool = False) -> bool:
    """Recompute what lies between the products, rather than whole layers or nothing; say whether that is new.

    Whole layers go on being recomputed where a pass of so many tokens would not leave two thirds of the free memory
    free. Nothing is recomputed by layers that are lean already (``lean_layers``), nor on CUDA, where a compiled
    attention kernel falls back to a dense one under the dispatch mode that the selective kind needs.
    """
    before = is_selective(model)
    on_cuda = next(model.parameters()).device.type == "cuda"
    keeps_all = on_cuda or lean
    if before or (keeps_all and before is None) or not getattr(model, "supports_gradient_checkpointing", False):
        return False
    kept = _LEAN if lean else _EVERYTHING if on_cuda else 1.0
    if before is False and not fits_easily(model, kept * tokens, itemsize):
        return False
    if keeps_all:
        stop_recomputing(model)
    else:
        _switch(model, "enable")({"use_reentrant": False, "context_fn": selective})
    return True


def stop_recomputing(model: nn.Module) -> None:
    """Let a model keep everything again."""
    _switch(model, "disable")()


def _switch(model: Any, which: str) -> Any:
    """Find a switch of the model by its name in transformers, or its name before that changed, which now warns."""
    new, old = f"activation_checkpointing_{which}", f"gradient_checkpointing_{which}"
    return getattr(model, new, None) or getattr(model, old)


def fits_easily(model: nn.Module, tokens: float, itemsize: int) -> bool:
    """Say whether a pass of so many tokens may keep its matrix products: in less than a third of the free memory."""
    device = next(model.parameters()).device
    if device.type == "cuda":
        free = torch.cuda.mem_get_info(device)[0]
    else:
        free = psutil.virtual_memory().available
    # Gradients and the optimizer's two moments may not be there yet.
    to_come = sum(12 * p.numel() for p in model.parameters() if p.requires_grad and p.grad is None)
    return 3 * tokens * kept_bytes_per_token(model, itemsize) < free - to_come


def kept_bytes_per_token(model: nn.Module, itemsize: int) -> int:
    """Estimate what a token's pass keeps this way: the output of every linear layer but the head's, in bytes."""
    find_head: Any = getattr(model, "get_output_embeddings", None)
    head = find_head() if find_head is not None else None
    linears = [module for module in model.modules() if isinstance(module, nn.Linear) and module is not head]
    return itemsize * sum(module.out_features for module in linears)
