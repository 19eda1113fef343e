"""Packed rows against a slow reading of the definition: every token, target and term looked up one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from orpo_compat.collator import PreferenceCollator
from orpo_compat.packing import PairLengths, Segment, common_prefix, group_pairs, pack, read_lengths


def row(chosen_prompt: list[int], chosen: list[int], rejected_prompt: list[int], rejected: list[int]) -> dict[str, Any]:
    sides = {"chosen": (chosen_prompt, chosen), "rejected": (rejected_prompt, rejected)}
    columns: dict[str, Any] = {"prompt_input_ids": chosen_prompt, "prompt_attention_mask": [1] * len(chosen_prompt)}
    for side, (prompt, response) in sides.items():
        columns[f"{side}_input_ids"] = prompt + response
        columns[f"{side}_attention_mask"] = [1] * len(prompt + response)
        columns[f"{side}_labels"] = [-100] * len(prompt) + response
    return columns


def batch_of(*rows: dict[str, Any]) -> dict[str, Any]:
    return PreferenceCollator()(rows)


def packed_of(batch: dict[str, Any], **kwargs: Any) -> Any:
    lengths = read_lengths(batch)
    return pack(batch, lengths, list(range(len(lengths))), **kwargs)


def test_one_pair_lies_prefix_then_chosen_then_rejected() -> None:
    packed = packed_of(batch_of(row([5, 6, 7], [8, 9], [5, 6, 7], [4])))
    assert packed.input_ids_1N.tolist() == [[5, 6, 7, 8, 9, 4]]
    assert packed.position_ids_1N.tolist() == [[0, 1, 2, 3, 4, 3]]
    assert packed.segments == (Segment(start=0, shared=3, chosen=2, rejected=1),)


def test_the_last_shared_token_predicts_both_branches() -> None:
    packed = packed_of(batch_of(row([5, 6], [8, 9], [5, 6], [4, 3])))
    predictions = set(zip(packed.row_positions_M.tolist(), packed.row_targets_M.tolist(), strict=True))
    assert {(1, 8), (1, 4)} <= predictions
    assert predictions == {(0, 6), (1, 8), (2, 9), (1, 4), (4, 3)}


def test_no_head_row_is_spent_on_the_rejected_prompt() -> None:
    # The prompts differ in the last token, so the rejected one has a token of its own, which no term predicts.
    packed = packed_of(batch_of(row([5, 6], [8], [5, 7], [4])))
    targets = packed.row_targets_M.tolist()
    assert sorted(targets) == [4, 6, 8]


def test_a_response_that_starts_alike_is_computed_once() -> None:
    packed = packed_of(batch_of(row([5], [8, 9, 1], [5], [8, 9, 2])))
    assert packed.input_ids_1N.tolist() == [[5, 8, 9, 1, 2]]
    assert len(packed.row_targets_M) == 4
    assert packed.rejected_rows.rows_K.tolist() == [0, 1, 3]


def test_identical_sides_add_no_rejected_token() -> None:
    packed = packed_of(batch_of(row([5], [8, 9], [5], [8, 9])))
    assert packed.segments == (Segment(0, 3, 0, 0),)
    assert packed.chosen_rows.rows_K.tolist() == packed.rejected_rows.rows_K.tolist()


def test_a_masked_label_inside_a_response_weighs_nothing() -> None:
    columns = row([5], [8, 9, 7], [5], [4, 3])
    columns["chosen_labels"] = [-100, 8, -100, 7]
    packed = packed_of(batch_of(columns))
    assert packed.chosen_rows.weights_K.tolist() == [1.0, 0.0, 1.0]
    assert packed.nll_rows.weights_K.tolist() == [1.0, 1.0, 1.0]


def test_a_count_from_the_collator_spares_the_comparison() -> None:
    batch = batch_of(row([5, 6], [8], [5, 6], [4]))
    batch["shared_lengths"] = [1]
    assert read_lengths(batch) == [PairLengths(3, 3, 2, 2, shared=1)]


@pytest.mark.parametrize(
    ("ours", "theirs", "count"), [([1, 2], [1, 2], 2), ([1, 2, 3], [1, 2], 2), ([1], [2], 0), ([], [1], 0)]
)
def test_common_prefix_counts_leading_equal_tokens(ours: list[int], theirs: list[int], count: int) -> None:
    assert common_prefix(ours, theirs) == count


pair_sizes = st.lists(st.integers(1, 400), min_size=1, max_size=30)


@given(pair_sizes, st.integers(1, 500))
def test_groups_hold_every_pair_once_and_respect_the_budget(sizes: list[int], budget: int) -> None:
    lengths = [PairLengths(size, 0, 0, 0, 0) for size in sizes]
    groups = group_pairs(lengths, budget)
    assert sorted(i for group in groups for i in group) == list(range(len(sizes)))
    for group in groups:
        assert len(group) == 1 or sum(sizes[i] for i in group) <= budget


@given(pair_sizes)
def test_two_passes_are_never_used_where_one_would_do(sizes: list[int]) -> None:
    lengths = [PairLengths(size, 0, 0, 0, 0) for size in sizes]
    assert len(group_pairs(lengths, sum(sizes))) == 1
    assert group_pairs(lengths, None) == [list(range(len(sizes)))]


token = st.integers(1, 4)
text = st.lists(token, min_size=1, max_size=7)


@st.composite
def pairs(draw: st.DrawFn) -> dict[str, Any]:
    prompt = draw(st.lists(token, min_size=0, max_size=6))
    other = draw(st.sampled_from([prompt, prompt[:-1], [*prompt[:-1], 9]]))
    return row(prompt, draw(text), other, draw(text))


@settings(deadline=None)
@given(st.lists(pairs(), min_size=1, max_size=4), st.booleans(), st.booleans())
def test_every_term_reads_the_token_it_should(rows: list[dict[str, Any]], on_prompt: bool, every: bool) -> None:
    packed = packed_of(batch_of(*rows), nll_on_prompt=on_prompt, every_position=every)
    histories = histories_of(packed)
    predicted = [
        (histories[position], target)
        for position, target in zip(packed.row_positions_M.tolist(), packed.row_targets_M.tolist(), strict=True)
    ]
    for pair, columns in enumerate(rows):
        for side, rows_of_side in (("chosen", packed.chosen_rows), ("rejected", packed.rejected_rows)):
            expected = wanted(columns, side, only_response=True)
            assert read(rows_of_side, pair, predicted) == expected
        assert read(packed.nll_rows, pair, predicted) == wanted(columns, "chosen", only_response=not on_prompt)
    for side, seen in (("chosen", packed.chosen_seen_K), ("rejected", packed.rejected_seen_K)):
        ends = [predicted[i][0] for i in seen.tolist()] if every else [histories[i] for i in seen.tolist()]
        assert ends == [
            tuple(columns[f"{side}_input_ids"][: t + 1])
            for columns in rows
            for t in range(len(columns[f"{side}_input_ids"]) - 1)
        ]


def histories_of(packed: Any) -> list[tuple[int, ...]]:
    """What each packed token has behind it, itself included, read off the segments."""
    ids = packed.input_ids_1N[0].tolist()
    histories = []
    for start, shared, chosen, rejected in packed.segments:
        prefix = ids[start : start + shared]
        branches = (
            ids[start + shared : start + shared + chosen],
            ids[start + shared + chosen : start + shared + chosen + rejected],
        )
        histories += [tuple(prefix[: i + 1]) for i in range(shared)]
        histories += [tuple(prefix + branch[: i + 1]) for branch in branches for i in range(len(branch))]
    return histories


def wanted(columns: dict[str, Any], side: str, *, only_response: bool) -> list[tuple[tuple[int, ...], int]]:
    ids, labels = columns[f"{side}_input_ids"], columns[f"{side}_labels"]
    return [(tuple(ids[:t]), ids[t]) for t in range(1, len(ids)) if not only_response or labels[t] != -100]


def read(rows: Any, pair: int, predicted: list[Any]) -> list[Any]:
    assert torch.equal(rows.weights_K, torch.ones_like(rows.weights_K))
    mine = np.asarray(rows.pairs_K) == pair
    return [predicted[i] for i in np.asarray(rows.rows_K)[mine]]
