"""Pairs to one row without padding: each pair's common token prefix once, then chosen's rest, then rejected's.

Decides which token sits where, which hidden state predicts which target, and which pairs share a pass. Knows
nothing of models or losses. All index work is integer arithmetic on the host, from lengths that never left it.

Shapes: ``B`` pairs, ``N`` packed tokens, ``M`` head rows (one hidden state, one target), ``K`` terms of a mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from orpo_compat.loss import IGNORE_INDEX

Ints = NDArray[np.int64]


class PairLengths(NamedTuple):
    """One pair's token counts. ``shared`` is the longest common prefix of its two sequences."""

    chosen: int
    rejected: int
    chosen_prompt: int
    rejected_prompt: int
    shared: int

    @property
    def packed(self) -> int:
        """How many tokens the pair takes once its common prefix is kept once."""
        return self.chosen + self.rejected - self.shared


class Segment(NamedTuple):
    """Where one pair lies in the packed row: ``[shared | chosen | rejected]`` from ``start`` on, in tokens."""

    start: int
    shared: int
    chosen: int
    rejected: int


@dataclass(slots=True, frozen=True, eq=False)
class RowMean:
    """The terms of one per-pair mean: head row ``rows_K`` counts with ``weights_K`` for pair ``pairs_K``."""

    rows_K: Tensor
    pairs_K: Tensor
    weights_K: Tensor

    def sums(self, values_M: Tensor, num_pairs: int) -> tuple[Tensor, Tensor]:
        """Sum the weighted values of each pair, and the weights. Shapes: ``(B,)`` and ``(B,)``, float32."""
        zeros_B = values_M.new_zeros(num_pairs)
        total_B = zeros_B.index_add(0, self.pairs_K, values_M.index_select(0, self.rows_K) * self.weights_K)
        return total_B, zeros_B.index_add(0, self.pairs_K, self.weights_K)


@dataclass(slots=True, frozen=True, eq=False)
class PackedPairs:
    """``B`` pairs as one row of ``N`` tokens, with everything that reads the result back."""

    input_ids_1N: Tensor
    position_ids_1N: Tensor
    segments: tuple[Segment, ...]
    row_positions_M: Tensor
    """The token whose hidden state predicts row ``m``'s target."""
    row_targets_M: Tensor
    nll_rows: RowMean
    """The chosen sequences' targets inside the NLL scope; its sum is over all of them, its pairs still tell whose."""
    chosen_rows: RowMean
    """The chosen responses' targets."""
    rejected_rows: RowMean
    """The rejected responses' targets."""
    chosen_seen_K: Tensor
    """The chosen sequences' tokens that have a successor, prompt included; head rows if every position has one."""
    rejected_seen_K: Tensor
    """The same for the rejected sequences."""

    @property
    def num_pairs(self) -> int:
        return len(self.segments)


def read_lengths(batch: Mapping[str, Any]) -> list[PairLengths]:
    """Read each pair's token counts off a collated batch, without touching the device where it can.

    The common prefix comes from ``shared_lengths`` when the collator counted it; otherwise the ids are compared,
    which waits for the device if they already left the host.
    """
    lengths = batch["pair_lengths"]
    shared = batch.get("shared_lengths")
    if shared is None:
        chosen, rejected = batch["chosen_input_ids"].cpu().numpy(), batch["rejected_input_ids"].cpu().numpy()
        shared = [common_prefix(c[: n[0]], r[: n[1]]) for c, r, n in zip(chosen, rejected, lengths, strict=True)]
    return [PairLengths(c, r, cp, rp, prefix) for (c, r, cp, rp), prefix in zip(lengths, shared, strict=True)]


def common_prefix(ours: Sequence[int] | Ints, theirs: Sequence[int] | Ints) -> int:
    """Count the leading tokens that two sequences have in common."""
    width = min(len(ours), len(theirs))
    differing = np.nonzero(np.asarray(ours[:width]) != np.asarray(theirs[:width]))[0]
    return int(differing[0]) if differing.size else width


