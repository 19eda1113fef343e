"""Oracles: torch's own bfloat16 layers within bfloat16's rounding, and the definition in float64."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from orpo_compat import wide_products
from orpo_compat.wide_products import prefers_float32, wide_linears, widened
from tests.conftest import tiny_llama
from tests.orpo_compat.runs import run as run_trainer

INTEL, AMD = "vendor_id: GenuineIntel\nflags: avx512f", "vendor_id: AuthenticAMD\nflags: avx512f"


@pytest.fixture(autouse=True)
def on_such_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wide_products, "_float32_is_faster", lambda: True)


@pytest.mark.parametrize(
    ("flags", "machine", "expected"),
    [
        (INTEL, "x86_64", True),
        (INTEL + " avx512_bf16", "x86_64", True),
        (INTEL + " avx512_bf16 amx_bf16", "x86_64", False),
        (AMD, "x86_64", True),
        (AMD + " avx512_bf16", "x86_64", False),
        ("Features: asimd bf16", "aarch64", False),
        ("Intel64 Family 6", "AMD64", True),
    ],
)
def test_float32_is_preferred_where_bfloat16_units_are_slow_or_missing(
    flags: str, machine: str, expected: bool
) -> None:
    assert prefers_float32(flags, machine) is expected


def test_widening_rounds_to_bfloat16_first() -> None:
    value = torch.tensor([1.0 + 2**-9 + 2**-12])
    low = torch.zeros((), dtype=torch.bfloat16)
    assert widened(value, like=low).dtype == torch.float32
    assert widened(value, like=low).item() == value.bfloat16().item() != value.item()
    assert widened(value) is value


def layer(dtype: torch.dtype, bias: bool = True) -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(48, 24, bias=bias).to(dtype)


def run(model: nn.Module, inputs: Tensor, *, wide: bool, autocast: bool) -> list[Tensor]:
    """Return the output and the gradients of the inputs and of every parameter."""
    inputs = inputs.clone().requires_grad_()
    with wide_linears(model, "cpu", wide), torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        output = model(inputs)
        (output.float() ** 2).sum().backward()
    grads = [inputs.grad, *(p.grad for p in model.parameters())]
    model.zero_grad()
    return [output, *(grad for grad in grads if grad is not None)]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("weights", "autocast"), [(torch.float32, True), (torch.bfloat16, False)])
def test_values_and_gradients_equal_torch_s_to_bfloat16_s_rounding(
    weights: torch.dtype, autocast: bool, bias: bool
) -> None:
    inputs = torch.randn(5, 16, 48, generator=torch.Generator().manual_seed(1)).to(weights)
    model = layer(weights, bias)
    ours, theirs = (run(model, inputs, wide=wide, autocast=autocast) for wide in (True, False))
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.dtype == other.dtype
        mine, other = mine.detach().float(), other.detach().float()
        assert float((mine - other).abs().max()) <= 2**-7 * float(other.abs().max())


def test_the_output_is_the_exact_product_rounded_once() -> None:
    inputs, model = torch.randn(40, 48).bfloat16(), layer(torch.float32, bias=False)
    with wide_linears(model, "cpu", True), torch.autocast("cpu", dtype=torch.bfloat16):
        output = model(inputs)
    exact = inputs.double() @ model.weight.bfloat16().double().T
    assert output.dtype == torch.bfloat16
    # Within float32's sum of the nearest bfloat16.
    assert float((output.double() - exact).abs().max()) <= float(exact.abs().max()) * (2**-9 + 2**-20)


@pytest.mark.parametrize(
    ("model", "inputs", "autocast"),
    [
        (layer(torch.float32), torch.randn(40, 48), False),
        (layer(torch.bfloat16), torch.randn(3, 48).bfloat16(), False),
        (layer(torch.float64), torch.randn(40, 48, dtype=torch.float64), False),
    ],
    ids=["float32", "few rows", "float64"],
)
def test_other_products_are_left_to_torch(
    monkeypatch: pytest.MonkeyPatch, model: nn.Linear, inputs: Tensor, autocast: bool
) -> None:
    monkeypatch.setattr(wide_products, "_operator", None)
    wide, plain = (run(model, inputs, wide=wanted, autocast=autocast) for wanted in (True, False))
    assert all(torch.equal(a, b) for a, b in zip(wide, plain, strict=True))


def test_the_layers_have_their_own_forward_again_afterwards() -> None:
    model = nn.Sequential(layer(torch.bfloat16))
    with wide_linears(model, "cpu", True):
        assert "forward" in vars(model[0])
    assert "forward" not in vars(model[0])


@pytest.mark.parametrize(
    "checkpointing",
    [{"gradient_checkpointing": False}, {}, {"gradient_checkpointing_kwargs": {"use_reentrant": False}}],
    ids=["none", "default", "whole layers"],
)
@pytest.mark.parametrize("packing", ["always", "never"])
def test_training_in_bfloat16_gives_the_same_steps_either_way(
    tmp_path: Path, tokenizer: Any, pairs: Any, monkeypatch: pytest.MonkeyPatch, checkpointing: Any, packing: str
) -> None:
    runs = {}
    calls = []
    honest = wide_products._operator
    monkeypatch.setattr(wide_products, "_operator", lambda *args: (calls.append(1), honest(*args))[1])
    for wide in (True, False):
        monkeypatch.setattr(wide_products, "_float32_is_faster", lambda wide=wide: wide)
        runs[wide] = run_trainer(
            "ours", tmp_path, tiny_llama(), tokenizer, pairs, bf16=True, packing=packing, max_steps=2, **checkpointing
        )
        assert (len(calls) > 0) is wide
        calls.clear()
    ours, theirs = ([log["loss"] for log in runs[wide].logs if "loss" in log] for wide in (True, False))
    assert len(ours) == 2
    assert ours == pytest.approx(theirs, rel=5e-3)
    for name, grad in runs[True].recorder.grads[0].items():
        scale = float(runs[False].recorder.grads[0][name].norm())
        assert float((grad - runs[False].recorder.grads[0][name]).norm()) <= 0.05 * scale
