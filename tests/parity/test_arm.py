"""The driver stands alone, its perturbations are legitimate, and what it notes is what happened."""

from __future__ import annotations

import ast
import json
import math
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, MixtralConfig, MixtralForCausalLM

from parity import arm
from parity.extras import measure_hub, measure_wandb
from parity.plan import make_plan
from parity.reference import Reference
from parity.run import Request
from parity.scenarios import make_spec

SOURCE = Path(arm.__file__).read_text(encoding="utf-8")


def test_the_driver_parses_on_the_oldest_python_a_reference_may_have():
    ast.parse(SOURCE, feature_version=(3, 8))


def test_the_driver_imports_nothing_but_the_standard_library_at_module_level():
    modules = set()
    for node in ast.parse(SOURCE).body:
        if isinstance(node, ast.Import):
            modules |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            modules.add(node.module.split(".")[0])
    assert modules <= set(sys.stdlib_module_names)


def test_the_driver_names_nothing_of_ours():
    imported = [node for node in ast.walk(ast.parse(SOURCE)) if isinstance(node, (ast.Import, ast.ImportFrom))]
    names = {getattr(node, "module", None) or node.names[0].name for node in imported}
    assert not {name for name in names if name.split(".")[0] in ("parity", "orpo_compat", "codemods")}


@pytest.fixture
def model():
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=64, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=32,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


BATCH = {
    "input_ids": torch.tensor([[1, 5, 6, 7], [1, 8, 0, 0], [1, 9, 10, 0], [1, 2, 3, 4]]),
    "attention_mask": torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]]),
}


@pytest.mark.parametrize("perturb", [arm.split_forward, arm.row_by_row])
def test_a_perturbed_forward_is_the_same_function_where_tokens_are_real(model, perturb):
    plain = model(**BATCH, use_cache=False).logits
    perturb(model)
    again = model(BATCH["input_ids"], attention_mask=BATCH["attention_mask"], use_cache=False).logits
    real = BATCH["attention_mask"].bool()
    assert torch.allclose(plain[real], again[real], atol=1e-6)


@pytest.mark.parametrize("perturb", [arm.split_forward, arm.row_by_row])
def test_a_routers_loss_is_not_computed_in_parts(model, perturb):
    model.config.output_router_logits = True
    with pytest.raises(RuntimeError, match="whole batch"):
        perturb(model)


def test_a_nudge_moves_one_weight_by_one_unit_in_the_last_place(model):
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    name = arm.nudge(model)
    moved = {key: (p - before[key]).abs().sum().item() for key, p in model.named_parameters()}
    assert [key for key, amount in moved.items() if amount] == [name]
    assert moved[name] == pytest.approx(2.0**-23, rel=1e-3)


def test_a_model_without_the_attention_asked_for_is_loaded_with_eager(tmp_path, monkeypatch, model):
    model.save_pretrained(tmp_path)
    real = AutoModelForCausalLM.from_pretrained

    def without_sdpa(folder, *, attn_implementation, **kwargs):
        if attn_implementation == "sdpa":
            raise ValueError("LlamaForCausalLM does not support an attention implementation through sdpa yet")
        return real(folder, attn_implementation=attn_implementation, **kwargs)

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", without_sdpa)
    loaded = arm.load_model(str(tmp_path), {"dtype": "float32"}, "sdpa")
    assert loaded.config._attn_implementation == "eager"


def test_a_jitter_moves_every_gradient_that_is_a_sum_by_eight_units_and_no_other():
    weight = torch.nn.Parameter(torch.zeros(2, 3))
    weight.grad = torch.tensor([[3.0, 0.0, 1e-9], [-4.0, 0.0, 2e-3]])
    before = weight.grad.clone()
    arm.jitter([("w", weight), ("frozen", torch.nn.Parameter(torch.zeros(2)))], step=0)
    moved = weight.grad - before
    expected = 8 * 2.0**-23 * 5.0 / math.sqrt(6)  # of the root mean square: the norm is 5
    assert moved[before == 0].tolist() == [0.0, 0.0]
    assert moved[before != 0].abs().tolist() == pytest.approx([expected] * 4, rel=0.1)
    again = torch.nn.Parameter(torch.zeros(2, 3))
    again.grad = before.clone()
    arm.jitter([("w", again)], step=0)
    assert torch.equal(again.grad, weight.grad)


def test_adapters_start_from_their_names_alone():
    def adapters():
        module = torch.nn.Module()
        module.lora_A = torch.nn.Linear(3, 2, bias=False)
        module.other = torch.nn.Linear(3, 2)
        return module

    first, second = adapters(), adapters()
    other = first.other.weight.clone()
    arm.start_adapters(first, 1)
    torch.rand(17)
    arm.start_adapters(second, 1)
    assert torch.equal(first.lora_A.weight, second.lora_A.weight)
    assert torch.equal(first.other.weight, other)
    arm.start_adapters(second, 2)
    assert not torch.equal(first.lora_A.weight, second.lora_A.weight)


@given(st.integers(1, 3000), st.integers(1, 400))
def test_a_sample_is_never_larger_than_asked_and_of_the_tensor(size, limit):
    tensor = torch.arange(size, dtype=torch.float32)
    sample = arm.sample_of(tensor, limit)
    assert 0 < len(sample) <= max(limit, size if size <= limit else limit)
    assert set(sample.tolist()) <= set(tensor.tolist())
    if size <= limit:
        assert torch.equal(sample, tensor)


