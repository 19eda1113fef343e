"""Lengths by hand, and the bounds that every drawn pair keeps."""

from __future__ import annotations

import pytest

from orpo_compat.errors import PlanError
from orpo_compat.planning.lengths import PairShape, filled_pairs, padded_tokens, typical_pairs


def test_a_pair_is_packed_with_its_prompt_once() -> None:
    pair = PairShape(prompt=5, chosen=3, rejected=2)
    assert (pair.packed, pair.longest) == (10, 8)


def test_padding_counts_two_rows_as_wide_as_the_longest_of_the_batch() -> None:
    pairs = [PairShape(5, 3, 2), PairShape(1, 1, 1), PairShape(2, 1, 4)]
    # First batch: 4 rows of 8; second: 2 rows of 6.
    assert padded_tokens(pairs, 2) == (32 + 12) / 3


@pytest.mark.parametrize("length", [2, 32, 1024, 100_000])
def test_drawn_pairs_fit_and_have_every_part(length: int) -> None:
    pairs = typical_pairs(length)
    assert pairs == typical_pairs(length)
    assert all(min(pair) >= 1 and pair.longest <= length for pair in pairs)


def test_a_filled_pair_is_as_long_as_allowed() -> None:
    assert filled_pairs(1025) == [PairShape(512, 513, 513)]


def test_a_length_without_room_for_a_pair_is_refused() -> None:
    with pytest.raises(PlanError, match="at least 2"):
        typical_pairs(1)
