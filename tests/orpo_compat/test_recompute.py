"""Selective recomputation: the same gradients bit for bit, less kept, and no matrix product computed twice."""

from __future__ import annotations

import warnings
from collections import Counter
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from orpo_compat.recompute import (
    fits_easily,
    is_selective,
    kept_bytes_per_token,
    lighten,
    selective,
    stop_recomputing,
)
from orpo_compat.tiny_model import tiny_model

MODES: dict[str, dict[str, Any] | None] = {
    "none": None,
    "layers": {"use_reentrant": False},
    "selective": {"use_reentrant": False, "context_fn": selective},
}


class Counting(TorchDispatchMode):
    """Counts the operations that reach the kernels."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.calls[func._schema.name] += 1
        return func(*args, **(kwargs or {}))


def run(mode: str) -> tuple[dict[str, torch.Tensor], Counter[str]]:
    """Return the gradients of one step and its operations."""
    model = tiny_model().train()
    if MODES[mode] is not None:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs=MODES[mode])
    ids = torch.arange(3, 67)[None]
    with Counting() as counting:
        model(input_ids=ids, labels=ids).loss.backward()
    return {name: p.grad for name, p in model.named_parameters()}, counting.calls


def test_gradients_are_the_same_bit_for_bit() -> None:
    expected = run("none")[0]
    for mode in ("layers", "selective"):
        found = run(mode)[0]
        assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_only_whole_layers_compute_products_twice() -> None:
    products = {mode: run(mode)[1]["aten::mm"] for mode in MODES}
    assert products["selective"] == products["none"] < products["layers"]
    attention = "aten::_scaled_dot_product_flash_attention_for_cpu"
    assert run("selective")[1][attention] == run("none")[1][attention]


def test_what_lies_between_the_products_is_computed_again() -> None:
    assert run("selective")[1]["aten::silu"] == 2 * run("none")[1]["aten::silu"]


def test_the_estimate_counts_every_linear_but_the_head() -> None:
    model = tiny_model()
    config: Any = model.config
    size, width = config.hidden_size, config.intermediate_size
    key_value = size * config.num_key_value_heads // config.num_attention_heads
    per_layer = size + 2 * key_value + size + 2 * width + size
    assert kept_bytes_per_token(model, 2) == 2 * config.num_hidden_layers * per_layer


@pytest.mark.parametrize(("tokens", "fits"), [(1, True), (10**12, False)])
def test_a_pass_fits_until_it_does_not(tokens: int, fits: bool) -> None:
    assert fits_easily(tiny_model(), tokens, 4) is fits


def test_switching_it_on_and_off_uses_no_name_that_transformers_deprecates() -> None:
    model = tiny_model().train()
    with warnings.catch_warnings():
        warnings.simplefilter("error", FutureWarning)
        assert lighten(model, 1, itemsize=4)
        assert is_selective(model) is True
        stop_recomputing(model)
    assert is_selective(model) is None


def test_models_that_only_know_the_older_names_are_switched_by_them() -> None:
    """As older transformers', and as models of one's own."""

    class Older:
        said = ""

        def gradient_checkpointing_disable(self) -> None:
            self.said = "off"

    model: Any = Older()
    stop_recomputing(model)
    assert model.said == "off"
