"""Oracles: Python's float64 math module for values, the closed-form derivative for slopes, TRL where it is finite."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from orpo_compat.loss import IGNORE_INDEX, log1mexp, masked_mean, odds_terms, token_logps

LOGPS = [0.0, -1e-38, -1e-9, -1e-8, -1e-7, -1e-6, -1e-4, -1e-2, -0.5, -0.6931, -0.6932, -1.0, -5.0, -50.0]


def value_and_slope(x: float) -> tuple[float, float]:
    tensor = torch.tensor(x, requires_grad=True)
    value = log1mexp(tensor)
    value.backward()
    assert tensor.grad is not None
    return value.item(), tensor.grad.item()


@given(st.floats(min_value=-80.0, max_value=-1e-7))
def test_value_and_slope_follow_the_closed_form(x: float) -> None:
    x32 = torch.tensor(x).item()
    value, slope = value_and_slope(x)
    expected = math.log1p(-math.exp(x32)) if x32 < -0.7 else math.log(-math.expm1(x32))
    assert value == pytest.approx(expected, rel=2e-6, abs=1e-37)
    assert slope == pytest.approx(-1 / math.expm1(-x32), rel=2e-6, abs=1e-37)


@pytest.mark.parametrize("x", LOGPS)
def test_value_and_slope_are_finite_up_to_certainty(x: float) -> None:
    assert all(math.isfinite(number) for number in value_and_slope(x))


@pytest.mark.parametrize("chosen", LOGPS)
@pytest.mark.parametrize("rejected", LOGPS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_odds_are_finite_with_finite_gradients_on_either_side(
    chosen: float, rejected: float, dtype: torch.dtype
) -> None:
    pair = torch.tensor([[chosen], [rejected]], dtype=torch.float32).to(dtype).requires_grad_()
    terms = odds_terms(pair[0], pair[1])
    terms.log_sigmoid_B.sum().backward()
    assert pair.grad is not None
    assert torch.isfinite(terms.log_odds_B).all()
    assert torch.isfinite(terms.log_sigmoid_B).all()
    # float16 cannot hold the slope at certainty; the gradient is finite in the dtype that trains.
    assert dtype is torch.float16 or torch.isfinite(pair.grad).all()


def test_log_odds_of_three_pairs_worked_out_by_hand() -> None:
    """p = 1/2 against 1/4: odds 1 and 1/3, ratio 3. p = 0.8 against 0.2: odds 4 and 1/4, ratio 16. Equal: ratio 1."""
    chosen = torch.tensor([0.5, 0.8, 0.3]).log()
    rejected = torch.tensor([0.25, 0.2, 0.3]).log()
    terms = odds_terms(chosen, rejected)
    torch.testing.assert_close(terms.log_odds_B, torch.tensor([math.log(3), math.log(16), 0.0]), rtol=1e-6, atol=1e-6)
    expected = torch.tensor([-math.log(4 / 3), -math.log(17 / 16), -math.log(2)])
    torch.testing.assert_close(terms.log_sigmoid_B, expected, rtol=1e-5, atol=1e-6)


def test_equals_trl_bit_for_bit_or_nearly_wherever_trl_is_finite() -> None:
    orpo = pytest.importorskip("trl.experimental.orpo.orpo_trainer")
    x = -torch.logspace(-7.4, 1.9, 400)
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    log1mexp(ours).sum().backward()
    orpo.log1mexp(theirs).sum().backward()
    assert ours.grad is not None
    assert theirs.grad is not None
    finite = torch.isfinite(theirs.grad)
    assert finite.sum() > 390
    torch.testing.assert_close(ours.grad[finite], theirs.grad[finite], rtol=3e-6, atol=0)
    torch.testing.assert_close(log1mexp(x), orpo.log1mexp(x), rtol=2e-6, atol=0)


def test_trl_gradient_is_nan_at_certainty_where_ours_is_not() -> None:
    orpo = pytest.importorskip("trl.experimental.orpo.orpo_trainer")
    theirs = torch.tensor(-1e-8, requires_grad=True)
    orpo.log1mexp(theirs).backward()
    assert theirs.grad is not None
    assert math.isnan(theirs.grad.item())
    assert math.isfinite(value_and_slope(-1e-8)[1])


def test_token_logps_are_log_softmax_gathered_in_float32() -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 3, 7, dtype=torch.bfloat16) * 5
    targets = torch.tensor([[1, 6, 0], [IGNORE_INDEX, 2, 3]])
    logps = token_logps(logits, targets)
    assert logps.dtype == torch.float32
    for row, position in [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2)]:
        scores = [math.exp(v) for v in logits[row, position].tolist()]
        expected = math.log(scores[int(targets[row, position])] / sum(scores))
        # One rounding of the largest logit, about 10, is what a release's kernel may differ by.
        assert logps[row, position].item() == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_masked_mean_of_a_row_without_positions_is_zero_with_zero_gradient() -> None:
    values = torch.tensor([[1.0, 3.0, 100.0], [float("nan"), 1.0, 2.0]], requires_grad=True)
    mask = torch.tensor([[True, True, False], [False, False, False]])
    means = masked_mean(values, mask)
    means.sum().backward()
    assert means.tolist() == [2.0, 0.0]
    assert values.grad is not None
    assert values.grad.tolist() == [[0.5, 0.5, 0.0], [0.0, 0.0, 0.0]]
