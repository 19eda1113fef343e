"""Which model a name means, and the loading options that follow: alias, folder, hub name, or the embedded `tiny`.

Turns user choices (4-bit, attention, LoRA) into what `from_pretrained` and PEFT take. It loads; it never trains.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from orpo_compat.errors import ModelError

ALIASES = {
    "SmolLM-135M": "HuggingFaceTB/SmolLM-135M",
    "SmolLM-360M": "HuggingFaceTB/SmolLM-360M",
    "SmolLM2-135M": "HuggingFaceTB/SmolLM2-135M",
    "SmolLM2-360M": "HuggingFaceTB/SmolLM2-360M",
    "SmolLM2-1.7B": "HuggingFaceTB/SmolLM2-1.7B",
    "Qwen2.5-0.5B": "Qwen/Qwen2.5-0.5B",
    "Qwen3-0.6B": "Qwen/Qwen3-0.6B",
    "gemma-3-270m": "google/gemma-3-270m",
    "Llama-3.2-1B": "meta-llama/Llama-3.2-1B",
    "TinyLlama-1.1B": "TinyLlama/TinyLlama-1.1B-Chat-v1.0",
}
ATTENTION = {"vanilla": "eager", "flash": "flash_attention_2", "flash2": "flash_attention_2", "sdp": "sdpa"}
"""Names people know from other tools, to those of transformers."""


CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@dataclass(frozen=True, slots=True)
class LoraChoice:
    """The adapter the user asked for; the defaults are PEFT users' habit, not PEFT's own."""

    r: int
    alpha: int | None = None
    dropout: float = 0.0
    targets: tuple[str, ...] = ("all-linear",)
    use_dora: bool = False

    def config(self) -> Any:
        """The PEFT configuration; alpha is twice the rank unless given."""
        from peft import LoraConfig

        targets = "all-linear" if self.targets == ("all-linear",) else list(self.targets)
        return LoraConfig(
            r=self.r,
            lora_alpha=self.alpha or 2 * self.r,
            lora_dropout=self.dropout,
            target_modules=targets,
            use_dora=self.use_dora,
            task_type="CAUSAL_LM",
        )


def resolve_name(name: str) -> str:
    """Follow an alias; ``tiny``, folders and hub names are returned as they are.

    Raises:
        ModelError: a bare name that is neither an alias nor a folder.
    """
    if name == "tiny" or Path(name).expanduser().is_dir() or "/" in name:
        return name
    lower = {alias.lower(): target for alias, target in ALIASES.items()}
    if name.lower() in lower:
        return lower[name.lower()]
    near = difflib.get_close_matches(name, ALIASES, n=1, cutoff=0.5)
    raise ModelError(
        f"{name!r} is no folder and no alias"
        + (f"; did you mean {near[0]}?" if near else ".")
        + f"\n  Next: give a folder, a hub name (org/name), tiny, or one of {', '.join(ALIASES)}."
    )


def init_kwargs(*, attention: str | None, load_in_4bit: bool, dtype: str | None) -> dict[str, Any]:
    """What `from_pretrained` is given for these choices.

    Raises:
        ModelError: 4-bit without bitsandbytes, flash attention without its package, or a name that is neither a dtype
            nor an attention.
    """
    kwargs: dict[str, Any] = {}
    if dtype:
        kwargs["dtype"] = _known_dtype(dtype)
    if attention:
        chosen = ATTENTION.get(attention, attention)
        if chosen == "flash_attention_2" and find_spec("flash_attn") is None:
            raise ModelError(
                f"--attn {attention} needs the flash-attn package, which is not installed.\n"
                "  Next: pip install flash-attn on a CUDA machine, or use --attn sdpa."
            )
        kwargs["attn_implementation"] = _known_attention(chosen)
    if load_in_4bit:
        if find_spec("bitsandbytes") is None:
            raise ModelError(
                "--load-in-4bit needs bitsandbytes, which is not installed.\n"
                "  Next: pip install bitsandbytes, or train without --load-in-4bit."
            )
        import torch
        from transformers import BitsAndBytesConfig

        kwargs["quantization_config"] = BitsAndBytesConfig(  # type: ignore[no-untyped-call]
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16,
        )
    return kwargs


def _known_dtype(name: str) -> str:
    import torch

    plain = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}.get(name, name.removeprefix("torch."))
    if plain != "auto" and not isinstance(getattr(torch, plain, None), torch.dtype):
        raise ModelError(f"--dtype {name}: no such type.\n  Next: give float32, bfloat16, float16 or auto.")
    return plain


def _known_attention(name: str) -> str:
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    known = {"eager", *ALL_ATTENTION_FUNCTIONS.valid_keys()}
    if name not in known and "/" not in name:  # org/name is a kernel on the hub
        raise ModelError(
            f"--attn {name}: no such attention.\n  Next: give sdpa, eager, flash_attention_2 or flex_attention."
        )
    return name


def load(name: str, kwargs: dict[str, Any], *, tokenizer_name: str | None = None) -> tuple[Any, Any]:
    """Load a model and its tokenizer.

    Args:
        name: ``tiny``, a folder, an alias or a hub name. A folder holding only an adapter loads its base with it.
        kwargs: for the model; see ``init_kwargs``. ``revision`` and ``trust_remote_code`` reach the tokenizer too.
        tokenizer_name: where the tokenizer is, if not with the model.

    Raises:
        ModelError: nothing there, or the hub cannot be reached.
    """
    resolved = resolve_name(name)
    if resolved == "tiny":
        from orpo_compat.tiny_model import tiny_model, tiny_tokenizer

        model: Any = tiny_model()
        if kwargs.get("attn_implementation"):
            model.set_attn_implementation(kwargs["attn_implementation"])
        if kwargs.get("dtype", "auto") != "auto":
            import torch

            model = model.to(getattr(torch, kwargs["dtype"]))
        return model, load_tokenizer(tokenizer_name) if tokenizer_name else tiny_tokenizer()
    tokenizer = load_tokenizer(tokenizer_name or resolved, kwargs)
    try:
        if Path(resolved, "adapter_config.json").is_file():
            from peft import AutoPeftModelForCausalLM

            return AutoPeftModelForCausalLM.from_pretrained(resolved, **kwargs), tokenizer
        from orpo_compat.preparation import load_model

        return load_model(resolved, {"dtype": "float32", **kwargs}, False), tokenizer
    except (OSError, ValueError, RuntimeError) as error:
        raise _cannot_load("model", resolved, error) from error


def chat_template(choice: str) -> str:
    """The Jinja text of a chat template: ``chatml``, a file, or the text itself.

    Raises:
        ModelError: none of these.
    """
    if choice.lower() == "chatml":
        return CHATML
    if "{%" in choice or "{{" in choice:
        return choice
    try:
        return Path(choice).expanduser().read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(
            f"--chat-template {choice}: no such file.\n  Next: give a Jinja file, Jinja text, or chatml."
        ) from error


def give_template(tokenizer: Any, choice: str | None, *, needed: bool) -> None:
    """Set the chat template that was chosen, if any, and check that there is one if messages are to be rendered.

    Args:
        tokenizer: changed in place.
        choice: as for ``chat_template``; None leaves the tokenizer's own.
        needed: whether there are messages.

    Raises:
        ModelError: the choice cannot be read, or there is no template though one is needed.
    """
    if choice:
        tokenizer.chat_template = chat_template(choice)
    if needed and not getattr(tokenizer, "chat_template", None):
        raise ModelError(
            "the data holds chat messages, but the tokenizer has no chat template to turn them into text.\n"
            "  Next: give one with --chat-template (a Jinja file, or chatml), or use the instruct variant of the model."
        )


def load_tokenizer(name: str, kwargs: dict[str, Any] | None = None) -> Any:
    """Load a tokenizer by alias, folder or hub name; give it a pad token if it has none.

    Raises:
        ModelError: nothing there, or the hub cannot be reached.
    """
    resolved = resolve_name(name)
    if resolved == "tiny":
        from orpo_compat.tiny_model import tiny_tokenizer

        return tiny_tokenizer()
    from transformers import AutoTokenizer

    from orpo_compat.model_folder import finish_move_for_reading

    finish_move_for_reading(Path(resolved))  # before the model: the adapter's configuration may be on its way, too
    shared = {key: value for key, value in (kwargs or {}).items() if key in ("revision", "trust_remote_code")}
    try:
        tokenizer = AutoTokenizer.from_pretrained(resolved, **shared)
    except (OSError, ValueError, RuntimeError) as error:
        raise _cannot_load("tokenizer", resolved, error) from error
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def _cannot_load(what: str, name: str, error: Exception) -> ModelError:
    first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if Path(name).expanduser().is_dir():
        step = "check that the folder holds config.json, the weights and the tokenizer's files."
    else:
        step = "check the name and `orpo-compat doctor` for hub access, or give a folder you have downloaded."
    return ModelError(f"cannot load the {what} {name!r}: {first}\n  Next: {step}")
