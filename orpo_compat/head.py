"""Token log-probabilities straight from hidden states: the vocabulary is walked in blocks, forward and backward.

No ``[rows, vocabulary]`` tensor ever exists: a block of logits lives until the next one, so peak memory does not
grow with the vocabulary. Logits have the dtype the model would give them; everything summed over is float32.
Decides nothing about which rows are needed, or where the weight comes from.

Shapes: ``M`` rows (one hidden state, one target), ``D`` hidden size, ``V`` vocabulary, ``W`` one block's width.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from orpo_compat.wide_products import widened

# One block's float32 logits: small enough for a CPU's shared cache, large enough to keep a GPU busy.
_BLOCK_ELEMENTS = {"cpu": 1 << 20, "cuda": 1 << 26}
_NARROWEST_BLOCK = 512
# Logits that the forward walk keeps for the second one, in bytes: what is kept is not computed twice. Of no more than
# so many of the vocabulary's entries, so that memory is the same whatever its size.
_KEPT_BYTES = {"cpu": 96 << 20, "cuda": 512 << 20}
_KEPT_ENTRIES = 1 << 15


@dataclass(frozen=True, slots=True)
class LogitRule:
    """What the model does to its head's output: ``z = cap * tanh(scale * x / cap)``, or ``scale * x`` uncapped."""

    scale: float = 1.0
    softcap: float | None = None

    def apply(self, raw: Tensor) -> Tensor:
        """Return the model's logits, in float32."""
        logits = raw.float()
        if self.softcap is not None:
            return torch.tanh(logits * (self.scale / self.softcap)) * self.softcap
        return logits if self.scale == 1.0 else logits * self.scale

    def pull_back_(self, grad: Tensor, logits: Tensor) -> Tensor:
        """Turn the gradient of ``apply``'s result into that of its argument, in place."""
        if self.softcap is not None:
            grad.mul_(1.0 - (logits / self.softcap).square())
        return grad if self.scale == 1.0 else grad.mul_(self.scale)


class HeadResult(NamedTuple):
    """What one walk over the vocabulary gives. Both float32."""

    logps_M: Tensor
    logit_means_M: Tensor
    """Each row's mean logit over the vocabulary, detached; zeros unless asked for."""


def token_logps(
    hidden_MD: Tensor,
    weight_VD: Tensor,
    bias_V: Tensor | None,
    targets_M: Tensor,
    *,
    rule: LogitRule = LogitRule(),
    with_means: bool = False,
    into_grad: bool = False,
) -> HeadResult:
    """Compute each target's log-probability under a linear head.

    Args:
        hidden_MD: Hidden states, already gathered: one per row. Under autocast the products run in its dtype.
        weight_VD: The head's weight; frozen weights get no gradient, and then no logit is computed twice.
        rule: What the model does to the head's output before it is a logit.
        with_means: Also average each row's logits (soft-capped heads; a linear head's mean needs no logits).
        into_grad: Add the weight's gradient to its ``.grad`` block by block instead of handing autograd a second
            tensor of the vocabulary's size. Only for a plain leaf that nothing watches, and a plain ``backward()``.
    """
    device = hidden_MD.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else hidden_MD.dtype
    with torch.autocast(device, enabled=False):
        logps_M, means_M = _TokenLogps.apply(  # type: ignore[no-untyped-call]  # torch leaves it untyped
            hidden_MD.to(dtype), weight_VD, bias_V, targets_M, rule, with_means, torch.is_grad_enabled(), into_grad
        )
    return HeadResult(logps_M, means_M)


