"""Errors of the libraries below that a user's option causes, said as such: what, which option, what to do."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from orpo_compat.errors import ConfigError, ModelError, OrpoCompatError

_NETWORK = ("httpx", "httpx2", "httpcore", "huggingface_hub", "requests")


@contextlib.contextmanager
def explained_settings(model: Any) -> Iterator[None]:
    """Explain what goes wrong while a config and a trainer are built from options.

    Args:
        model: whose linear layers are named where LoRA's targets are not found.

    Raises:
        ConfigError: a value that transformers does not take, or targets that the model does not have.
        ModelError: the hub did not answer, or refused.
    """
    try:
        yield
    except OrpoCompatError:
        raise
    except Exception as error:
        home = type(error).__module__.partition(".")[0]
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        if home in _NETWORK:
            raise ModelError(
                f"--push-to-hub: the hub did not answer, or refused ({first}).\n"
                "  Next: `orpo-compat doctor` tries it; log in with `hf auth login`, or leave --push-to-hub out."
            ) from error
        if home == "peft" or (isinstance(error, ValueError) and first.startswith("Target modules")):  # up to peft 0.18
            names = ", ".join(_linear_names(model))
            raise ConfigError(f"LoRA: {first}\n  Next: give --lora-target-modules some of {names}.") from error
        if isinstance(error, ValueError) and "please select one of" in first:
            what, _, choices = first.partition(", please select one of ")
            raise ConfigError(f"{what}.\n  Next: give one of {choices.strip('[]')}.") from error
        raise


def _linear_names(model: Any) -> list[str]:
    """The last part of the name of every linear layer."""
    from torch import nn

    return sorted({name.rpartition(".")[2] for name, part in model.named_modules() if isinstance(part, nn.Linear)})
