"""A perturbation is legitimate: the same function where tokens are real, rounded otherwise."""

from __future__ import annotations

import math

import pytest
import torch
from transformers import LlamaForCausalLM

from parity.arm.perturbations import jitter, nudge, row_by_row, split_forward
from tests.parity.arm.tiny_llama import tiny_llama


@pytest.fixture
def model() -> LlamaForCausalLM:
    return tiny_llama()


BATCH = {
    "input_ids": torch.tensor([[1, 5, 6, 7], [1, 8, 0, 0], [1, 9, 10, 0], [1, 2, 3, 4]]),
    "attention_mask": torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]]),
}


@pytest.mark.parametrize("perturb", [split_forward, row_by_row])
def test_a_perturbed_forward_is_the_same_function_where_tokens_are_real(model, perturb):
    plain = model(**BATCH, use_cache=False).logits
    perturb(model)
    again = model(BATCH["input_ids"], attention_mask=BATCH["attention_mask"], use_cache=False).logits
    real = BATCH["attention_mask"].bool()
    assert torch.allclose(plain[real], again[real], atol=1e-6)


@pytest.mark.parametrize("perturb", [split_forward, row_by_row])
def test_a_routers_loss_is_not_computed_in_parts(model, perturb):
    model.config.output_router_logits = True
    with pytest.raises(RuntimeError, match="whole batch"):
        perturb(model)


def test_a_nudge_moves_one_weight_by_one_unit_in_the_last_place(model):
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    name = nudge(model)
    moved = {key: (p - before[key]).abs().sum().item() for key, p in model.named_parameters()}
    assert [key for key, amount in moved.items() if amount] == [name]
    assert moved[name] == pytest.approx(2.0**-23, rel=1e-3)


def test_a_jitter_moves_every_gradient_that_is_a_sum_by_eight_units_and_no_other():
    weight = torch.nn.Parameter(torch.zeros(2, 3))
    weight.grad = torch.tensor([[3.0, 0.0, 1e-9], [-4.0, 0.0, 2e-3]])
    before = weight.grad.clone()
    jitter([("w", weight), ("frozen", torch.nn.Parameter(torch.zeros(2)))], step=0)
    moved = weight.grad - before
    expected = 8 * 2.0**-23 * 5.0 / math.sqrt(6)  # of the root mean square: the norm is 5
    assert moved[before == 0].tolist() == [0.0, 0.0]
    assert moved[before != 0].abs().tolist() == pytest.approx([expected] * 4, rel=0.1)
    again = torch.nn.Parameter(torch.zeros(2, 3))
    again.grad = before.clone()
    jitter([("w", again)], step=0)
    assert torch.equal(again.grad, weight.grad)
