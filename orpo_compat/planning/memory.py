"""Bytes on one GPU while it trains: weights, gradients, optimizer, activations, logits, and what sharding adds.

Activations follow what autograd keeps of a Llama layer, counted with ``saved_tensors_hooks`` (the test does so again).
The peak is taken in the backward pass of the longest batch. Knows no time and chooses nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

from orpo_compat.planning.shapes import ModelShape
from orpo_compat.planning.work import KEPT_LOGITS

Precision = Literal["bf16", "mixed", "fp32"]
Sharding = Literal["none", "ddp", "fsdp-grad", "fsdp-full"]
Keeping = Literal["all", "inputs"]
GIB = 2**30

# Bytes of a weight, of a residual, and of an activation: pure bf16; float32 weights under bf16 autocast; float32.
_WEIGHT = {"bf16": 2, "mixed": 4, "fp32": 4}
_COMPUTE = {"bf16": 2, "mixed": 2, "fp32": 4}
# What autograd keeps of a layer, in bytes per token and unit of hidden size, MLP size, and query plus key width.
_KEPT = {"bf16": (16, 8, 4), "mixed": (26, 8, 4), "fp32": (24, 16, 8)}
OPTIMIZERS = {"adamw": 2, "adamw-8bit": 0.5, "adafactor": 0.01, "sgd": 0}
"""Numbers of state for each trained weight, in units of that weight's own size (8-bit ones of four bytes' size)."""
# What a layer takes while it is differentiated, in units of what it keeps: measured on a CPU (docs/scale.md).
_WORKING = 4
# Bytes of TRL's logits at their peak, for each position and entry of the vocabulary: as the head gives them (float32
# again as accelerate returns them), the chosen half copied and its softmax, and the gradient of all.
_PADDED_LOGIT = {"bf16": 14, "mixed": 14, "fp32": 12}
# Elements of one block of logits (orpo_compat/head.py).
_BLOCK = {"cpu": 1 << 20, "cuda": 1 << 26}
# CUDA's context and NCCL's buffers.
_CONTEXT = 1.5 * GIB
_QUANTIZED_WEIGHT = 0.56
"""Bytes of a 4-bit weight with its scales, doubly quantized."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """Everything about a run that its memory depends on, but the batch."""

    precision: Precision = "mixed"
    sharding: Sharding = "none"
    gpus: int = 1
    optimizer: str = "adamw"
    rank: int | None = None
    """Of the LoRA adapter; None trains every weight."""
    four_bit: bool = False
    keeping: Keeping = "inputs"
    """Of a layer's activations: all, or its input only (gradient checkpointing)."""
    device: str = "cuda"

    @property
    def fsdp(self) -> bool:
        """Whether weights, gradients and optimizer are spread over the GPUs."""
        return self.sharding in ("fsdp-grad", "fsdp-full")


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes on one GPU at the peak, by what they are for."""

    weights: float
    gradients: float
    optimizer: float
    gathered: float
    """Copies for computing: autocast's, the layers that FSDP has gathered, DDP's buckets."""
    activations: float
    logits: float
    context: float

    @property
    def total(self) -> float:
        """All of it."""
        return float(sum(getattr(self, field.name) for field in fields(self)))

    @property
    def fixed(self) -> float:
        """What does not depend on the batch."""
        return self.weights + self.gradients + self.optimizer


def packed_memory(shape: ModelShape, setup: Setup, *, tokens: int, rows: int) -> Memory:
    """Memory of a pass of this package's trainer.

    Args:
        tokens: of the longest packed row that is held at once.
        rows: of them whose hidden state meets the vocabulary.
    """
    item = _COMPUTE[setup.precision]
    if setup.rank is None:
        kept = min(KEPT_LOGITS[setup.device], rows * shape.vocabulary * item)
        head = (2 * item + 4) * rows * shape.hidden + kept
    else:
        head = (2 * item + 8) * rows * shape.hidden
    block = min(_BLOCK[setup.device], rows * shape.vocabulary) * (12 + item)
    return _memory(shape, setup, tokens=tokens, logits=head + block)


def padded_memory(shape: ModelShape, setup: Setup, *, rows: int) -> Memory:
    """Memory of a step of TRL's trainer over so many padded positions, both sides of every pair.

    Its logits exist whole.
    """
    return _memory(shape, setup, tokens=rows, logits=_PADDED_LOGIT[setup.precision] * rows * shape.vocabulary)


def _memory(shape: ModelShape, setup: Setup, *, tokens: int, logits: float) -> Memory:
    shards = setup.gpus if setup.fsdp else 1
    trained = shape.weights if setup.rank is None else shape.adapter_weights(setup.rank)
    trained_size = _trained_size(setup)
    return Memory(
        weights=(_frozen_bytes(shape, setup) + trained * trained_size) / shards,
        gradients=trained * trained_size / shards,
        optimizer=trained * trained_size * OPTIMIZERS[setup.optimizer] / shards,
        gathered=_gathered(shape, setup, trained),
        activations=tokens * activation_bytes(shape, setup),
        logits=logits,
        context=_CONTEXT if setup.device == "cuda" else 0,
    )


def _trained_size(setup: Setup) -> int:
    # accelerate turns trained weights into float32 before FSDP shards them under mixed precision; adapters are float32.
    return 4 if setup.fsdp or setup.rank is not None else _WEIGHT[setup.precision]


def _frozen_bytes(shape: ModelShape, setup: Setup) -> float:
    if setup.rank is None:
        return 0.0
    if setup.four_bit:
        layers = shape.layers * shape.layer_weights
        return layers * _QUANTIZED_WEIGHT + (shape.weights - layers) * _WEIGHT[setup.precision]
    return float(shape.weights * _WEIGHT[setup.precision])


def _gathered(shape: ModelShape, setup: Setup, trained: int) -> float:
    """Copies of weights that exist for computing only."""
    item = _COMPUTE[setup.precision]
    embeddings = shape.embedding_weights * (1 if shape.tied else 2)
    if setup.sharding == "fsdp-grad":
        return float(item * shape.weights + 4 * shape.layer_weights)
    if setup.sharding == "fsdp-full":
        # Two layers (one computed, one on its way) with the gradient of one, and the embeddings throughout.
        return float(item * (2 * shape.layer_weights + embeddings) + 4 * (shape.layer_weights + embeddings))
    # Without sharding autocast keeps a copy of every weight it casts, the embedding included where it is the head.
    copies = shape.weights - shape.embedding_weights * (0 if shape.tied else 1) if setup.precision == "mixed" else 0
    if setup.four_bit:
        copies = shape.layer_weights
    buckets = trained * _trained_size(setup) if setup.sharding == "ddp" else 0
    return float(item * copies + buckets)


def activation_bytes(shape: ModelShape, setup: Setup) -> float:
    """Bytes that a token's activations take at the peak, all layers together."""
    whole = layer_activation_bytes(shape, setup.precision)
    residual = shape.hidden * (4 if setup.precision != "bf16" else 2)
    # The layer that is in its backward pass: what it keeps, the gradients of that, and the kernels' buffers.
    working = _WORKING * whole
    if setup.keeping == "all":
        return shape.layers * whole + working - whole
    return shape.layers * residual + working


def layer_activation_bytes(shape: ModelShape, precision: Precision) -> int:
    """Bytes that autograd keeps of one layer for one token, if nothing is computed again."""
    by_hidden, by_mlp, by_heads = _KEPT[precision]
    experts = max(1, shape.experts_per_token)
    attention = by_heads * (shape.query_width + shape.key_width) + 4 * shape.heads
    return by_hidden * shape.hidden + by_mlp * experts * shape.intermediate + attention + 8
