"""The operator against softmax attention over each sequence by itself, in float64, values and gradients."""

from __future__ import annotations

import itertools
from typing import Any
from unittest import mock

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from orpo_compat import pair_attention, wide_products
from orpo_compat.packing import Segment
from orpo_compat.pair_attention import attend, serves

pytestmark = pytest.mark.skipif(not pair_attention._IS_SOUND, reason="older kernels are not used")

HEADS, KEY_HEADS, SIZE = 4, 2, 16
shapes = st.tuples(st.integers(0, 40), st.integers(0, 30), st.integers(0, 30)).filter(sum)


def layout(pairs: list[tuple[int, int, int]]) -> tuple[Segment, ...]:
    starts = itertools.accumulate((sum(pair) for pair in pairs), initial=0)
    return tuple(Segment(start, *pair) for start, pair in zip(starts, pairs, strict=False))


def heads(tokens: int, dtype: torch.dtype, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """As a model makes them: one row of tokens, its heads side by side, seen head by head."""
    draw = torch.Generator().manual_seed(seed)

    def one(count: int) -> Tensor:
        return torch.randn(1, tokens, count, SIZE, generator=draw).to(dtype).transpose(1, 2).requires_grad_()

    return one(HEADS), one(KEY_HEADS), one(KEY_HEADS)


def sequence_by_sequence(
    query: Tensor, key: Tensor, value: Tensor, segments: tuple[Segment, ...], scale: float
) -> Tensor:
    """Each chosen and each rejected sequence on its own, in float64; a prefix token is read off the chosen one."""
    query, key, value = query.double(), *(x.double().repeat_interleave(HEADS // KEY_HEADS, 1) for x in (key, value))
    rows: list[Tensor] = []
    for start, shared, chosen, rejected in segments:
        prefix = list(range(start, start + shared))
        for suffix_from, length, skip in ((start + shared, chosen, 0), (start + shared + chosen, rejected, shared)):
            index = torch.tensor([*prefix, *range(suffix_from, suffix_from + length)], dtype=torch.long)
            scores = query[:, :, index] @ key[:, :, index].transpose(2, 3) * scale
            hidden = torch.ones(len(index), len(index), dtype=torch.bool).triu(1)
            rows.append((scores.masked_fill(hidden, -torch.inf).softmax(-1) @ value[:, :, index])[:, :, skip:])
    return torch.cat(rows, 2).transpose(1, 2)


def gradients(result: Tensor, inputs: tuple[Tensor, ...], seed: int = 1) -> list[Tensor]:
    weights = torch.randn(result.shape, generator=torch.Generator().manual_seed(seed))
    return list(torch.autograd.grad((result.double() * weights).sum(), inputs))


@settings(deadline=None, max_examples=60)
@given(st.lists(shapes, min_size=1, max_size=4), st.sampled_from([None, 0.3]), st.sampled_from([7, 32, 128]))
def test_values_and_gradients_are_those_of_the_sequences(
    pairs: list[tuple[int, int, int]], scale: float | None, strip: int
) -> None:
    with mock.patch.object(pair_attention, "_STRIP", strip):
        compare_with_the_sequences(pairs, scale)


def compare_with_the_sequences(pairs: list[tuple[int, int, int]], scale: float | None) -> None:
    segments, inputs = layout(pairs), heads(sum(map(sum, pairs)), torch.float32)
    ours = attend(*inputs, segments, scale)
    theirs = sequence_by_sequence(*inputs, segments, SIZE**-0.5 if scale is None else scale)
    assert ours.is_contiguous()
    torch.testing.assert_close(ours.double(), theirs, rtol=1e-5, atol=1e-5)
    for mine, other in zip(gradients(ours, inputs), gradients(theirs, inputs), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-5)


def test_sequences_of_several_strips_are_differentiated_exactly() -> None:
    strip = pair_attention._STRIP
    compare_with_the_sequences([(2 * strip + 9, strip - 1, strip), (0, strip + 1, 5 * strip)], None)


@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize("pairs", [[(30, 20, 25), (0, 9, 11)], [(300, 90, 140)]])
def test_bfloat16_stays_within_its_rounding(
    monkeypatch: pytest.MonkeyPatch, wide: bool, pairs: list[tuple[int, int, int]]
) -> None:
    monkeypatch.setattr(wide_products, "_float32_is_faster", lambda: wide)
    segments, inputs = layout(pairs), heads(sum(map(sum, pairs)), torch.bfloat16)
    ours = attend(*inputs, segments, None)
    theirs = sequence_by_sequence(*inputs, segments, SIZE**-0.5)
    assert ours.dtype == torch.bfloat16
    torch.testing.assert_close(ours.double(), theirs, rtol=2**-6, atol=2**-6)
    for mine, other in zip(gradients(ours, inputs), gradients(theirs, inputs), strict=True):
        torch.testing.assert_close(mine, other, rtol=2**-5, atol=2**-4)


def test_scores_far_apart_are_joined_without_overflow() -> None:
    """The prefix's scores lie a thousand below or above the response's own."""
    segments = layout([(3, 0, 3)])
    query, key, value = heads(6, torch.float32)
    with torch.no_grad():
        key[:, :, :3] *= 1e3
    ours = attend(query, key, value, segments, None)
    torch.testing.assert_close(ours.double(), sequence_by_sequence(query, key, value, segments, SIZE**-0.5))


def serving_cases() -> list[Any]:
    query, key, value = heads(8, torch.float32)
    return [
        pytest.param((query, key, value), True, id="plain"),
        pytest.param((query, key.double(), value), False, id="dtypes differ"),
        pytest.param((query, key, value[..., :8]), False, id="sizes differ"),
        pytest.param((query.transpose(2, 3).contiguous().transpose(2, 3), key, value), False, id="laid out otherwise"),
        pytest.param((query.to("meta"), key, value), False, id="elsewhere"),
    ]


@pytest.mark.parametrize(("inputs", "served"), serving_cases())
def test_it_serves_what_its_kernel_takes(inputs: tuple[Tensor, ...], served: bool) -> None:
    assert serves(*inputs) is served
