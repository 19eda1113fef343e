"""Models load on every release, and adapters start from what both arms know."""

from __future__ import annotations

import torch
from transformers import AutoModelForCausalLM

from parity.arm.models import load_model, start_adapters
from tests.parity.arm.tiny_llama import tiny_llama


def test_a_model_without_the_attention_asked_for_is_loaded_with_eager(tmp_path, monkeypatch):
    tiny_llama().save_pretrained(tmp_path)
    real = AutoModelForCausalLM.from_pretrained

    def without_sdpa(folder, *, attn_implementation, **kwargs):
        if attn_implementation == "sdpa":
            raise ValueError("LlamaForCausalLM does not support an attention implementation through sdpa yet")
        return real(folder, attn_implementation=attn_implementation, **kwargs)

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", without_sdpa)
    loaded = load_model(str(tmp_path), {"dtype": "float32"}, "sdpa")
    assert loaded.config._attn_implementation == "eager"


def test_adapters_start_from_their_names_alone():
    def adapters():
        module = torch.nn.Module()
        module.lora_A = torch.nn.Linear(3, 2, bias=False)
        module.other = torch.nn.Linear(3, 2)
        return module

    first, second = adapters(), adapters()
    other = first.other.weight.clone()
    start_adapters(first, 1)
    torch.rand(17)
    start_adapters(second, 1)
    assert torch.equal(first.lora_A.weight, second.lora_A.weight)
    assert torch.equal(first.other.weight, other)
    start_adapters(second, 2)
    assert not torch.equal(first.lora_A.weight, second.lora_A.weight)
