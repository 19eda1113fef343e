"""Total batch size and end rate: the laws they obey, and TRL users' numbers worked out by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orpo_compat.batching import end_at, split_total_batch
from orpo_compat.errors import ConfigError


@given(st.integers(1, 512), st.sampled_from([1, 2, 4, 8]))
def test_the_parts_multiply_to_the_total(share: int, world: int) -> None:
    parts = split_total_batch(share * world, per_device=None, world_size=world)
    assert parts["per_device_train_batch_size"] * parts["gradient_accumulation_steps"] * world == share * world
    assert parts["per_device_train_batch_size"] <= 8


def test_a_fixed_micro_batch_is_kept() -> None:
    parts = split_total_batch(16, per_device=2, world_size=2)
    assert parts == {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 4}


@pytest.mark.parametrize(
    ("total", "per_device", "world", "fragment"),
    [(16, 3, 1, "per-device size of 1, 2, 4, 8, 16"), (6, None, 4, "a multiple of 4"), (0, None, 1, "0 cannot")],
)
def test_what_cannot_be_divided_is_said_with_what_can(
    total: int, per_device: int | None, world: int, fragment: str
) -> None:
    with pytest.raises(ConfigError, match=fragment):
        split_total_batch(total, per_device=per_device, world_size=world)


def test_a_line_and_a_cosine_end_where_asked() -> None:
    assert end_at(5e-7, scheduler=None, kwargs=None)["lr_scheduler_kwargs"]["lr_end"] == 5e-7
    cosine = end_at(5e-7, scheduler="cosine", kwargs={"num_cycles": 0.5})
    assert cosine["lr_scheduler_type"] == "cosine_with_min_lr"
    assert cosine["lr_scheduler_kwargs"] == {"num_cycles": 0.5, "min_lr": 5e-7}
    with pytest.raises(ConfigError, match="no end rate"):
        end_at(5e-7, scheduler="inverse_sqrt", kwargs=None)
