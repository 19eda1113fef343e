"""FlexAttention over packed rows, for CUDA: one kernel for all pairs that skips what nobody sees.

Decides the block mask and the score rule. Knows nothing of transformers. The pattern itself, ``sees``, is a plain
function of index tensors, so that it can be checked against a dense mask without a GPU.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, flex_attention

from orpo_compat.packing import Segment

_BLOCK = 128
MaskRule = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def sees(segments: tuple[Segment, ...], window: int | None, device: torch.device | str) -> MaskRule:
    """Return FlexAttention's rule for which packed token sees which.

    A token's *root* is its pair, its *branch* 0 in the common prefix, 1 in chosen's rest, 2 in rejected's.
    """
    lengths = torch.tensor([[s.shared, s.chosen, s.rejected] for s in segments])
    branch_N = torch.arange(3).repeat(len(segments)).repeat_interleave(lengths.flatten())
    root_N = torch.arange(len(segments)).repeat_interleave(lengths.sum(-1))
    place_N = torch.cat([_places(segment) for segment in segments])
    branch, root, place = (column.to(device, non_blocking=True) for column in (branch_N, root_N, place_N))

    def rule(_batch: Tensor, _head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        together = (root[query] == root[key]) & (query >= key)
        visible = together & ((branch[key] == 0) | (branch[key] == branch[query]))
        if window is None:
            return visible
        return visible & (place[query] - place[key] < window)

    return rule


def _places(segment: Segment) -> Tensor:
    """Each token's index in its own sequence."""
    chosen = torch.arange(segment.shared + segment.chosen)
    return torch.cat([chosen, torch.arange(segment.shared, segment.shared + segment.rejected)])


@lru_cache(maxsize=4)
def block_mask(segments: tuple[Segment, ...], window: int | None, device: torch.device) -> BlockMask:
    """Build the row's block mask strip by strip: ``create_block_mask`` would hold ``N * N`` entries at once."""
    # Cached because every layer of a pass asks for the same one or two masks; the next pass has other segments.
    last = segments[-1]
    size = last.start + last.shared + last.chosen + last.rejected
    rule = sees(segments, window, device)
    num_blocks = -(-size // _BLOCK)
    index_N = torch.arange(num_blocks * _BLOCK, device=device)
    inside_N, safe_N = index_N < size, index_N.clamp(max=size - 1)
    counts = []
    for start in range(0, num_blocks * _BLOCK, _BLOCK):
        rows = slice(start, start + _BLOCK)
        strip = rule(index_N, index_N, safe_N[rows, None], safe_N[None, :])
        strip = strip & inside_N[rows, None] & inside_N[None, :]
        counts.append(strip.view(_BLOCK, num_blocks, _BLOCK).sum((0, 2)))
    counts_QK = torch.stack(counts)
    full_QK = counts_QK == _BLOCK * _BLOCK
    partly, wholly = _listed((counts_QK > 0) & ~full_QK), _listed(full_QK)
    return BlockMask.from_kv_blocks(*partly, *wholly, BLOCK_SIZE=_BLOCK, mask_mod=rule, seq_lengths=(size, size))


def _listed(blocks_QK: Tensor) -> tuple[Tensor, Tensor]:
    """Turn a table of key blocks per query block into FlexAttention's counts and lists."""
    order_QK = torch.argsort(blocks_QK.int(), dim=-1, descending=True, stable=True).int()
    return blocks_QK.sum(-1).int()[None, None], order_QK[None, None]


@lru_cache(maxsize=1)
def _compiled() -> Callable[..., Any]:
    # Without dynamic shapes every new row length is compiled anew.
    compiled: Callable[..., Any] = torch.compile(flex_attention, dynamic=True)
    return compiled


def flex_serves(query: Tensor, value: Tensor) -> bool:
    """Say whether the kernel takes heads of this size: a power of two from 16 on, the same for values."""
    size = query.shape[-1]
    return size >= 16 and size & (size - 1) == 0 and value.shape[-1] == size


def flex_attention_over(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    segments: tuple[Segment, ...],
    scaling: float | None,
    window: int | None,
    softcap: float | None,
) -> Tensor:
    """Attend within each pair of a packed row on CUDA. Shapes: ``(1, H, N, E)`` to ``(1, N, H, E)``."""

    def capped(score: Tensor, _batch: Tensor, _head: Tensor, _query: Tensor, _key: Tensor) -> Tensor:
        bound: float = softcap  # type: ignore[assignment]  # only used where there is one
        return bound * torch.tanh(score / bound)

    attended = _compiled()(
        query,
        key,
        value,
        score_mod=None if softcap is None else capped,
        block_mask=block_mask(segments, window, query.device),
        scale=scaling,
        enable_gqa=query.shape[1] != key.shape[1],
    )
    result: Tensor = attended.transpose(1, 2).contiguous()
    return result
