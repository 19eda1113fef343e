"""What autograd keeps is counted with ``saved_tensors_hooks`` on real layers; the rest is worked out by hand."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
import torch
from packaging.version import Version

from orpo_compat.planning.memory import (
    Precision,
    Setup,
    activation_bytes,
    layer_activation_bytes,
    packed_memory,
    padded_memory,
)
from orpo_compat.planning.shapes import KNOWN, ModelShape, shape_from_config
from tests.conftest import tiny_llama

TOKENS = 64
SIZES: dict[str, Any] = {
    "hidden_size": 128,
    "intermediate_size": 384,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "head_dim": 16,
}
HOLDING: dict[Precision, tuple[torch.dtype, bool]] = {
    "bf16": (torch.bfloat16, False),
    "mixed": (torch.float32, True),
    "fp32": (torch.float32, False),
}


def kept_bytes(layers: int, precision: Precision, recompute: bool) -> int:
    """Bytes of everything autograd keeps of a forward pass but the weights and autocast's copies of them."""
    dtype, autocast = HOLDING[precision]
    model = tiny_llama(num_hidden_layers=layers, **SIZES).to(dtype).train()
    if recompute:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    weights = {tuple(p.shape) for p in model.parameters()} | {
        tuple(p.T.shape) for p in model.parameters() if p.ndim > 1
    }
    kept: dict[int, torch.Tensor] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        if tuple(tensor.shape) not in weights:
            kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    context = torch.autocast("cpu", dtype=torch.bfloat16) if autocast else contextlib.nullcontext()
    ids = torch.randint(3, 384, (1, TOKENS))
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor), context:
        model.model(input_ids=ids, use_cache=False)
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


def shape() -> ModelShape:
    return shape_from_config(tiny_llama(**SIZES).config.to_dict(), "test")


@pytest.mark.skipif(Version(torch.__version__) < Version("2.8"), reason="the CPU's kernel had no grouped heads yet")
@pytest.mark.parametrize("precision", HOLDING)
def test_a_layer_keeps_as_many_bytes_as_the_formula_says(precision: Precision) -> None:
    measured = (kept_bytes(3, precision, False) - kept_bytes(2, precision, False)) / TOKENS
    assert layer_activation_bytes(shape(), precision) == pytest.approx(measured, rel=0.01)


@pytest.mark.parametrize("precision", HOLDING)
def test_a_recomputed_layer_keeps_its_input_alone(precision: Precision) -> None:
    measured = (kept_bytes(3, precision, True) - kept_bytes(2, precision, True)) / TOKENS
    deep, deeper = (ModelShape(**{**sizes_of(shape()), "layers": n}) for n in (2, 3))
    setup = Setup(precision=precision, keeping="inputs")
    assert activation_bytes(deeper, setup) - activation_bytes(deep, setup) == measured


def sizes_of(which: ModelShape) -> dict[str, Any]:
    return {name: getattr(which, name) for name in which.__slots__}


def test_full_sharding_divides_the_states_by_the_gpus() -> None:
    whole = packed_memory(KNOWN["8B"], Setup(gpus=8, sharding="ddp"), tokens=1, rows=1)
    shared = packed_memory(KNOWN["8B"], Setup(gpus=8, sharding="fsdp-full"), tokens=1, rows=1)
    # float32 weights and gradients, two moments.
    assert whole.fixed == 16 * KNOWN["8B"].weights
    assert shared.fixed == whole.fixed / 8


def test_an_adapter_leaves_the_base_without_gradients_and_state() -> None:
    shape = KNOWN["8B"]
    memory = packed_memory(shape, Setup(precision="bf16", rank=16), tokens=1, rows=1)
    adapter = shape.adapter_weights(16)
    assert (memory.weights, memory.gradients, memory.optimizer) == (
        2 * shape.weights + 4 * adapter, 4 * adapter, 8 * adapter,
    )  # fmt: skip


def test_four_bits_shrink_the_layers_and_not_the_embeddings() -> None:
    shape = KNOWN["8B"]
    memory = packed_memory(shape, Setup(precision="bf16", rank=16, four_bit=True), tokens=1, rows=1)
    embeddings = 2 * 2 * shape.embedding_weights
    assert embeddings + 0.5 * 7e9 < memory.weights < embeddings + 0.6 * 7e9


def test_logits_of_the_packed_path_stop_growing_with_the_vocabulary() -> None:
    narrow, wide = KNOWN["7B"], ModelShape(**{**sizes_of(KNOWN["7B"]), "vocabulary": 320_000})
    setup = Setup()
    ours = [packed_memory(each, setup, tokens=8192, rows=8192).logits for each in (narrow, wide)]
    theirs = [padded_memory(each, setup, rows=8192).logits for each in (narrow, wide)]
    assert ours[1] < 1.01 * ours[0]
    assert theirs[1] == 10 * theirs[0]
