"""One name and one layout, whichever release and wrapper a parameter comes from."""

from __future__ import annotations

import torch
from safetensors.torch import load_file
from transformers import MixtralConfig, MixtralForCausalLM

from parity.arm.digests import digest_of
from parity.arm.names import fuse_experts, fused_name, plain_name


def test_experts_of_the_older_layout_are_those_of_the_newer(tmp_path):
    """Oracle: transformers 5 itself, which saves Mixtral in the older layout and holds it in the newer."""
    sizes = {"vocab_size": 32, "hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 1}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "num_local_experts": 3}
    mixture = MixtralForCausalLM(MixtralConfig(**sizes, **heads))
    mixture.save_pretrained(tmp_path)
    older = load_file(tmp_path / "model.safetensors")
    assert any("block_sparse_moe.experts.2.w3" in name for name in older)
    newer = dict(mixture.named_parameters())
    fused = dict(fuse_experts(older.items()))
    assert fused.keys() == newer.keys()
    assert all(torch.equal(fused[name], newer[name]) for name in newer)
    assert digest_of(fused.items()) == digest_of(newer.items())
    assert {fused_name(name) for name in older} == newer.keys()
    assert fuse_experts(newer.items()) == list(newer.items())


def test_wrappers_leave_no_trace_in_a_name():
    assert plain_name("module._orig_mod.model.layers.0.w") == "model.layers.0.w"
