"""A series' head and tail: a fifth of the points each, at least three, and never the same point in both."""

from __future__ import annotations

import pytest

from orpo_compat.history import Series


@pytest.mark.parametrize(
    ("count", "head", "tail"),
    [(1, 0, 0), (2, 0, 1), (3, 0, 2), (4, 0.5, 2.5), (5, 0.5, 3.5), (6, 1, 4), (15, 1, 13), (20, 1.5, 17.5)],
)
def test_head_and_tail_are_medians_of_points_that_do_not_overlap(count: int, head: float, tail: float) -> None:
    series = Series(tuple(range(count)), tuple(float(value) for value in range(count)))
    assert (series.head, series.tail) == (head, tail)
