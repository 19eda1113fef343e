"""Schedules at points worked out by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orpo_compat.schedules import beta_at, scheduled_beta


@pytest.mark.parametrize(
    ("kind", "at", "expected"),
    [
        ("constant", 0.0, 0.5), ("constant", 1.0, 0.5),
        ("linear", 0.0, 0.1), ("linear", 0.25, 0.2), ("linear", 1.0, 0.5),
        ("cosine", 0.0, 0.1), ("cosine", 0.5, 0.3), ("cosine", 1.0, 0.5), ("cosine", 1 / 3, 0.2),
        ("linear", -1.0, 0.1), ("linear", 2.0, 0.5),
    ],
)  # fmt: skip
def test_beta_along_the_run(kind: str, at: float, expected: float) -> None:
    assert beta_at(at, kind, start=0.1, end=0.5) == pytest.approx(expected)


@given(st.sampled_from(["linear", "cosine"]), st.floats(0, 1), st.floats(0, 1), st.floats(0, 5), st.floats(0, 5))
def test_beta_moves_one_way_between_its_ends(kind: str, a: float, b: float, start: float, end: float) -> None:
    early, late = sorted((a, b))
    first, second = (beta_at(at, kind, start, end) for at in (early, late))
    assert (second - first) * (end - start) >= -1e-9
    assert min(start, end) - 1e-9 <= first <= max(start, end) + 1e-9


def test_an_unknown_schedule_is_refused() -> None:
    with pytest.raises(ValueError, match="constant, linear or cosine, got 'step'"):
        beta_at(0.5, "step", 0.0, 1.0)


def test_the_first_step_has_the_start_and_the_last_the_end() -> None:
    args: Any = SimpleNamespace(beta=0.4, beta_start=None, beta_schedule="linear")
    betas = [scheduled_beta(args, SimpleNamespace(global_step=step, max_steps=3)) for step in range(3)]  # type: ignore[arg-type]
    assert betas == pytest.approx([0.0, 0.2, 0.4])
    assert scheduled_beta(args, SimpleNamespace(global_step=0, max_steps=1)) == 0.0  # type: ignore[arg-type]
