"""Loads the plan's model and tokenizer, and gives adapters their start, on any release of transformers."""

from __future__ import annotations

import hashlib
from typing import Any

from .names import plain_name


def load_model(folder: str, spec: dict[str, Any], attention: str) -> Any:
    import torch
    import transformers

    config = transformers.AutoConfig.from_pretrained(folder)
    auto = "AutoModelForSeq2SeqLM" if config.is_encoder_decoder else "AutoModelForCausalLM"
    release = tuple(int(part) for part in transformers.__version__.split(".")[:2] if part.isdigit())
    dtype = {("dtype" if release >= (4, 56) else "torch_dtype"): getattr(torch, spec["dtype"])}
    load = getattr(transformers, auto).from_pretrained
    try:
        model = load(folder, attn_implementation=attention, **dtype)
    except ValueError as error:
        # Such as T5 before transformers 5, which has eager attention alone; the start event says which it was.
        if attention == "eager" or "attention" not in str(error):
            raise
        model = load(folder, attn_implementation="eager", **dtype)
    for setting, value in spec.get("model_config", {}).items():
        setattr(model.config, setting, value)
    return model


def load_tokenizer(folder: str) -> Any:
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def start_adapters(model: Any, seed: int) -> None:
    """Give adapter weights a start that depends on their names alone, never on who drew random numbers before."""
    import torch

    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" not in name:
                continue
            drawn = torch.Generator().manual_seed(
                int(hashlib.sha256(f"{seed}|{plain_name(name)}".encode()).hexdigest()[:12], 16)
            )
            parameter.copy_(torch.randn(parameter.shape, generator=drawn) * 0.02)
