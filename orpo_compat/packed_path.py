"""The packed path: a batch of pairs through the model as packed rows, group by group, to the same ``PairTerms``.

Decides which pairs share a pass and puts their terms together again. The loss is a sum over pairs once the batch's
token and pair counts are known, so each group can be differentiated on its own. Knows no optimizer and no trainer.

Shapes: ``B`` pairs of the batch, ``G`` pairs of one group, ``N`` packed tokens, ``M`` head rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from orpo_compat.attention import packed_masks
from orpo_compat.budget import busy_tokens
from orpo_compat.embedding_call import rows_into_grad
from orpo_compat.errors import PackingRefused
from orpo_compat.head_call import HeadCall
from orpo_compat.packing import PackedPairs, PairLengths, group_pairs, pack, read_lengths
from orpo_compat.terms import PairTerms


@dataclass(slots=True)
class GroupTerms:
    """What one pass yields: the terms of its ``G`` pairs, with their graph."""

    group: list[int]
    chosen_logps_G: Tensor
    rejected_logps_G: Tensor
    nll_sum: Tensor
    chosen_logits_sum: Tensor
    rejected_logits_sum: Tensor

    def detached(self) -> GroupTerms:
        """Return the same numbers without their graph."""
        return replace(
            self,
            chosen_logps_G=self.chosen_logps_G.detach(),
            rejected_logps_G=self.rejected_logps_G.detach(),
            nll_sum=self.nll_sum.detach(),
        )


class PackedPath:
    """Runs packed rows through a model whose attention the packed backend already fronts."""

    def __init__(
        self,
        head_call: HeadCall,
        bare_model: nn.Module,
        *,
        nll_scope: str = "prompt_and_response",
        tokens_per_pass: int | str | None = "auto",
        label_pad_token_id: int = -100,
    ) -> None:
        self.head_call = head_call
        self._embedded = bare_model
        self._nll_on_prompt = nll_scope == "prompt_and_response"
        found = busy_tokens(bare_model) if tokens_per_pass == "auto" else tokens_per_pass
        self.budget = None if found is None else int(found)
        self._label_pad_token_id = label_pad_token_id

    def groups(self, lengths: Sequence[PairLengths]) -> list[list[int]]:
        """Say which pairs share a pass."""
        return group_pairs(lengths, self.budget)

    def run_group(
        self, model: nn.Module, batch: Mapping[str, Any], lengths: Sequence[PairLengths], group: list[int]
    ) -> GroupTerms:
        """Run one group of a batch through the model.

        Args:
            model: As the trainer calls it (wrapped for data parallelism, casting, sharding).
            batch: A collated batch, on the device.
            lengths: From ``packing.read_lengths``.
            group: Which of the batch's pairs.
        """
        packed = pack(
            batch,
            lengths,
            group,
            nll_on_prompt=self._nll_on_prompt,
            every_position=self.head_call.needs_every_position,
            ignore_index=self._label_pad_token_id,
        )
        in_place = rows_into_grad(self._embedded) if self.head_call.may_write_grad else nullcontext()
        with packed_masks(), in_place, self.head_call.answering(packed) as answers:
            outputs = model(
                input_ids=packed.input_ids_1N,
                position_ids=packed.position_ids_1N,
                use_cache=False,
                packed_segments=packed.segments,
            )
        if len(answers) != 1:
            raise PackingRefused(f"the model called its output embedding {len(answers)} times in one forward, not once")
        logps_M = answers[0].logps_M
        if torch.distributed.is_initialized():
            # Sharding wrappers watch the forward's output to know when its backward begins. A NaN stays in its row.
            logps_M = logps_M + 0.0 * outputs.logits.nan_to_num(0.0, 0.0, 0.0).sum()
        return _group_terms(group, packed, logps_M, answers[0].chosen_logits_sum, answers[0].rejected_logits_sum)


def _group_terms(
    group: list[int], packed: PackedPairs, logps_M: Tensor, chosen_logits: Tensor, rejected_logits: Tensor
) -> GroupTerms:
    num_pairs = packed.num_pairs
    chosen_sum_G, chosen_count_G = packed.chosen_rows.sums(logps_M, num_pairs)
    rejected_sum_G, rejected_count_G = packed.rejected_rows.sums(logps_M, num_pairs)
    nll_sum_G, _ = packed.nll_rows.sums(logps_M, num_pairs)
    return GroupTerms(
        group=group,
        # A response without tokens gives 0, as on the padded path.
        chosen_logps_G=chosen_sum_G / chosen_count_G.clamp(min=1),
        rejected_logps_G=rejected_sum_G / rejected_count_G.clamp(min=1),
        nll_sum=-nll_sum_G.sum(),
        chosen_logits_sum=chosen_logits,
        rejected_logits_sum=rejected_logits,
    )


def join_terms(parts: Sequence[GroupTerms], lengths: Sequence[PairLengths], nll_tokens: Tensor) -> PairTerms:
    """Put the groups of a batch together, in the batch's order.

    Pairs of groups that have not run yet stand at -1: their value reaches no other pair's gradient.
    """
    device = parts[0].nll_sum.device
    order_B = torch.tensor([i for part in parts for i in part.group], device=device)
    waiting_B = torch.full((len(lengths),), -1.0, device=device)
    return PairTerms(
        chosen_logps_B=waiting_B.index_copy(0, order_B, torch.cat([part.chosen_logps_G for part in parts])),
        rejected_logps_B=waiting_B.index_copy(0, order_B, torch.cat([part.rejected_logps_G for part in parts])),
        nll_sum=torch.stack([part.nll_sum for part in parts]).sum(),
        nll_tokens=nll_tokens,
        chosen_logits_mean=_mean([p.chosen_logits_sum for p in parts], sum(n.chosen - 1 for n in lengths)),
        rejected_logits_mean=_mean([p.rejected_logits_sum for p in parts], sum(n.rejected - 1 for n in lengths)),
    )


def _mean(sums: list[Tensor], count: int) -> Tensor:
    return torch.stack(sums).sum() / max(1, count)


def packed_terms(
    path: PackedPath,
    model: nn.Module,
    batch: Mapping[str, Any],
    nll_tokens: Tensor,
    *,
    backward: Callable[[PairTerms], None] | None = None,
    without_sync: Callable[[], AbstractContextManager[Any]] = nullcontext,
) -> PairTerms:
    """Compute a batch's terms, one pass after the other.

    Args:
        nll_tokens: How many tokens the batch's NLL runs over: known before the first pass.
        backward: Differentiates the terms it is given. With it, every group but the last is differentiated as soon as
            it is computed, and what is returned carries the last group's graph only; without it, all graphs live.
        without_sync: Wraps the groups whose gradients are not to be reduced over ranks yet.
    """
    lengths = read_lengths(batch)
    path.head_call.forget()
    groups = path.groups(lengths)
    done: list[GroupTerms] = []
    for group in groups[:-1]:
        with without_sync() if backward is not None else nullcontext():
            part = path.run_group(model, batch, lengths, group)
            if backward is not None:
                backward(join_terms([*done, part], lengths, nll_tokens))
                part = part.detached()
        done.append(part)
    done.append(path.run_group(model, batch, lengths, groups[-1]))
    return join_terms(done, lengths, nll_tokens)
