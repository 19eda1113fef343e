"""The packed backend against attention over each sequence by itself, and FlexAttention's pattern against that too."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.attention.flex_attention import create_block_mask
from transformers import AutoModelForCausalLM, Llama4TextConfig, LlamaConfig

from orpo_compat.attention import install, packed_attention, packed_masks
from orpo_compat.block_masks import block_mask, sees
from orpo_compat.errors import PackingRefused
from orpo_compat.packing import Segment

HEADS, KV_HEADS, SIZE = 4, 2, 8


def layout(*shapes: tuple[int, int, int]) -> tuple[Segment, ...]:
    starts = itertools.accumulate((sum(shape) for shape in shapes), initial=0)
    return tuple(Segment(start, *shape) for start, shape in zip(starts, shapes, strict=False))


def visible(segments: tuple[Segment, ...], window: int | None) -> Tensor:
    """The definition, token by token: same pair, not later, on a shared branch, within the window."""
    tokens = []
    for pair, (_, shared, chosen, rejected) in enumerate(segments):
        tokens += [(pair, 0, i) for i in range(shared)]
        tokens += [(pair, 1, shared + i) for i in range(chosen)]
        tokens += [(pair, 2, shared + i) for i in range(rejected)]
    window = window or len(tokens)
    return torch.tensor(
        [[p == q and k <= j and c in (0, b) and j - k < window for (q, c, k) in tokens] for (p, b, j) in tokens]
    )


def dense_attention(
    query: Tensor, key: Tensor, value: Tensor, allowed: Tensor, scaling: float | None, softcap: float | None
) -> Tensor:
    key, value = (x.repeat_interleave(HEADS // KV_HEADS, 1) for x in (key, value))
    scores = query @ key.transpose(2, 3) * (SIZE**-0.5 if scaling is None else scaling)
    if softcap is not None:
        scores = softcap * torch.tanh(scores / softcap)
    return (scores.masked_fill(~allowed, -torch.inf).softmax(-1) @ value).transpose(1, 2)


shapes = st.tuples(st.integers(0, 6), st.integers(0, 5), st.integers(0, 5)).filter(sum)


@settings(deadline=None)
@given(
    st.lists(shapes, min_size=1, max_size=4),
    st.sampled_from([None, 1, 3]),
    st.sampled_from([None, 0.2]),
    st.sampled_from([None, 1.5]),
)
def test_packed_rows_attend_as_their_sequences_would(
    pairs: list[tuple[int, int, int]], window: int | None, scaling: float | None, softcap: float | None
) -> None:
    segments = layout(*pairs)
    size = sum(map(sum, pairs))
    torch.manual_seed(0)
    states = [torch.randn(1, heads, size, SIZE, requires_grad=True) for heads in (HEADS, KV_HEADS, KV_HEADS)]
    ours = packed_attention(
        nn.Module(), *states, packed_segments=segments, scaling=scaling, sliding_window=window, softcap=softcap
    )
    theirs = dense_attention(*states, visible(segments, window), scaling, softcap)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    upstream = torch.randn_like(theirs)
    our_grads, their_grads = (torch.autograd.grad(out, states, upstream) for out in (ours, theirs))
    for our_grad, their_grad in zip(our_grads, their_grads, strict=True):
        torch.testing.assert_close(our_grad, their_grad, rtol=1e-4, atol=1e-5)


@settings(deadline=None)
@given(st.lists(shapes, min_size=1, max_size=4), st.sampled_from([None, 1, 3]))
def test_the_block_mask_rule_is_the_same_pattern(pairs: list[tuple[int, int, int]], window: int | None) -> None:
    segments = layout(*pairs)
    index = torch.arange(sum(map(sum, pairs)))
    rule = sees(segments, window, "cpu")
    nothing = torch.tensor(0)
    assert torch.equal(rule(nothing, nothing, index[:, None], index[None, :]), visible(segments, window))


@pytest.mark.parametrize("window", [None, 100])
def test_the_block_mask_skips_only_what_nobody_sees(window: int | None) -> None:
    segments = layout((150, 90, 40), (3, 200, 0), (0, 130, 129))
    size, cpu = sum(sum(pair[1:]) for pair in segments), torch.device("cpu")
    ours = block_mask(segments, window, cpu)
    theirs = create_block_mask(sees(segments, window, cpu), None, None, size, size, device="cpu")
    assert torch.equal(ours.to_dense(), theirs.to_dense())
    assert torch.equal(ours.full_kv_num_blocks, theirs.full_kv_num_blocks)
    assert ours.sparsity() > 50


def tiny_llama(attention: str = "sdpa") -> Any:
    config = LlamaConfig(
        vocab_size=64, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, pad_token_id=0,
    )  # fmt: skip
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(config, attn_implementation=attention).eval()


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_without_segments_the_former_backend_answers(attention: str) -> None:
    model = tiny_llama(attention)
    ids = torch.randint(1, 64, (2, 9))
    mask = torch.tensor([[1] * 9, [1] * 5 + [0] * 4])
    before = model(ids, attention_mask=mask).logits
    remove = install(model)
    assert model.config._attn_implementation == f"orpo_packed_over_{attention}"
    assert torch.equal(model(ids, attention_mask=mask).logits, before)
    remove()
    assert model.config._attn_implementation == attention


def test_installing_twice_keeps_the_former_backend() -> None:
    model = tiny_llama()
    install(model)
    install(model)()
    assert model.config._attn_implementation == "orpo_packed_over_sdpa"


def test_generation_goes_on_as_before() -> None:
    model = tiny_llama()
    prompt = torch.randint(1, 64, (1, 4))
    before = model.generate(prompt, max_new_tokens=5, do_sample=False)
    install(model)
    assert torch.equal(model.generate(prompt, max_new_tokens=5, do_sample=False), before)


@pytest.mark.parametrize("keyword", ["s_aux", "position_bias"])
def test_what_cannot_be_honoured_is_refused(keyword: str) -> None:
    states = [torch.randn(1, heads, 3, SIZE) for heads in (HEADS, KV_HEADS, KV_HEADS)]
    with pytest.raises(PackingRefused, match="sinks"):
        packed_attention(nn.Module(), *states, packed_segments=layout((1, 1, 1)), **{keyword: torch.zeros(1)})


def test_a_mask_of_the_models_own_is_refused() -> None:
    states = [torch.randn(1, heads, 3, SIZE) for heads in (HEADS, KV_HEADS, KV_HEADS)]
    own = torch.ones(1, 1, 3, 3, dtype=torch.bool)
    with pytest.raises(PackingRefused, match="its own attention mask"):
        packed_attention(SimpleNamespace(), *states, own, packed_segments=layout((1, 1, 1)))  # type: ignore[arg-type]


def test_chunked_attention_is_refused_when_the_mask_is_built() -> None:
    config = Llama4TextConfig(
        vocab_size=64, hidden_size=16, intermediate_size=24, intermediate_size_mlp=24, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=1, head_dim=8, num_local_experts=2, attention_chunk_size=4,
    )  # fmt: skip
    model = AutoModelForCausalLM.from_config(config).eval()
    install(model)
    with packed_masks(), pytest.raises(PackingRefused, match="chunked"):
        model(torch.randint(1, 64, (1, 6)), use_cache=False, packed_segments=layout((2, 2, 2)))
