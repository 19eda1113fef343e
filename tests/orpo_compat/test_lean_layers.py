"""Which real models have lean layers, and that they train as before. Oracle: the same model without them."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from orpo_compat.lean_functions import _Gated, _Linear, _RmsNorm
from orpo_compat.lean_layers import LeanLayers
from tests.orpo_compat.test_packed_path import FAMILIES, build

LEAN = ["llama", "qwen2", "qwen3", "mistral", "gemma2", "gemma3", "cohere", "cohere2", "granite", "olmo2"]
IDS = torch.arange(3, 35)[None]


def nodes(loss: Tensor) -> set[str]:
    """Name every node of a loss's graph."""
    names, waiting, seen = set(), [loss.grad_fn], set()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        names.add(type(node).__name__)
        waiting.extend(each for each, _ in node.next_functions)
    return names


def step(
    model: nn.Module, lean: LeanLayers | None = None, *, into_grad: bool = False, passes: int = 1
) -> tuple[Tensor, dict[str, Tensor | None], set[str]]:
    """Return a step's last loss, gradients and nodes."""
    model.zero_grad()
    with lean.answering(into_grad=into_grad) if lean is not None else torch.enable_grad():
        for _ in range(passes):
            loss = model(input_ids=IDS, labels=IDS).loss
            names = nodes(loss)
            loss.backward()
    return loss.detach(), {name: p.grad for name, p in model.named_parameters()}, names


@pytest.mark.parametrize("family", LEAN)
def test_a_gated_model_trains_as_before(family: str) -> None:
    model = build(family)
    lean = LeanLayers(model)
    assert lean
    expected_loss, expected, _ = step(model)
    loss, gradients, names = step(model, lean)
    assert {f"{each.__name__}Backward" for each in (_Gated, _Linear)} <= names
    assert not any("Silu" in name or "Gelu" in name for name in names)
    # Cohere's layer norms are of another kind, and stay.
    assert ("PowBackward0" in names) is (f"{_RmsNorm.__name__}Backward" not in names) is family.startswith("cohere")
    torch.testing.assert_close(loss, expected_loss, rtol=0, atol=0)
    for name, value in expected.items():
        torch.testing.assert_close(gradients[name], value, rtol=2e-5, atol=2e-6, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.parametrize("family", LEAN)
def test_gradients_of_several_passes_add_up_in_place(family: str) -> None:
    model = build(family)
    _, expected, _ = step(model, passes=3)
    _, gradients, _ = step(model, LeanLayers(model), into_grad=True, passes=3)
    for name, value in expected.items():
        torch.testing.assert_close(gradients[name], value, rtol=2e-5, atol=4e-6, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.parametrize("family", sorted(set(FAMILIES) - set(LEAN) - {"llama-tied", "llama-eager", "qwen2-window"}))
def test_other_models_are_left_alone(family: str) -> None:
    model = build(family)
    lean = LeanLayers(model)
    assert not lean
    assert all(torch.equal(a, b) for a, b in zip(grads(step(model)), grads(step(model, lean)), strict=True))


def grads(result: tuple[Tensor, dict[str, Any], set[str]]) -> list[Tensor]:
    return [gradient for gradient in result[1].values() if gradient is not None]


def test_an_adapter_on_a_gated_layer_is_not_passed_over() -> None:
    config = LoraConfig(r=2, target_modules=["gate_proj"], task_type="CAUSAL_LM")
    assert not LeanLayers(get_peft_model(build("llama"), config))


def test_adapters_on_attention_alone_leave_the_rest_lean() -> None:
    torch.manual_seed(0)
    config = LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM", init_lora_weights=False)
    model = get_peft_model(build("llama"), config)
    lean = LeanLayers(model)
    assert lean
    for ours, theirs in zip(grads(step(model, lean)), grads(step(model)), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=2e-5, atol=2e-6)


def test_a_layer_that_does_more_than_the_formula_is_not_lean() -> None:
    model = build("llama")
    plain = type(model.model.layers[0].mlp)
    model.model.layers[1].mlp.__class__ = type(
        "Scaled", (plain,), {"forward": lambda self, x: 2 * plain.forward(self, x)}
    )
    assert not LeanLayers(model)


def test_a_parametrized_weight_is_not_read_past_its_parametrization() -> None:
    model = build("llama")
    parametrizations.weight_norm(model.model.layers[0].mlp.up_proj)
    assert not LeanLayers(model)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_watched_part_is_called_as_ever(when: str) -> None:
    model, seen = build("llama"), []
    watched = model.model.layers[0].mlp.up_proj

    def watch() -> None:
        watched.register_forward_hook(lambda *_: seen.append(1))

    if when == "before":
        watch()
    lean = LeanLayers(model)
    if when == "after":
        watch()
    step(model, lean)
    assert seen == [1]


def test_other_dtypes_are_answered_by_the_model_itself() -> None:
    model = build("llama")
    lean = LeanLayers(model)
    with lean.answering(), torch.autocast("cpu", dtype=torch.bfloat16):
        names = nodes(model(input_ids=IDS, labels=IDS).loss)
    assert not any(name.startswith("_") for name in names)
    assert not LeanLayers(copy.deepcopy(model).to(torch.bfloat16))


def test_weights_put_in_later_are_the_ones_used() -> None:
    model, other = build("llama"), build("llama")
    lean = LeanLayers(model)
    for layer in other.model.layers:
        layer.mlp.up_proj.weight = nn.Parameter(layer.mlp.up_proj.weight.detach() * 3)
    for ours, theirs in zip(model.model.layers, other.model.layers, strict=True):
        ours.mlp.up_proj.weight = nn.Parameter(theirs.mlp.up_proj.weight.detach().clone())
    assert torch.equal(step(model, lean)[0], step(other)[0])


def test_the_models_own_layers_answer_again_afterwards() -> None:
    model = build("llama")
    with LeanLayers(model).answering():
        assert "forward" in vars(model.model.layers[0].mlp)
    assert not any("forward" in vars(module) for module in model.modules())
