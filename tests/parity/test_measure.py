"""A claim of speed or memory needs a difference larger than the runs' own spread. Ratios are worked out by hand."""

from __future__ import annotations

import pytest

from parity.measure import resolve


def _runs(*values: float) -> list[dict[str, float]]:
    return [{"seconds_per_step": value} for value in values]


def _resolve(theirs, ours):
    return resolve({"theirs": _runs(*theirs), "ours": _runs(*ours)})["quantities"]["seconds_per_step"]


def test_medians_are_of_runs():
    found = _resolve([1.0, 9.0, 2.0], [1.0, 1.0, 1.0])
    assert (found["theirs"], found["ours"], found["ratio"]) == (2.0, 1.0, 0.5)


def test_a_difference_beyond_the_spread_is_resolved():
    # spreads: 0.1/2/1.0 = 5 percent and nothing; the resolving power is twice the larger
    found = _resolve([0.95, 1.0, 1.05], [0.5, 0.5, 0.5])
    assert found["resolving_power"] == pytest.approx(0.1)
    assert found["resolved"]


def test_a_difference_within_the_spread_is_not_resolved():
    assert not _resolve([0.8, 1.0, 1.2], [0.7, 0.9, 1.1])["resolved"]


def test_two_repetitions_resolve_nothing():
    assert not _resolve([1.0, 1.0], [0.1, 0.1])["resolved"]
