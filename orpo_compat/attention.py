"""The attention backend for packed rows, registered with transformers next to its own.

Decides which token sees which: a pair's chosen and rejected parts see the common prefix and themselves, never each
other, never another pair. No model code is touched: the row's segments travel as the forward keyword
``packed_segments``, and a call without it goes to the backend that the model had before.

Shapes: ``H`` heads, ``N`` packed tokens, ``Q`` queries, ``S`` keys, ``E`` head size.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from orpo_compat import pair_attention
from orpo_compat.block_masks import flex_attention_over, flex_serves
from orpo_compat.errors import PackingRefused
from orpo_compat.packing import Segment

_PREFIX = "orpo_packed_over_"
_ODD_MASKS = ("chunked_overlay", "blockwise_overlay", "or_masks", "bidirectional", "sliding_window_bidirectional")
_masks_are_ours: ContextVar[bool] = ContextVar("_masks_are_ours", default=False)


def install(model: nn.Module) -> Callable[[], None]:
    """Put the packed backend in front of the model's own attention; the return value takes it away again.

    It stays for backward passes too: recomputed layers look their backend up a second time.
    """
    configs = {id(config): config for config in _attention_configs(model)}.values()
    before = [(config, config._attn_implementation) for config in configs]
    for config, name in before:
        if not str(name).startswith(_PREFIX):
            config._attn_implementation = _backend_over(name or "eager")

    def remove() -> None:
        for config, name in before:
            config._attn_implementation = name

    return remove


def _attention_configs(model: nn.Module) -> Iterator[Any]:
    for module in model.modules():
        config = getattr(module, "config", None)
        if hasattr(config, "_attn_implementation"):
            yield config


def _backend_over(name: str) -> str:
    ours = _PREFIX + name
    if ours not in ALL_ATTENTION_FUNCTIONS:

        def attend(module: nn.Module, query: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Any]:
            if kwargs.get("packed_segments") is None:
                kwargs.pop("packed_segments", None)
                return cast("tuple[Tensor, Any]", _original(name, module)(module, query, *args, **kwargs))
            return packed_attention(module, query, *args, **kwargs), None

        def mask(*args: Any, **kwargs: Any) -> Any:
            if not _masks_are_ours.get():
                return ALL_MASK_ATTENTION_FUNCTIONS[name](*args, **kwargs)
            _refuse_odd_mask(**kwargs)
            return None

        AttentionInterface.register(ours, attend)
        AttentionMaskInterface.register(ours, mask)
    return ours


def _original(name: str, module: nn.Module) -> Callable[..., Any]:
    # "eager" is the one backend that transformers looks up in the modeling file instead of its registry.
    eager = getattr(sys.modules[type(module).__module__], "eager_attention_forward", None)
    return cast("Callable[..., Any]", ALL_ATTENTION_FUNCTIONS.get(name, eager))


@contextmanager
def packed_masks() -> Iterator[None]:
    """Within this block models build no attention mask: the row's segments say who sees whom."""
    token = _masks_are_ours.set(True)
    try:
        yield
    finally:
        _masks_are_ours.reset(token)


def _refuse_odd_mask(*, mask_function: Callable[..., Any], use_vmap: bool = False, **_: Any) -> None:
    # A window also reaches each layer as a keyword; chunks and overlays come as mask functions only.
    odd = {name for name in _function_names(mask_function) if name.startswith(_ODD_MASKS)}
    if use_vmap or odd:
        raise PackingRefused(f"the model asks for a mask that packed rows do not know: {', '.join(odd) or 'its own'}")


def _function_names(function: Callable[..., Any]) -> Iterator[str]:
    """Name a mask function and those it is built from."""
    yield function.__qualname__
    for cell in getattr(function, "__closure__", None) or ():
        content = cell.cell_contents
        for part in content if isinstance(content, tuple) else (content,):
            if callable(part) and hasattr(part, "__qualname__"):
                yield from _function_names(part)


