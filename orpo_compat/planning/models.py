"""Which shape a model's name means: a known size, a folder, or a configuration from the hub. Loads no weights."""

from __future__ import annotations

import json
from pathlib import Path

from orpo_compat.errors import ModelError, PlanError
from orpo_compat.planning.shapes import KNOWN, ModelShape, known_shape, shape_from_config


def find_shape(name: str) -> ModelShape:
    """Resolve ``8B``, ``Llama-3.1-8B``, a folder with a ``config.json``, an alias or a hub name.

    Raises:
        PlanError: nothing of that name is known, or its configuration is not a decoder's.
        ModelError: the hub does not give its configuration.
    """
    config = Path(name).expanduser() / "config.json"
    if config.is_file():
        return _from_file(config, name)
    known = known_shape(name)
    if known is not None:
        return known
    from orpo_compat.models import resolve_name

    try:
        resolved = resolve_name(name)
    except ModelError as error:
        raise PlanError(
            f"{name!r} is no known size, folder or alias.\n"
            f"  Next: give one of {', '.join(KNOWN)}, a folder with a config.json, or a hub name (org/name)."
        ) from error
    return known_shape(resolved) or _from_hub(resolved)


def _from_file(path: Path, name: str) -> ModelShape:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise PlanError(f"{path} is not JSON: {error}.\n  Next: give the folder of a complete model.") from error
    if not isinstance(content, dict):
        raise PlanError(f"{path} holds no object.\n  Next: give the folder of a complete model.")
    try:
        return shape_from_config(content, name)
    except PlanError:
        # Some families write their sizes under names of their own, which their configuration class maps.
        return _from_hub(str(path.parent))


def _from_hub(name: str) -> ModelShape:
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(name)
    except (OSError, ValueError, KeyError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(
            f"cannot read the configuration of {name!r}: {first}\n"
            f"  Next: give a known size ({', '.join(KNOWN)}) or a folder with its config.json."
        ) from error
    sizes = ("num_hidden_layers", "hidden_size", "num_attention_heads", "num_key_value_heads")
    mapped = {key: getattr(config, key) for key in sizes if isinstance(getattr(config, key, None), int)}
    return shape_from_config({**config.to_dict(), **mapped}, name)
