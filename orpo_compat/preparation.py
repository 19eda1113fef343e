"""Makes a model ready to train: loads it, attaches the adapter, switches dropout off.

Does what TRL 1.16 does, in its order (the adapter's random initialisation depends on it), and says what it changes.
"""

from __future__ import annotations

import inspect
import logging
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from orpo_compat.errors import ModelError
from orpo_compat.model_folder import finish_move_for_reading

logger = logging.getLogger(__name__)

QUANTIZED_FLAGS = ("is_loaded_in_8bit", "is_loaded_in_4bit")

SMALLEST_FLOAT16 = 2.0**-24
FLOAT16_EPSILON = 1e-4


def prepare_model(model: nn.Module | str, config: Any, peft_config: Any) -> tuple[nn.Module, bool]:
    """Bring a model, or the name of one, to the state training starts from.

    Returns:
        The model, and whether its forward needs autocast (see ``attach_adapter``).

    Raises:
        ValueError: ``model_init_kwargs`` beside a model that is already built.
    """
    if isinstance(model, str):
        model = load_model(model, config.model_init_kwargs, config.trust_remote_code)
    elif config.model_init_kwargs is not None:
        raise ValueError(
            f"model_init_kwargs is given but the model already is a {type(model).__name__}; pass the model's name, or "
            "load it with these keywords yourself"
        )
    needs_autocast = False
    if peft_config is not None:
        model, needs_autocast = attach_adapter(model, peft_config, config)
    elif config.gradient_checkpointing:
        require_input_grads(model)
    disable_dropout(model, config.disable_dropout)
    keep_epsilon_above_zero(model, config)
    return model, needs_autocast


def load_model(name: str, init_kwargs: dict[str, Any] | None, trust_remote_code: bool) -> nn.Module:
    """Load a causal or sequence-to-sequence model by folder or hub name.

    Args:
        name: What ``from_pretrained`` accepts.
        init_kwargs: ``ORPOConfig.model_init_kwargs``, never modified. The dtype may be called ``dtype`` or, as
            before TRL 0.23, ``torch_dtype``, and be a name.
        trust_remote_code: Passed on unless the keywords say otherwise.

    Raises:
        ModelError: the name is that of a folder that is not there, or holds no model.
        ValueError: the dtype names no torch dtype.
    """
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM

    finish_move_for_reading(Path(name))
    _require_folder(name)
    kwargs = {"trust_remote_code": trust_remote_code, **(init_kwargs or {})}
    legacy = kwargs.pop("torch_dtype", None)
    if init_kwargs is not None:
        kwargs["dtype"] = resolve_dtype(kwargs.get("dtype", legacy if legacy is not None else "auto"))
    hub_keys = {key: kwargs[key] for key in ("revision", "trust_remote_code", "token", "cache_dir") if key in kwargs}
    config = AutoConfig.from_pretrained(name, **hub_keys)
    loader = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    model: nn.Module = loader.from_pretrained(name, **kwargs)
    return model


def _require_folder(name: str) -> None:
    """Say what is wrong with a folder; transformers takes it for a hub name, or says what it misses only."""
    folder = Path(name)
    if not folder.is_dir():
        if name.startswith((".", "/", "~")):
            raise ModelError(f"model {name!r}: no such folder.\n  Next: give a folder with a config.json, or org/name.")
        return
    if (folder / "config.json").is_file():
        return
    if (folder / "adapter_config.json").is_file():
        loader = "AutoPeftModelForCausalLM.from_pretrained(..., is_trainable=True)"
        how = f"it holds an adapter only.\n  Next: load it with {loader}"
    else:
        held = ", ".join(sorted(path.name for path in folder.iterdir())[:8]) or "nothing"
        how = f"it has no config.json; it holds {held}.\n  Next: give the folder that save_pretrained wrote"
    raise ModelError(f"model {name!r}: {how}.")


def resolve_dtype(dtype: str | torch.dtype | None) -> str | torch.dtype | None:
    """Turn ``"bfloat16"``, ``"torch.bfloat16"`` or a dtype into what ``from_pretrained`` takes; "auto" stays."""
    if not isinstance(dtype, str) or dtype == "auto":
        return dtype
    resolved = getattr(torch, dtype.removeprefix("torch."), None)
    if not isinstance(resolved, torch.dtype):
        raise ValueError(
            f"model_init_kwargs['dtype'] must be 'auto' or name a torch dtype such as 'bfloat16', got {dtype!r}"
        )
    return resolved


def is_quantized(model: nn.Module) -> bool:
    """Tell whether bitsandbytes loaded the model in 4 or 8 bits."""
    return any(getattr(model, flag, False) for flag in QUANTIZED_FLAGS)


