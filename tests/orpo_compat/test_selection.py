"""Filters and the split: laws that hold for any pairs, and counts worked out by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orpo_compat.errors import DataError
from orpo_compat.pairs import Pair
from orpo_compat.selection import DUPLICATED, EMPTY, IDENTICAL, OVER_LENGTH, screen, split_by_prompt

PAIRS = [
    Pair("p", "a", "b", 1),
    Pair("p", "a", "a ", 2),
    Pair("p", "a", "b", 3),
    Pair("p", " ", "b", 4),
    Pair("p", "long", "b", 5),
]
pairs = st.lists(st.sampled_from("abcdef"), min_size=2, max_size=40).map(
    lambda prompts: [Pair(p, f"{i}", "r", i) for i, p in enumerate(prompts)]
)


def test_each_useless_pair_is_dropped_for_its_reason() -> None:
    screened = screen(PAIRS, too_long=lambda pair: len(pair.chosen) > 3)
    assert [pair.place for pair in screened.kept] == [1]
    assert screened.dropped == {IDENTICAL: [2], DUPLICATED: [3], EMPTY: [4], OVER_LENGTH: [5]}
    assert screened.num_dropped == 4


def test_filters_can_be_switched_off_but_empty_parts_never_stay() -> None:
    screened = screen(PAIRS, drop_identical=False, drop_duplicates=False)
    assert [pair.place for pair in screened.kept] == [1, 2, 3, 5]


def test_nothing_left_is_an_error_that_counts_the_reasons() -> None:
    with pytest.raises(DataError, match=r"none of the 2 pairs .*2: chosen and rejected are the same"):
        screen([Pair("p", "a", "a", 1), Pair("q", "b", "b", 2)])


@given(pairs, st.floats(0.01, 0.9), st.integers(0, 3))
def test_no_prompt_is_on_both_sides_and_no_pair_is_lost(rows: list[Pair], fraction: float, seed: int) -> None:
    if len({pair.prompt for pair in rows}) < 2:
        return
    train, held = split_by_prompt(rows, fraction, seed=seed)
    assert not {str(pair.prompt) for pair in train} & {str(pair.prompt) for pair in held}
    assert sorted(train + held, key=lambda pair: pair.place) == rows
    assert train
    assert held


def test_the_split_follows_the_seed_and_nothing_else() -> None:
    rows = [Pair(str(i), "a", "b", i) for i in range(100)]
    first, again, other = (split_by_prompt(rows, 0.1, seed=seed)[1] for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert len(first) == 10


def test_one_prompt_cannot_be_divided() -> None:
    with pytest.raises(DataError, match="share one prompt"):
        split_by_prompt(PAIRS, 0.1, seed=0)


def test_a_fraction_outside_the_range_is_refused() -> None:
    with pytest.raises(DataError, match=r"--eval-fraction 1.5: not in \[0, 1\)"):
        split_by_prompt(PAIRS, 1.5, seed=0)
