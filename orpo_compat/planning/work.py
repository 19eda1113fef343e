"""Floating-point operations of a training step, packed as this package trains and padded as TRL does.

Counts the products of matrices, as ``torch.utils.flop_counter`` does: a multiplication and an addition are two.
Norms, activations, the softmax and the optimizer are left out; on the shapes of the table they are under two per cent.

With ``w`` weights a token passes, ``H`` query width, ``D`` hidden size, ``V`` vocabulary, and a sequence of ``q``
queries over ``k`` keys: a layer's forward is ``2w`` a token and ``4Hqk``; its backward twice and 2.5 times that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orpo_compat.planning.lengths import PairShape
from orpo_compat.planning.shapes import ModelShape

# What the trainer's forward walk over the vocabulary keeps for the backward one (orpo_compat/head.py), in bytes.
KEPT_LOGITS = {"cpu": 96 << 20, "cuda": 512 << 20}
# Backward of attention computes the scores again and four more products of the size of the forward's two.
_ATTENTION_BACKWARD = 2.5


@dataclass(frozen=True, slots=True)
class Work:
    """Operations by part; forward and backward together."""

    body: float
    """The linear layers of the layers."""
    attention: float
    head: float
    recomputed: float
    """The layers' forward, done again in the backward pass under gradient checkpointing."""

    @property
    def total(self) -> float:
        """All of it."""
        return self.body + self.attention + self.head + self.recomputed

    def __add__(self, other: Work) -> Work:
        return Work(
            self.body + other.body,
            self.attention + other.attention,
            self.head + other.head,
            self.recomputed + other.recomputed,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """What about the training decides its work."""

    rank: int | None = None
    """Of the LoRA adapter; None trains every weight."""
    recompute: bool = False
    """Whether whole layers are computed again in the backward pass."""
    causal_kernel: bool = True
    """Whether the attention kernel skips what the causal mask hides. The flop counter counts as if it did not."""
    device: str = "cuda"
    itemsize: int = 2
    """Bytes of a logit."""

    @property
    def frozen(self) -> bool:
        """Whether the base's weights get no gradients."""
        return self.rank is not None


def packed_work(shape: ModelShape, pairs: Sequence[PairShape], how: Training, *, passes: int = 1) -> Work:
    """Work of one step over ``pairs``: each token once, the prompt once for both responses."""
    scores = sum(
        _scores(pair.prompt + pair.chosen, 0, how) + _scores(pair.rejected, pair.prompt, how) for pair in pairs
    )
    rows = sum(max(0, pair.prompt + pair.chosen - 1) + pair.rejected for pair in pairs)
    return _work(shape, how, tokens=sum(pair.packed for pair in pairs), scores=scores,
                 head=_packed_head(shape, rows, how, passes))  # fmt: skip


def padded_work(shape: ModelShape, pairs: Sequence[PairShape], how: Training) -> Work:
    """Work of one step over ``pairs``, as two rows each, all as wide as the longest, the head at every position."""
    width = max(pair.longest for pair in pairs)
    rows = 2 * len(pairs) * width
    products = 2 if how.frozen else 3
    return _work(shape, how, tokens=rows, scores=2 * len(pairs) * _scores(width, 0, how),
                 head=products * 2.0 * rows * shape.embedding_weights)  # fmt: skip


def _scores(queries: int, behind: int, how: Training) -> float:
    """Query-key products of a sequence's end: so many queries over themselves and what lies behind them."""
    own = queries * (queries + 1) / 2 if how.causal_kernel else queries * queries
    return own + queries * behind


def _work(shape: ModelShape, how: Training, *, tokens: int, scores: float, head: float) -> Work:
    adapter = 2.0 * tokens * shape.adapter_weights(how.rank) if how.rank is not None else 0.0
    body = 2.0 * tokens * shape.layers * shape.active_layer_weights
    attention = 4.0 * shape.layers * shape.query_width * scores
    return Work(
        body=body * (2 if how.frozen else 3) + 3 * adapter,
        attention=attention * (1 + _ATTENTION_BACKWARD),
        head=head,
        recomputed=_again(shape, how, tokens, body + adapter + attention) if how.recompute else 0.0,
    )


def _again(shape: ModelShape, how: Training, tokens: int, forward: float) -> float:
    """Work of computing the layers again.

    It stops once backward has what it needs: before a layer's last product, unless an adapter sits on that one.
    """
    if how.frozen:
        return forward
    last = shape.intermediate * shape.hidden * max(1, shape.experts_per_token)
    return forward - 2.0 * tokens * shape.layers * last


def _packed_head(shape: ModelShape, rows: int, how: Training, passes: int) -> float:
    """Work of the walks over the vocabulary.

    A frozen head is walked once, with two products. A trained one is walked forward (one product) and backward (two,
    and the logits again as far as they were not kept).
    """
    product = 2.0 * rows * shape.embedding_weights
    if how.frozen:
        return 2 * product
    all_logits = rows * shape.vocabulary * how.itemsize
    again = max(0.0, 1.0 - passes * KEPT_LOGITS[how.device] / all_logits) if all_logits else 0.0
    return product * (3 + again)