def packed_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None = None,
    *,
    packed_segments: tuple[Segment, ...],
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    position_bias: Tensor | None = None,
    **_: Any,
) -> Tensor:
    """Attend within each pair of a packed row.

    Args:
        query: Shape: ``(1, H, N, E)``; key and value may have fewer heads.
        packed_segments: Where each pair lies.
        sliding_window: How many tokens back, itself included, a token sees. Counted in its own sequence.
        softcap: Bounds the scores by ``softcap * tanh(score / softcap)``.

    Returns:
        Shape: ``(1, N, H, E)``, as every backend of transformers returns it.

    Raises:
        PackingRefused: an argument that packed rows cannot honour.
    """
    if s_aux is not None or position_bias is not None or getattr(module, "is_cross_attention", False):
        raise PackingRefused(f"{type(module).__name__} attends with sinks, a position bias or another sequence")
    if attention_mask is not None:
        raise PackingRefused(f"{type(module).__name__} brings its own attention mask to a packed row")
    if query.is_cuda and dropout == 0.0 and flex_serves(query, value):
        return flex_attention_over(query, key, value, packed_segments, scaling, sliding_window, softcap)
    if dropout == 0.0 and softcap is None and not _is_windowed(packed_segments, sliding_window):
        heads = _as_autocast(query), _as_autocast(key), _as_autocast(value)
        if pair_attention.serves(*heads):
            return pair_attention.attend(*heads, packed_segments, scaling)
    rule = _Rule(scaling, dropout, sliding_window, softcap)
    parts = [part for segment in packed_segments for part in _attend_pair(query, key, value, segment, rule)]
    return torch.cat(parts, dim=2).transpose(1, 2).contiguous()


def _is_windowed(segments: tuple[Segment, ...], window: int | None) -> bool:
    """Say whether a window hides anything of a sequence this long."""
    return window is not None and any(window < s.shared + max(s.chosen, s.rejected) for s in segments)


def _as_autocast(heads: Tensor) -> Tensor:
    """Cast as torch's own attention would be cast under autocast; an operator of ours is not."""
    kind = heads.device.type
    return heads.to(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else heads


class _Rule:
    """How scores become weights, for every pair of a call alike."""

    def __init__(self, scaling: float | None, dropout: float, window: int | None, softcap: float | None) -> None:
        self.scaling, self.dropout, self.window, self.softcap = scaling, dropout, window, softcap

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Attend causally, the last query to every key. Shapes: ``(1, H, Q, E)`` over ``(1, H, S, E)``."""
        num_queries, num_keys = query.shape[2], key.shape[2]
        windowed = self.window is not None and self.window < num_keys
        causal = num_queries == num_keys and not windowed
        mask = None if causal else self._mask(num_queries, num_keys, query.device)
        if self.softcap is not None:
            mask = self._mask(num_queries, num_keys, query.device) if mask is None else mask
            return self._capped(query, key, value, mask, self.softcap)
        return F.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=mask,
            dropout_p=self.dropout,
            is_causal=causal,
            scale=self.scaling,
            enable_gqa=query.shape[1] != key.shape[1],
        )

    def _mask(self, num_queries: int, num_keys: int, device: torch.device) -> Tensor:
        behind = num_keys - num_queries
        allowed = torch.ones(num_queries, num_keys, dtype=torch.bool, device=device).tril(behind)
        return allowed if self.window is None else allowed.triu(behind - self.window + 1)

    def _capped(self, query: Tensor, key: Tensor, value: Tensor, allowed: Tensor, cap: float) -> Tensor:
        repeats = query.shape[1] // key.shape[1]
        key, value = key.repeat_interleave(repeats, 1), value.repeat_interleave(repeats, 1)
        scaling = query.shape[-1] ** -0.5 if self.scaling is None else self.scaling
        scores = torch.tanh(query @ key.transpose(2, 3) * scaling / cap) * cap
        weights = scores.float().masked_fill(~allowed, -torch.inf).softmax(-1).to(query.dtype)
        return F.dropout(weights, self.dropout) @ value


def _attend_pair(query: Tensor, key: Tensor, value: Tensor, segment: Segment, rule: _Rule) -> list[Tensor]:
    """Attend within one pair: prefix and chosen are one causal sequence, rejected continues the prefix."""
    middle = segment.start + segment.shared
    end = middle + segment.chosen
    stop = end + segment.rejected
    first, prefix, suffix = slice(segment.start, end), slice(segment.start, middle), slice(end, stop)
    parts = [rule.attend(query[:, :, first], key[:, :, first], value[:, :, first])] if end > segment.start else []
    if segment.rejected:
        own = [torch.cat([x[:, :, prefix], x[:, :, suffix]], dim=2) for x in (key, value)]
        parts.append(rule.attend(query[:, :, suffix], *own))
    return parts