def attach_adapter(model: nn.Module, peft_config: Any, args: Any) -> tuple[nn.Module, bool]:
    """Wrap the model in a PEFT adapter.

    Returns:
        The wrapped model, and whether its norms and embeddings were cast for 4-bit training under bf16, in which
        case the forward needs autocast.

    Raises:
        TypeError: ``peft_config`` is no ``PeftConfig``.
        ValueError: the model already carries an adapter.
    """
    from peft import PeftConfig, PeftModel, get_peft_model, prepare_model_for_kbit_training

    if not isinstance(peft_config, PeftConfig):
        raise TypeError(f"peft_config must be a peft.PeftConfig such as LoraConfig, got {type(peft_config).__name__}")
    if isinstance(model, PeftModel):
        raise ValueError(
            "the model already is a PeftModel and peft_config asks for another adapter; pass one of the two, or "
            "merge_and_unload() the first adapter before"
        )
    if is_quantized(model):
        options: dict[str, Any] = {"use_gradient_checkpointing": args.gradient_checkpointing}
        if "gradient_checkpointing_kwargs" in inspect.signature(prepare_model_for_kbit_training).parameters:
            options["gradient_checkpointing_kwargs"] = args.gradient_checkpointing_kwargs
        model = prepare_model_for_kbit_training(model, **options)
    elif args.gradient_checkpointing:
        require_input_grads(model)
    wrapped = get_peft_model(model, peft_config, **_adapter_dtype_options(model, args))
    casts = bool(args.bf16 and getattr(wrapped, "is_loaded_in_4bit", False))
    if casts:
        cast_for_4bit_bf16(wrapped)
    return wrapped, casts


def _adapter_dtype_options(model: nn.Module, args: Any) -> dict[str, Any]:
    # ZeRO-3 gathers parameters of one dtype into one buffer: a float32 adapter on a bf16 base fails there
    # (TRL issue 6089), so the adapter keeps the base's dtype.
    plugin = getattr(args, "deepspeed_plugin", None)
    if plugin is not None and plugin.zero_stage == 3 and not is_quantized(model):
        return {"autocast_adapter_dtype": False}
    return {}


def require_input_grads(model: nn.Module) -> None:
    """Let gradients flow into checkpointed blocks although the embedding is frozen."""
    if hasattr(model, "enable_input_require_grads"):
        cast(Any, model).enable_input_require_grads()
        return
    embedding: nn.Module = cast(Any, model).get_input_embeddings()
    embedding.register_forward_hook(lambda _module, _inputs, output: output.requires_grad_(True))


def cast_for_4bit_bf16(model: nn.Module) -> None:
    """Keep norms in float32, embeddings and head in bf16 (TRL's ``peft_module_casting_to_bf16``, 0.9.2 on)."""
    for name, module in model.named_modules():
        if isinstance(module, nn.LayerNorm) or "norm" in name:
            module.to(torch.float32)
        elif any(part in name for part in ("lm_head", "embed_tokens", "wte", "wpe")):
            weight = getattr(module, "weight", None)
            if weight is not None and weight.dtype == torch.float32:
                module.to(torch.bfloat16)


def disable_dropout(model: nn.Module, scope: bool | str) -> None:
    """Set ``nn.Dropout`` modules to zero: all of them (``True``, as TRL), or all but the adapter's (``"base"``)."""
    if not scope:
        return
    silenced_adapter = 0.0
    for name, module in model.named_modules():
        if not isinstance(module, nn.Dropout):
            continue
        in_adapter = "lora_dropout" in name
        if in_adapter and scope == "base":
            continue
        silenced_adapter = max(silenced_adapter, module.p if in_adapter else 0.0)
        module.p = 0.0
    if silenced_adapter:
        logger.warning(
            "disable_dropout=True also switched the adapter's lora_dropout=%g off, as TRL does; "
            "disable_dropout='base' keeps it.",
            silenced_adapter,
        )


def keep_epsilon_above_zero(model: nn.Module, config: Any) -> None:
    """Raise Adam's epsilon where float16 weights would round it to zero.

    The optimizer's state has the weights' dtype. In float16 the default 1e-8 is 0 and small squared gradients are 0
    too, so that TRL's first update divides by zero and every weight becomes NaN.
    """
    in_float16 = any(p.dtype == torch.float16 for p in model.parameters() if p.requires_grad)
    if in_float16 and config.adam_epsilon < SMALLEST_FLOAT16 / 2:
        logger.warning(
            "the weights to train are float16, in which adam_epsilon=%g is 0 and AdamW divides by zero; using %g. "
            "Load the model in bfloat16 or float32 to keep your value.",
            config.adam_epsilon,
            FLOAT16_EPSILON,
        )
        config.adam_epsilon = FLOAT16_EPSILON