def group_pairs(lengths: Sequence[PairLengths], budget: int | None) -> list[list[int]]:
    """Split a batch into passes of at most ``budget`` tokens each; a pair over it gets a pass of its own.

    First fit, longest first: few passes, and the longest runs while nothing else is held. ``None`` means one pass.
    """
    if budget is None:
        return [list(range(len(lengths)))]
    passes: list[list[int]] = []
    loads: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i].packed):
        size = lengths[index].packed
        slot = next((i for i, load in enumerate(loads) if load + size <= budget), None)
        if slot is None:
            passes.append([index])
            loads.append(size)
        else:
            passes[slot].append(index)
            loads[slot] += size
    return [sorted(group) for group in passes]


def pack(
    batch: Mapping[str, Any],
    lengths: Sequence[PairLengths],
    group: Sequence[int],
    *,
    nll_on_prompt: bool = True,
    every_position: bool = False,
    ignore_index: int = IGNORE_INDEX,
) -> PackedPairs:
    """Lay the pairs named by ``group`` out in one row.

    Args:
        batch: The padded batch; its tensors may be on any device, and are only gathered from.
        lengths: Every pair's token counts, from ``read_lengths``.
        group: Which rows of the batch to take.
        nll_on_prompt: Whether the NLL runs over the prompt too (TRL) or over the chosen response only.
        every_position: Give every token that has a successor a head row, needed by a term or not.
        ignore_index: The label of a response token that no term counts.
    """
    num_rows, chosen_width = batch["chosen_input_ids"].shape
    plan = _Plan(
        widths=(chosen_width, batch["rejected_input_ids"].shape[1]),
        num_rows=num_rows,
        nll_on_prompt=nll_on_prompt,
        every_position=every_position,
    )
    for row in group:
        plan.add_pair(row, lengths[row])
    arrays = _to_device(plan.arrays(), batch["chosen_input_ids"].device)
    flat_ids = torch.cat([batch["chosen_input_ids"].flatten(), batch["rejected_input_ids"].flatten()])
    source_N, position_ids_N = arrays["tokens"]
    positions_M, targets_M = arrays["rows"]
    chosen_rows = _counted(arrays["chosen"], batch["chosen_labels"], ignore_index)
    nll_rows_K, nll_pairs_K = arrays["nll"]
    everything = RowMean(nll_rows_K, nll_pairs_K, torch.ones_like(nll_rows_K, dtype=torch.float32))
    return PackedPairs(
        input_ids_1N=flat_ids[source_N][None],
        position_ids_1N=position_ids_N[None],
        segments=tuple(plan.segments),
        row_positions_M=positions_M,
        row_targets_M=flat_ids[targets_M],
        nll_rows=everything if nll_on_prompt else chosen_rows,
        chosen_rows=chosen_rows,
        rejected_rows=_counted(arrays["rejected"], batch["rejected_labels"], ignore_index),
        chosen_seen_K=arrays["chosen_seen"][0],
        rejected_seen_K=arrays["rejected_seen"][0],
    )


def _counted(terms_3K: Tensor, labels_BT: Tensor, ignore_index: int) -> RowMean:
    """Weigh a response's terms: 1 where its label counts, 0 where the label says to ignore it."""
    rows_K, pairs_K, labels_at_K = terms_3K
    return RowMean(rows_K, pairs_K, (labels_BT.flatten()[labels_at_K] != ignore_index).float())


