"""The blockwise head against a dense one: torch's log_softmax over the full logits, differentiated by autograd."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from orpo_compat import head
from orpo_compat.head import LogitRule, block_width, token_logps

ROWS, SIZE, VOCABULARY = 13, 8, 1500
RULES = [LogitRule(), LogitRule(scale=0.25), LogitRule(softcap=3.0), LogitRule(scale=0.5, softcap=2.0)]


@pytest.fixture(autouse=True)
def _several_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(head._BLOCK_ELEMENTS, "cpu", 64 * ROWS)
    monkeypatch.setattr(head, "_NARROWEST_BLOCK", 64)
    assert block_width(ROWS, "cpu") == 64


def problem(*, bias: bool, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor | None, Tensor, Tensor]:
    torch.manual_seed(0)
    hidden = torch.randn(ROWS, SIZE, dtype=dtype)
    weight = torch.randn(VOCABULARY, SIZE, dtype=dtype)
    targets = torch.randint(0, VOCABULARY, (ROWS,))
    # The first and last entries and a repeated target are where an off-by-one in the blocks would show.
    targets[:4] = torch.tensor([0, VOCABULARY - 1, 64, 64])
    return hidden, weight, torch.randn(VOCABULARY, dtype=dtype) if bias else None, targets, torch.randn(ROWS)


def dense_logits(hidden: Tensor, weight: Tensor, bias: Tensor | None, rule: LogitRule) -> Tensor:
    logits = torch.nn.functional.linear(hidden, weight, bias).float() * rule.scale
    return logits if rule.softcap is None else rule.softcap * torch.tanh(logits / rule.softcap)


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("kept_bytes", [0, 4 * 64 * ROWS * 3, 1 << 30])
def test_values_and_gradients_equal_the_dense_head(
    rule: LogitRule, bias: bool, frozen: bool, kept_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(head._KEPT_BYTES, "cpu", kept_bytes)
    hidden, weight, offset, targets, upstream = problem(bias=bias)
    results = []
    for ours in (True, False):
        leaves = [hidden.clone().requires_grad_(), weight.clone().requires_grad_(not frozen)]
        if offset is not None:
            leaves.append(offset.clone().requires_grad_(not frozen))
        extra = leaves[2] if bias else None
        if ours:
            logps = token_logps(leaves[0], leaves[1], extra, targets, rule=rule).logps_M
        else:
            logits = dense_logits(leaves[0], leaves[1], extra, rule)
            logps = logits.log_softmax(-1).gather(1, targets[:, None])[:, 0]
        logps.backward(upstream)
        results.append((logps.detach(), [leaf.grad for leaf in leaves]))
    (our_logps, our_grads), (their_logps, their_grads) = results
    torch.testing.assert_close(our_logps, their_logps, rtol=1e-5, atol=2e-5)
    for our_grad, their_grad in zip(our_grads, their_grads, strict=True):
        assert (our_grad is None) == (their_grad is None)
        if our_grad is not None:
            torch.testing.assert_close(our_grad, their_grad, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_means_are_those_of_the_full_logits(rule: LogitRule) -> None:
    hidden, weight, offset, targets, _ = problem(bias=True)
    means = token_logps(hidden, weight, offset, targets, rule=rule, with_means=True).logit_means_M
    torch.testing.assert_close(means, dense_logits(hidden, weight, offset, rule).mean(-1), rtol=1e-5, atol=1e-5)


def test_huge_logits_neither_overflow_nor_vanish() -> None:
    hidden, weight, _, targets, _ = problem(bias=False)
    scaled = hidden * 1e4
    logps = token_logps(scaled, weight, None, targets).logps_M
    expected = (scaled.double() @ weight.double().T).log_softmax(-1).gather(1, targets[:, None])[:, 0]
    torch.testing.assert_close(logps.double(), expected, rtol=1e-5, atol=1e-2)


def test_a_frozen_head_walks_the_vocabulary_once(monkeypatch: pytest.MonkeyPatch) -> None:
    walks = []
    blocks = head._blocks
    monkeypatch.setattr(head, "_blocks", lambda *args: walks.append(1) or blocks(*args))
    hidden, weight, _, targets, upstream = problem(bias=False)
    for frozen, expected in ((True, 1), (False, 2)):
        walks.clear()
        leaf = hidden.clone().requires_grad_()
        token_logps(leaf, weight.clone().requires_grad_(not frozen), None, targets).logps_M.backward(upstream)
        assert len(walks) == expected


def test_no_block_reaches_the_full_vocabulary() -> None:
    sizes = []
    hidden, weight, _, targets, _ = problem(bias=False)
    for _, _, logits in head._blocks(hidden, weight, None):
        sizes.append(logits.shape[1])
    assert max(sizes) == 64
    assert sum(sizes) == VOCABULARY
    assert len(targets) == ROWS


def test_autocast_rounds_the_products_and_sums_in_float32() -> None:
    hidden, weight, _, targets, upstream = problem(bias=False)
    leaf, kernel = hidden.clone().requires_grad_(), weight.clone().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logps = token_logps(leaf, kernel, None, targets).logps_M
    low = torch.nn.functional.linear(hidden.bfloat16(), weight.bfloat16()).float()
    expected = low.log_softmax(-1).gather(1, targets[:, None])[:, 0]
    assert logps.dtype == torch.float32
    torch.testing.assert_close(logps, expected, rtol=1e-5, atol=1e-5)
    logps.backward(upstream)
    assert leaf.grad is not None
    assert leaf.grad.dtype == torch.float32
    assert kernel.grad is not None
    assert kernel.grad.dtype == torch.float32


def test_without_gradients_nothing_is_kept_for_backward() -> None:
    hidden, weight, _, targets, _ = problem(bias=False)
    with torch.no_grad():
        logps = token_logps(hidden.requires_grad_(), weight.requires_grad_(), None, targets).logps_M
    assert logps.grad_fn is None


def test_the_weights_gradient_can_be_added_to_what_is_there() -> None:
    hidden, weight, _, targets, upstream = problem(bias=False)
    expected = weight.clone().requires_grad_()
    token_logps(hidden, expected, None, targets).logps_M.backward(upstream)
    assert expected.grad is not None
    ours = weight.clone().requires_grad_()
    for passes in (1, 2):
        token_logps(hidden.requires_grad_(), ours, None, targets, into_grad=True).logps_M.backward(upstream)
        assert ours.grad is not None
        torch.testing.assert_close(ours.grad, passes * expected.grad)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logps = token_logps(hidden, ours, None, targets, into_grad=True).logps_M
    logps.backward(upstream)
    torch.testing.assert_close(ours.grad, 3 * expected.grad, rtol=0.05, atol=0.3)


def test_kept_logits_stay_within_their_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    hidden, weight, _, targets, _ = problem(bias=False)
    monkeypatch.setitem(head._KEPT_BYTES, "cpu", 4 * 64 * ROWS * 3 + 1)
    saved: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: saved.append(tensor) or tensor, lambda tensor: tensor):
        token_logps(hidden.requires_grad_(), weight.requires_grad_(), None, targets)
    assert sum(tensor.shape == (ROWS, 64) for tensor in saved) == 3


@pytest.mark.parametrize("vocabulary", [1 << 15, 1 << 16, 1 << 17])
def test_what_is_kept_for_the_backward_walk_does_not_grow_with_the_vocabulary(vocabulary: int) -> None:
    rows, kept = 64, []
    hidden = torch.randn(rows, 4, requires_grad=True)
    weight = torch.randn(vocabulary, 4, requires_grad=True)

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        token_logps(hidden, weight, None, torch.arange(rows))
    logits = [tensor for tensor in kept if tensor.dim() == 2 and len(tensor) == rows and tensor.shape[1] > 4]
    assert sum(tensor.numel() for tensor in logits) == rows * (1 << 15)
