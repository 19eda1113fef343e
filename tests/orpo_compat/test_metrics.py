"""Means worked out by hand; laziness and the number of reductions observed from outside."""

from __future__ import annotations

import pytest
import torch

from orpo_compat.metrics import RunningMeans


def test_means_weigh_batches_as_told() -> None:
    means = RunningMeans()
    means.record({"a": torch.tensor(1.0), "b": 2.0}, weight=3)
    means.record({"a": torch.tensor(5.0)}, weight=1)
    assert means.drain() == {"a": pytest.approx(2.0), "b": pytest.approx(2.0)}
    assert means.drain() == {}


def test_a_mapping_may_still_grow_until_the_next_one_arrives() -> None:
    means, first = RunningMeans(), {"a": 1.0}
    means.record(first)
    first["late"] = 7.0
    means.record({"a": 3.0})
    first["too late"] = 9.0
    assert means.drain() == {"a": 2.0, "late": 7.0}


def test_per_pair_tensors_are_not_logged_even_of_one_pair() -> None:
    means = RunningMeans()
    means.record({"chosen_rewards": torch.ones(1), "other": torch.ones(3), "one": torch.ones(1)})
    assert means.drain() == {"one": 1.0}


def test_gradients_are_not_kept_alive() -> None:
    means, weight = RunningMeans(), torch.ones((), requires_grad=True)
    means.record({"a": weight * 2})
    means.record({})
    assert not any(total.requires_grad for total in means._sums.values())


@pytest.mark.parametrize("recorded", [{}, {"a": 1.0}, {"a": 1.0, "b": 2.0}])
def test_draining_reduces_exactly_once_whatever_was_recorded(recorded: dict[str, float]) -> None:
    calls = []

    def two_ranks(totals: torch.Tensor) -> torch.Tensor:
        calls.append(totals.shape)
        return totals * 2

    means = RunningMeans()
    means.record(recorded)
    assert means.drain(two_ranks) == recorded
    assert len(calls) == 1