def block_width(num_rows: int, device: str) -> int:
    """How many vocabulary entries to take at once for so many rows."""
    budget = _BLOCK_ELEMENTS.get(device, _BLOCK_ELEMENTS["cuda"])
    return max(_NARROWEST_BLOCK, budget // max(1, num_rows) // 64 * 64)


def _blocks(
    hidden_MD: Tensor, weight_VD: Tensor, bias_V: Tensor | None, kept: Sequence[Tensor] = ()
) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Yield each block's span, its weight as it is multiplied, and the head's output of shape ``(M, W)``.

    The first blocks come from ``kept`` instead of a product.
    """
    width = block_width(len(hidden_MD), hidden_MD.device.type)
    wide_MD = widened(hidden_MD)
    for index, start in enumerate(range(0, len(weight_VD), width)):
        span = slice(start, min(start + width, len(weight_VD)))
        weight_WD = widened(weight_VD[span], like=hidden_MD)
        if index < len(kept):
            yield span, weight_WD, kept[index]
            continue
        raw_MW = (wide_MD @ weight_WD.T).to(hidden_MD.dtype)
        if bias_V is not None:
            raw_MW += bias_V[span].to(raw_MW.dtype)
        yield span, weight_WD, raw_MW


class _Keep:
    """Collects the first blocks' outputs within the budget."""

    def __init__(self, hidden_MD: Tensor) -> None:
        self.blocks: list[Tensor] = []
        most = _KEPT_BYTES.get(hidden_MD.device.type, _KEPT_BYTES["cuda"])
        self._left = min(most, len(hidden_MD) * _KEPT_ENTRIES * hidden_MD.element_size())

    def offer(self, raw_MW: Tensor) -> bool:
        """Keep a block if it still fits, and say so; once one did not, none after it is kept."""
        self._left -= raw_MW.numel() * raw_MW.element_size()
        if self._left >= 0:
            self.blocks.append(raw_MW)
        return self._left >= 0


def _inside(targets_M: Tensor, span: slice) -> tuple[Tensor, Tensor]:
    """Where a row's target lies in the block (any column if it does not), and whether it does. Shapes: ``(M, 1)``."""
    columns = (targets_M - span.start)[:, None]
    width = span.stop - span.start
    return columns.clamp(0, width - 1), (columns >= 0) & (columns < width)


class _Walk:
    """What one forward walk over the blocks gathers. All float32, shapes ``(M,)`` and ``(M, D)``."""

    def __init__(self, hidden_MD: Tensor, targets_M: Tensor, rule: LogitRule, *, means: bool, rows: bool) -> None:
        num_rows = len(targets_M)
        self.targets_M, self.rule, self.means = targets_M, rule, means
        self.target_M = hidden_MD.new_zeros(num_rows, dtype=torch.float32)
        self.sum_M = torch.zeros_like(self.target_M)
        self.peak_M1 = torch.full_like(self.target_M, -torch.inf)[:, None]
        self.mass_M1 = torch.zeros_like(self.peak_M1)
        self.expected_MD = torch.zeros_like(hidden_MD, dtype=torch.float32) if rows else None
        self.hit_MD = torch.zeros_like(hidden_MD, dtype=torch.float32) if rows else None

    def take(self, span: slice, weight_WD: Tensor, logits_MW: Tensor, *, overwrite: bool) -> None:
        """Add one block, by the online softmax: what was summed is rescaled whenever the peak grows."""
        columns_M1, inside_M1 = _inside(self.targets_M, span)
        picked_M1 = logits_MW.gather(1, columns_M1)
        self.target_M = torch.where(inside_M1, picked_M1, self.target_M[:, None]).squeeze(1)
        if self.means:
            self.sum_M += logits_MW.sum(1)
        peak_M1 = torch.maximum(self.peak_M1, logits_MW.amax(1, keepdim=True))
        shrink_M1 = torch.exp(self.peak_M1 - peak_M1)
        slopes_MW = logits_MW.clone() if self.expected_MD is not None and self.rule.softcap is not None else None
        mass_MW = (logits_MW.sub_(peak_M1) if overwrite else logits_MW - peak_M1).exp_()
        self.mass_M1 = self.mass_M1 * shrink_M1 + mass_MW.sum(1, keepdim=True)
        self.peak_M1 = peak_M1
        if self.expected_MD is None or self.hit_MD is None:
            return
        sloped_MW = mass_MW if slopes_MW is None else self.rule.pull_back_(mass_MW, slopes_MW)
        self.expected_MD.mul_(shrink_M1).add_(sloped_MW.to(weight_WD.dtype) @ weight_WD)
        torch.where(inside_M1, weight_WD[columns_M1[:, 0]].float(), self.hit_MD, out=self.hit_MD)

    @property
    def logsumexp_M(self) -> Tensor:
        return (self.peak_M1 + self.mass_M1.log()).squeeze(1)

    def rows(self) -> Tensor:
        """Each row's gradient with respect to its hidden state. Shape: ``(M, D)``."""
        assert self.expected_MD is not None
        assert self.hit_MD is not None
        if self.rule.softcap is not None:
            ones_M1 = torch.ones_like(self.target_M)[:, None]
            self.hit_MD.mul_(self.rule.pull_back_(ones_M1, self.target_M[:, None]))
            return self.hit_MD.sub_(self.expected_MD.div_(self.mass_M1))
        return self.hit_MD.sub_(self.expected_MD.div_(self.mass_M1)).mul_(self.rule.scale)


class _TokenLogps(torch.autograd.Function):
    """Forward walks the blocks once. Backward walks them again, unless the head is frozen.

    With a frozen head the gradient of row ``m`` is ``g_m (W[y_m] - p_m W)``; ``p_m W`` is summed along the forward
    walk, so backward is one elementwise product.
    """

    @staticmethod
    def forward(
        ctx: Any,
        hidden_MD: Tensor,
        weight_VD: Tensor,
        bias_V: Tensor | None,
        targets_M: Tensor,
        rule: LogitRule,
        with_means: bool,
        with_grad: bool,
        into_grad: bool,
    ) -> tuple[Tensor, Tensor]:
        trains_head = weight_VD.requires_grad or (bias_V is not None and bias_V.requires_grad)
        frozen = with_grad and hidden_MD.requires_grad and not trains_head
        walk = _Walk(hidden_MD, targets_M, rule, means=with_means, rows=frozen)
        keep = _Keep(hidden_MD)
        for span, weight_WD, raw_MW in _blocks(hidden_MD, weight_VD, bias_V):
            kept = with_grad and not frozen and keep.offer(raw_MW)
            logits_MW = rule.apply(raw_MW)
            walk.take(span, weight_WD, logits_MW, overwrite=not (kept and logits_MW is raw_MW))
        ctx.rule, ctx.frozen, ctx.into_grad = rule, frozen, into_grad
        logsumexp_M = walk.logsumexp_M
        if frozen:
            ctx.save_for_backward(walk.rows())
        elif with_grad:
            ctx.save_for_backward(hidden_MD, weight_VD, bias_V, targets_M, logsumexp_M, *keep.blocks)
        means_M = walk.sum_M / len(weight_VD)
        ctx.mark_non_differentiable(means_M)
        return walk.target_M - logsumexp_M, means_M

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        grad_M1 = grads[0].float()[:, None]
        if ctx.frozen:
            (rows_MD,) = ctx.saved_tensors
            return grad_M1 * rows_MD, *[None] * 7
        return *_Gradients(ctx).walk(grad_M1, ctx.rule, *ctx.saved_tensors), *[None] * 5


class _Gradients:
    """The second walk: gradients of hidden states, weight and bias, whichever are needed."""

    def __init__(self, ctx: Any) -> None:
        self.needs_hidden, self.needs_weight, self.needs_bias = ctx.needs_input_grad[:3]
        self.into_grad = ctx.into_grad

    def walk(
        self,
        grad_M1: Tensor,
        rule: LogitRule,
        hidden_MD: Tensor,
        weight_VD: Tensor,
        bias_V: Tensor | None,
        targets_M: Tensor,
        logsumexp_M: Tensor,
        *kept: Tensor,
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        grad_hidden = torch.zeros_like(hidden_MD, dtype=torch.float32) if self.needs_hidden else None
        grad_weight = self._weight_grad(weight_VD)
        wide_MD = widened(hidden_MD)
        grad_bias = torch.empty_like(bias_V) if bias_V is not None and self.needs_bias else None
        for span, weight_WD, raw_MW in _blocks(hidden_MD, weight_VD, bias_V, kept):
            logits_MW = rule.apply(raw_MW)
            # d logp / d logit = [is target] - p
            columns_M1, inside_M1 = _inside(targets_M, span)
            grad_MW = (logits_MW - logsumexp_M[:, None]).exp_().mul_(-grad_M1)
            grad_MW.scatter_add_(1, columns_M1, torch.where(inside_M1, grad_M1, 0.0))
            grad_MW = rule.pull_back_(grad_MW, logits_MW)
            if grad_bias is not None:
                grad_bias[span] = grad_MW.sum(0)
            low_MW = grad_MW.to(weight_WD.dtype)
            if grad_hidden is not None:
                grad_hidden.add_(low_MW @ weight_WD)
            if grad_weight is not None:
                _add_product(grad_weight[span], low_MW.T, wide_MD, fresh=not self.into_grad)
        returned_weight = None if self.into_grad else grad_weight
        return None if grad_hidden is None else grad_hidden.to(hidden_MD.dtype), returned_weight, grad_bias

    def _weight_grad(self, weight_VD: Tensor) -> Tensor | None:
        """Where the weight's gradient goes."""
        if not self.needs_weight:
            return None
        if not self.into_grad:
            return torch.empty_like(weight_VD)
        if weight_VD.grad is None:
            weight_VD.grad = torch.zeros_like(weight_VD)
        return weight_VD.grad


def _add_product(into: Tensor, left: Tensor, right: Tensor, *, fresh: bool) -> None:
    """Write or add ``left @ right``, in the dtype of ``into``."""
    if fresh:
        into.copy_(left @ right)
    elif into.dtype == left.dtype:
        into.addmm_(left, right)
    else:
        into.add_(left @ right)