def test_a_sample_is_a_copy():
    tensor = torch.ones(4)
    sample = arm.sample_of(tensor, 0)
    tensor.zero_()
    assert sample.tolist() == [1.0] * 4


def test_a_digest_sees_names_values_and_shapes():
    base = arm.digest_of([("a", torch.ones(4))])
    assert base == arm.digest_of([("a", torch.ones(4))])
    others = [("b", torch.ones(4)), ("a", torch.ones(2, 2)), ("a", -torch.ones(4)), ("a", torch.ones(4).double())]
    assert base not in {arm.digest_of([other]) for other in others}
    pair = [("a", torch.zeros(1)), ("b", torch.ones(1))]
    assert arm.digest_of(pair) == arm.digest_of(pair[::-1])


def test_experts_of_the_older_layout_are_those_of_the_newer(tmp_path):
    """Oracle: transformers 5 itself, which saves Mixtral in the older layout and holds it in the newer."""
    sizes = {"vocab_size": 32, "hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 1}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "num_local_experts": 3}
    mixture = MixtralForCausalLM(MixtralConfig(**sizes, **heads))
    mixture.save_pretrained(tmp_path)
    older = load_file(tmp_path / "model.safetensors")
    assert any("block_sparse_moe.experts.2.w3" in name for name in older)
    newer = dict(mixture.named_parameters())
    fused = dict(arm.fuse_experts(older.items()))
    assert fused.keys() == newer.keys()
    assert all(torch.equal(fused[name], newer[name]) for name in newer)
    assert arm.digest_of(fused.items()) == arm.digest_of(newer.items())
    assert {arm.fused_name(name) for name in older} == newer.keys()
    assert arm.fuse_experts(newer.items()) == list(newer.items())


def test_wrappers_leave_no_trace_in_a_name():
    assert arm.plain_name("module._orig_mod.model.layers.0.w") == "model.layers.0.w"


def test_rows_are_noted_without_their_padding():
    batch = {
        "chosen_input_ids": torch.tensor([[1, 2, 3], [1, 4, 0]]),
        "chosen_attention_mask": torch.tensor([[1, 1, 1], [1, 1, 0]]),
        "chosen_labels": torch.tensor([[-100, 2, 3], [-100, 4, -100]]),
        "rejected_input_ids": torch.tensor([[1, 9, 8], [1, 7, 6]]),
        "rejected_attention_mask": torch.ones(2, 3, dtype=torch.long),
        "rejected_labels": torch.tensor([[-100, 9, 8], [-100, 7, 6]]),
    }
    pairs, padded = arm.rows_of(batch)
    assert padded
    assert pairs[1]["chosen"] == [1, 4]
    assert pairs[1]["chosen_labels"] == [-100, 4]
    full = {name: tensor[:1] for name, tensor in batch.items()}
    assert arm.rows_of(full)[1] is False


def test_only_single_numbers_count_as_metrics():
    found = arm.scalars({"a": torch.tensor(2.0), "b": torch.ones(2), "c": 3, "d": True, "e": "x", "f": math.inf})
    assert found == {"a": 2.0, "c": 3.0, "f": math.inf}


def test_settings_that_a_release_lacks_are_told_and_old_spellings_are_used():
    class Config:
        def __init__(self, evaluation_strategy="no", beta=0.1):
            self.values = {"evaluation_strategy": evaluation_strategy, "beta": beta}

    config, refused = arm.make_config(Config, {"eval_strategy": "steps", "beta": 0.5, "max_prompt_length": 3})
    assert config.values == {"evaluation_strategy": "steps", "beta": 0.5}
    assert refused == {"max_prompt_length": 3}


def test_a_peak_is_measured_within_its_phase(tmp_path):
    events = arm.Events(str(tmp_path / "events.jsonl"))
    with arm.phase(events, "large"):
        block = bytearray(64 << 20)
        block[::4096] = b"x" * len(block[::4096])
        del block
    with arm.phase(events, "small"):
        pass
    events.close()
    large, small = (json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines())
    if not large["resettable"]:
        pytest.skip("this system cannot reset the high-water mark")
    assert large["rss_peak"] - large["rss_before"] > 50 << 20
    assert small["rss_peak"] < large["rss_peak"]


@pytest.mark.slow
def test_a_push_reaches_the_stand_in_with_weights_and_model_card(tmp_path):
    spec = make_spec("base", steps=1)
    make_plan(spec, tmp_path / "plan")
    found = measure_hub(Request(spec=spec, reference=Reference(Path("x"), {}, ""), folder=tmp_path))
    assert found["ours"] is True, found["said"]
    assert "model.safetensors" in found["said"]


@pytest.mark.slow
def test_wandb_is_given_the_metrics_where_it_is_installed(tmp_path):
    pytest.importorskip("wandb")
    spec = make_spec("base", steps=1)
    make_plan(spec, tmp_path / "plan")
    found = measure_wandb(Request(spec=spec, reference=Reference(Path("x"), {}, ""), folder=tmp_path))
    assert found["ours"] is True, found["said"]


def test_wandb_is_not_claimed_where_it_is_not_installed(tmp_path, monkeypatch):
    monkeypatch.setattr("parity.extras.importlib.util.find_spec", lambda name: None)
    assert measure_wandb(None)["ours"] is None
