"""The input embedding's own call, with a backward that adds to the rows it used instead of building a whole table.

Autograd's gradient of an embedding is a dense table of the vocabulary's size, once per pass. A pass touches a few
hundred of its rows. Only for a plain leaf that nothing watches; decides that too, for the head as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def is_unwatched_leaf(weight: Any) -> bool:
    """Say whether a gradient may be added to the weight's ``.grad`` behind autograd's back."""
    if type(weight) is not nn.Parameter or not weight.requires_grad or not weight.is_leaf:
        return False
    return not weight._backward_hooks and not getattr(weight, "_post_accumulate_grad_hooks", None)


@contextmanager
def forward_replaced(module: nn.Module, forward: Any) -> Iterator[None]:
    """Let the module answer its calls with another function for the time of this block."""
    before = module.__dict__.get("forward")
    setattr(module, "forward", forward)  # noqa: B010  # nn.Module types its attributes as tensors
    try:
        yield
    finally:
        if before is None:
            del module.__dict__["forward"]
        else:
            setattr(module, "forward", before)  # noqa: B010


@contextmanager
def rows_into_grad(model: nn.Module) -> Iterator[None]:
    """Within this block the model's input embedding, where it is a plain one, adds its rows' gradients in place."""
    find: Any = getattr(model, "get_input_embeddings", None)
    table: Any = None if find is None else find()
    if not _is_plain(table) or not is_unwatched_leaf(table.weight):
        yield
        return
    weight, padding = table.weight, -1 if table.padding_idx is None else table.padding_idx

    def embed(ids: Tensor) -> Tensor:
        embedded: Tensor = _Rows.apply(ids, weight, padding)  # type: ignore[no-untyped-call]
        return embedded

    with forward_replaced(table, embed):
        yield


def _is_plain(table: Any) -> bool:
    if type(table) is not nn.Embedding or hasattr(table, "_hf_hook"):
        return False
    return not (table.max_norm or table.scale_grad_by_freq or table.sparse)


class _Rows(torch.autograd.Function):
    """``F.embedding`` whose backward adds to ``weight.grad``; the padding row gets nothing, as in torch."""

    @staticmethod
    def forward(ctx: Any, ids: Tensor, weight: nn.Parameter, padding: int) -> Tensor:
        ctx.save_for_backward(ids)
        ctx.weight, ctx.padding = weight, padding
        return F.embedding(ids, weight)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, None, None]:
        (ids,) = ctx.saved_tensors
        weight = ctx.weight
        rows = grads[0].to(weight.dtype).masked_fill(ids[..., None] == ctx.padding, 0.0)
        if weight.grad is None:
            weight.grad = torch.zeros_like(weight)
        weight.grad.index_add_(0, ids.flatten(), rows.flatten(0, -2))
        return None, None, None