class _Plan:
    """The host's index arrays while they grow, pair by pair.

    Sources and targets index the batch's chosen ids and rejected ids, flattened and laid end to end.
    """

    def __init__(self, *, widths: tuple[int, int], num_rows: int, nll_on_prompt: bool, every_position: bool) -> None:
        self.segments: list[Segment] = []
        self._widths = widths
        self._rejected_from = num_rows * widths[0]
        self._nll_on_prompt = nll_on_prompt
        self._every_position = every_position
        self._num_tokens = 0
        self._num_head_rows = 0
        self._parts: dict[str, list[Ints]] = {}

    def add_pair(self, row: int, size: PairLengths) -> None:
        """Append row ``row`` of the batch after the pairs already there."""
        start = self._num_tokens
        chosen_at, rejected_at = row * self._widths[0], self._rejected_from + row * self._widths[1]
        chosen_T, suffix_T = np.arange(size.chosen), np.arange(size.shared, size.rejected)
        self._append(
            "tokens",
            np.concatenate([chosen_at + chosen_T, rejected_at + suffix_T]),
            np.concatenate([chosen_T, suffix_T]),
        )
        if not self._every_position:
            self._append("chosen_seen", start + chosen_T[:-1])
            self._append("rejected_seen", _rejected_positions(np.arange(size.rejected - 1), start, size))
        self._add_head_rows(row, size, chosen_at, rejected_at)
        self.segments.append(Segment(start, size.shared, size.chosen - size.shared, size.rejected - size.shared))
        self._num_tokens += size.packed

    def arrays(self) -> dict[str, Ints]:
        """Return every array as ``(columns, length)``."""
        return {name: np.concatenate(parts, axis=1) for name, parts in self._parts.items()}

    def _add_head_rows(self, row: int, size: PairLengths, chosen_at: int, rejected_at: int) -> None:
        # A target inside the common prefix is one head row, read by both sequences. The token after the prefix
        # differs, so its last token carries two rows.
        pair, start, base = len(self.segments), self._num_tokens, self._num_head_rows
        first = 1 if self._nll_on_prompt or self._every_position else max(1, size.chosen_prompt)
        chosen_T = np.arange(first, size.chosen)
        self._append("rows", start + chosen_T - 1, chosen_at + chosen_T)
        self._append("nll", base + chosen_T - first, pair)
        response_T = chosen_T[chosen_T >= size.chosen_prompt]
        self._append("chosen", base + response_T - first, pair, row * self._widths[0] + response_T)

        rejected_T = np.arange(1 if self._every_position else max(1, size.rejected_prompt), size.rejected)
        own = (rejected_T >= size.shared) | (rejected_T < first)
        own_T = rejected_T[own]
        self._append("rows", _rejected_positions(own_T - 1, start, size), rejected_at + own_T)
        rows_T = base + rejected_T - first
        rows_T[own] = base + len(chosen_T) + np.arange(len(own_T))
        if self._every_position:
            self._append("chosen_seen", base + chosen_T - first)
            self._append("rejected_seen", rows_T)
        counted = rejected_T >= size.rejected_prompt
        self._append("rejected", rows_T[counted], pair, row * self._widths[1] + rejected_T[counted])
        self._num_head_rows += len(chosen_T) + len(own_T)

    def _append(self, name: str, first: Ints, *columns: Ints | int) -> None:
        filled = [np.full(len(first), column) if isinstance(column, int) else column for column in columns]
        self._parts.setdefault(name, []).append(np.stack([first, *filled]).astype(np.int64))


def _rejected_positions(indices_T: Ints, start: int, size: PairLengths) -> Ints:
    """Where the rejected sequence's tokens lie in the packed row, given their index in that sequence."""
    return start + indices_T + np.where(indices_T < size.shared, 0, size.chosen - size.shared)


def _to_device(arrays: Mapping[str, Ints], device: torch.device) -> dict[str, Tensor]:
    """Send all index arrays in one copy, and cut them apart there."""
    everything = torch.from_numpy(np.concatenate([array.ravel() for array in arrays.values()]))
    if device.type == "cuda":
        everything = everything.pin_memory()
    parts = torch.split(everything.to(device, non_blocking=True), [array.size for array in arrays.values()])
    return {name: part.view(array.shape) for (name, array), part in zip(arrays.items(), parts, strict=True)}
