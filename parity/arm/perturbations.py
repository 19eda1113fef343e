"""Legitimate perturbations: answers that are as right as the first, from which the floor is measured.

Each computes the same function, rounded otherwise; one that an architecture cannot have is refused.
"""

from __future__ import annotations

import hashlib
import math
from typing import Any

from .names import plain_name
from .samples import norm_of


def nudge(model: Any) -> str:
    """Move one weight that every forward uses by one unit in the last place; return which."""
    import torch

    names = [name for name, parameter in model.named_parameters() if "norm" in name and parameter.dim() == 1]
    name = names[0] if names else next(name for name, _ in model.named_parameters())
    parameter = dict(model.named_parameters())[name]
    with torch.no_grad():
        flat = parameter.view(-1)
        value = flat[0]
        if value.dtype == torch.float32:
            flat[0] = torch.nextafter(value, value + 1)
        else:
            flat[0] = value * (1 + torch.finfo(value.dtype).eps)
    return plain_name(name)


def jitter(parameters: list[tuple[str, Any]], step: int) -> None:
    """Move every element of every gradient by eight units of rounding of its tensor, up or down by a seeded draw.

    An optimizer that divides by the gradient's size lets an element that is almost zero move its weight as far as its
    rounding happens to say. The other perturbations leave that to chance; here every element has its share. Eight
    units is what the floor allows a gradient in any case (``floor.LEAST``): this is what the optimizer makes of them.
    A gradient of exactly zero, such as that of a token that does not occur, is no sum and has no rounding.
    """
    import torch

    for name, parameter in parameters:
        gradient = parameter.grad
        if gradient is None or gradient.numel() == 0:
            continue
        seed = int(hashlib.sha256(f"{step}|{name}".encode()).hexdigest()[:12], 16)
        drawn = torch.Generator().manual_seed(seed)
        signs = torch.randint(0, 2, gradient.shape, generator=drawn, dtype=torch.int8).to(gradient) * 2 - 1
        units = 8 if gradient.dtype == torch.float32 else 1
        size = units * torch.finfo(gradient.dtype).eps * norm_of(gradient) / math.sqrt(gradient.numel())
        gradient.add_(signs * (gradient != 0), alpha=size)


def split_forward(model: Any) -> None:
    """Compute every forward in two halves of the batch; the same function, summed in another order."""
    import torch

    refuse_router_loss(model)
    whole = model.forward

    def halves(*args: Any, **kwargs: Any) -> Any:
        tensors = [value for value in list(args) + list(kwargs.values()) if isinstance(value, torch.Tensor)]
        rows = tensors[0].shape[0]
        if rows < 2:
            return whole(*args, **kwargs)

        def part(value: Any, piece: slice) -> Any:
            same = isinstance(value, torch.Tensor) and value.dim() > 0 and value.shape[0] == rows
            return value[piece] if same else value

        cut = rows // 2
        outputs = [
            whole(*[part(arg, piece) for arg in args], **{key: part(value, piece) for key, value in kwargs.items()})
            for piece in (slice(0, cut), slice(cut, rows))
        ]
        outputs[0].logits = torch.cat([output.logits for output in outputs])
        return outputs[0]

    model.forward = halves


def refuse_router_loss(model: Any) -> None:
    """A router's loss is a mean over the whole batch: computed in parts it is another function."""
    if getattr(model.config, "output_router_logits", False):
        raise RuntimeError("the router's auxiliary loss needs the whole batch")


def row_by_row(model: Any) -> None:
    """Compute every row alone, without its padding; what a trainer without padding would sum."""
    import torch

    refuse_router_loss(model)
    if model.config.is_encoder_decoder:
        raise RuntimeError("an encoder-decoder's decoder has no mask to trim by")
    whole = model.forward

    def rows(input_ids: Any, attention_mask: Any = None, **kwargs: Any) -> Any:
        results, width = [], input_ids.shape[1]
        for index in range(len(input_ids)):
            length = int(attention_mask[index].sum())
            piece = (slice(index, index + 1), slice(0, length))
            results.append(whole(input_ids[piece], attention_mask=attention_mask[piece], **kwargs))
        padded = [torch.nn.functional.pad(r.logits, (0, 0, 0, width - r.logits.shape[1])) for r in results]
        results[0].logits = torch.cat(padded)
        return results[0]

    model.forward = rows
