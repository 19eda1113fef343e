"""Attention within the pairs of a packed row on a CPU: one operator, one node of the graph, nothing sliced by autograd.

Prefix and chosen are one causal sequence. Rejected attends to itself causally and to the prefix wholly; the two are
joined by their log-sum-exps, so no mask is built and no masked score computed. The backward kernels take the joint
result and its log-sum-exp, which makes each part's gradient exact. Decides nothing about who may use it but ``serves``.

Shapes: ``H`` heads, ``G`` key heads, ``N`` packed tokens, ``Q`` queries, ``S`` keys, ``E`` head size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from packaging.version import Version
from torch import Tensor

from orpo_compat.packing import Segment
from orpo_compat.wide_products import widened

# torch 2.6's kernels give wrong numbers, or abort the process, where keys have fewer heads than queries; 2.13's are the
# ones that the tests hold.
_IS_SOUND = Version(torch.__version__) >= Version("2.13")

# The backward kernel computes every score of up to 512 keys, masked ones too; given them in strips it skips most.
_STRIP = 128

_forward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
_backward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward


def serves(query: Tensor, key: Tensor, value: Tensor) -> bool:
    """Say whether the operator takes these heads: on a CPU, alike in dtype and size, laid out head by head."""
    if not _IS_SOUND:
        return False
    heads = (query, key, value)
    alike = all(x.dtype == query.dtype and x.shape[-1] == query.shape[-1] and x.stride(-1) == 1 for x in heads)
    return alike and all(type(x) is Tensor and x.device.type == "cpu" for x in heads)


def attend(query: Tensor, key: Tensor, value: Tensor, segments: Sequence[Segment], scale: float | None) -> Tensor:
    """Attend within each pair of a packed row.

    Args:
        query: Shape: ``(1, H, N, E)``. Key and value: ``(1, G, N, E)``, ``H`` a multiple of ``G``.
        segments: Where each pair lies; together they cover the row.
        scale: Of the scores; ``E ** -0.5`` if None.

    Returns:
        Shape: ``(1, N, H, E)``, contiguous.
    """
    attended: Tensor = _operator(query, key, value, [number for segment in segments for number in segment], scale)[0]
    return attended


class _Parts:
    """The three spans of each pair, in tokens of the row."""

    def __init__(self, numbers: Sequence[int]) -> None:
        self._segments = [Segment(*numbers[i : i + 4]) for i in range(0, len(numbers), 4)]

    def __iter__(self) -> Iterator[tuple[slice, slice, slice]]:
        """Yield each pair's prefix, prefix with chosen, and rejected."""
        for start, shared, chosen, rejected in self._segments:
            middle, end = start + shared, start + shared + chosen
            yield slice(start, middle), slice(start, end), slice(end, end + rejected)


def _is_empty(span: slice) -> bool:
    return bool(span.stop == span.start)


# torch 2.6 reads no schema off "list[int]".
@torch.library.custom_op(
    "orpo_compat::pair_attention",
    mutates_args=(),
    schema="(Tensor query, Tensor key, Tensor value, int[] numbers, float? scale) -> (Tensor, Tensor)",
)
def _operator(
    query: Tensor, key: Tensor, value: Tensor, numbers: list[int], scale: float | None
) -> tuple[Tensor, Tensor]:
    _, heads, tokens, size = query.shape
    dtype, (query, key, value) = query.dtype, (widened(x) for x in (query, key, value))
    attended = query.new_empty(1, tokens, heads, size, dtype=dtype)
    attended_HNE = attended.transpose(1, 2)
    sums_HN = query.new_empty(1, heads, tokens, dtype=_sum_dtype(query))

    def part(queries: slice, keys: slice, causal: bool) -> tuple[Tensor, Tensor]:
        parts: tuple[Tensor, Tensor] = _forward(
            query[:, :, queries], key[:, :, keys], value[:, :, keys], 0.0, causal, scale=scale
        )
        return parts

    for prefix, first, rejected in _Parts(numbers):
        for span in (first, rejected):
            if not _is_empty(span):
                attended_HNE[:, :, span], sums_HN[:, :, span] = part(span, span, True)
        if not _is_empty(prefix) and not _is_empty(rejected):
            _join_(attended_HNE[:, :, rejected], sums_HN[:, :, rejected], *part(rejected, prefix, False))
    return attended, sums_HN


def _sum_dtype(query: Tensor) -> torch.dtype:
    return torch.float64 if query.dtype == torch.float64 else torch.float32


def _join_(mine_HQE: Tensor, sums_HQ: Tensor, theirs_HQE: Tensor, their_sums_HQ: Tensor) -> None:
    """Bring the result over one set of keys to that over two, in place; ``sums`` are log-sum-exps of the scores."""
    joint_HQ = torch.logaddexp(sums_HQ, their_sums_HQ)
    share_HQ1 = torch.exp(their_sums_HQ - joint_HQ)[..., None]
    mine_HQE.copy_(torch.lerp(mine_HQE.to(share_HQ1.dtype), theirs_HQE.to(share_HQ1.dtype), share_HQ1))
    sums_HQ.copy_(joint_HQ)


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    query, key, value, ctx.numbers, ctx.scale = inputs
    ctx.save_for_backward(query, key, value, *output)
    ctx.set_materialize_grads(False)


def _differentiate(ctx: Any, grad: Tensor, _grad_of_sums: Tensor | None) -> tuple[Tensor | None, ...]:
    query, key, value, attended, sums_HN = ctx.saved_tensors
    dtype, (query, key, value) = query.dtype, (widened(x) for x in (query, key, value))
    # Parts are added up in float32 and rounded once.
    grads = [torch.empty_like(x, dtype=_sum_dtype(x)) for x in (query, key, value)]
    grad_HNE, attended_HNE = (widened(x).transpose(1, 2) for x in (grad, attended))

    def add(queries: slice, keys: slice, *, causal: bool, fresh: tuple[bool, bool]) -> None:
        q, k = (slice(None), slice(None), queries), (slice(None), slice(None), keys)
        of_result = (attended_HNE[q], sums_HN[q], 0.0, causal)
        pieces = _backward(grad_HNE[q], query[q], key[k], value[k], *of_result, scale=ctx.scale)
        for whole, place, piece, first in zip(grads, (q, k, k), pieces, (fresh[0], fresh[1], fresh[1]), strict=True):
            if first:
                whole[place] = piece
            else:
                whole[place] += piece

    for prefix, first, rejected in _Parts(ctx.numbers):
        for span in (first, rejected):
            for start in range(span.start, span.stop, _STRIP):
                # The first strip's keys are seen by every query of the span.
                fresh = (start == span.start, True)
                keys = slice(start, min(start + _STRIP, span.stop))
                add(slice(start, span.stop), keys, causal=True, fresh=fresh)
        if not _is_empty(prefix) and not _is_empty(rejected):
            add(rejected, prefix, causal=False, fresh=(False, False))
    return *(x.to(dtype) for x in grads), None, None


_operator.register_autograd(_differentiate, setup_context=_save)
