"""Writes `config_options.json` from `ORPOConfig`: ``python -m orpo_compat.cli.describe_config``.

Run it whenever a field is added or its help changes; a test says so when it was forgotten.
"""

from __future__ import annotations

import dataclasses
import enum
import json
import types
import typing
from typing import Any

from orpo_compat.cli.config_options import OPTIONS_FILE
from orpo_compat.config import ORPOConfig
from orpo_compat.spellings import DECLARED

ELSEWHERE = {
    "output_dir": "--output",
    "resume_from_checkpoint": "--resume and --resume-from",
    "parallelism_config": "an object, not a value: set it in Python or through `accelerate config`",
    "do_train": "the command trains",
    "do_eval": "--eval-fraction and --eval-data",
    "do_predict": "`orpo-compat eval`",
    "local_rank": "set by accelerate launch and torchrun",
    "overwrite_output_dir": "--overwrite",
}
"""Fields that are no options of their own, and what takes their place."""

_GROUPS: dict[str, tuple[str, ...]] = {
    "ORPO": (
        *("beta", "max_length", "max_prompt_length", "max_completion_length", "truncation_mode", "disable_dropout"),
        *("nll_scope", "loss_normalization", "nan_policy", "beta_schedule", "beta_start", "label_pad_token_id"),
        *("padding_value", "is_encoder_decoder", "generate_during_eval", "dataset_num_proc"),
    ),
    "Length of the run and batches": (
        *("num_train_epochs", "max_steps", "per_device_", "gradient_accumulation_steps", "auto_find_batch_size"),
        *("seed", "data_seed", "full_determinism", "average_tokens_across_devices"),
    ),
    "Optimizer and schedule": (
        *("learning_rate", "lr_scheduler", "warmup", "optim", "weight_decay", "adam_", "max_grad_norm"),
        *("label_smoothing", "neftune"),
    ),
    "Speed, memory, precision": (
        *("packing", "tokens_per_pass", "padding", "bf16", "fp16", "tf32", "gradient_checkpointing"),
        *("activation_checkpointing", "torch_compile", "use_liger", "liger_kernel", "use_cache", "torch_empty"),
        *("use_cpu", "skip_memory_metrics"),
    ),
    "Evaluation": (
        *("eval_", "prediction_loss_only", "batch_eval", "include_for_metrics", "load_best", "metric_for_best"),
        "greater_is_better",
    ),
    "Logging and trackers": (
        *("logging_", "log_", "report_to", "run_name", "project", "trackio", "disable_tqdm", "include_num"),
    ),
    "Checkpoints and hub": (
        *("save_", "push_to_hub", "hub_", "enable_jit", "restore_callback", "ignore_data_skip"),
        *("model_init_kwargs", "trust_remote_code"),
    ),
    "Data loading": ("dataloader_", "remove_unused", "label_names", "train_sampling", "length_column"),
    "Several processes": ("ddp_", "fsdp", "deepspeed", "accelerator_config", "debug"),
}
"""Panels in the order of help; a field belongs to the first one that has its name or the start of it."""

_HINTS = typing.get_type_hints(ORPOConfig)
# Not `field.type`: an HfArgumentParser narrows those in place, and then a test's order would decide what is written.


def describe() -> list[dict[str, str]]:
    """Describe every field that is an option, panel by panel."""
    described = [_describe(field) for field in dataclasses.fields(ORPOConfig) if field.name not in ELSEWHERE]
    order = [*_GROUPS, ""]
    return sorted(described, key=lambda entry: (order.index(entry["group"]), _rank(entry)))


def _describe(field: dataclasses.Field[Any]) -> dict[str, str]:
    return {
        "name": field.name,
        "kind": _kind(_HINTS[field.name]),
        "default": _default(field),
        "help": " ".join(str(field.metadata.get("help", "")).split()).replace("[", "\\["),
        "group": "" if field.name in DECLARED else _group(field.name),
    }


def _group(name: str) -> str:
    exact = next((group for group, names in _GROUPS.items() if name in names), None)
    if exact:
        return exact
    return next(group for group, starts in _GROUPS.items() if name.startswith(starts))


def _rank(entry: dict[str, str]) -> int:
    """Where in its panel an option stands: as listed above, the rest behind in the config's order."""
    starts = _GROUPS.get(entry["group"], ())
    return next((index for index, start in enumerate(starts) if entry["name"].startswith(start)), len(starts))


def _kind(annotation: Any) -> str:
    parts = typing.get_args(annotation) if _is_union(annotation) else (annotation,)
    kinds = {part for part in parts if part is not type(None)}
    if any(typing.get_origin(kind) in (dict, list) or kind in (dict, list) for kind in kinds):
        return "structured"
    for name, kind in (("bool", bool), ("int", int), ("float", float)):
        if kinds == {kind}:
            return name
    return "text"


def _is_union(annotation: Any) -> bool:
    return isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union


def _default(field: dataclasses.Field[Any]) -> str:
    value = field.default
    if value is dataclasses.MISSING:
        value = field.default_factory() if field.default_factory is not dataclasses.MISSING else None
    if value is None or value == "" or value == []:
        return ""
    return str(value.value if isinstance(value, enum.Enum) else value)


def as_json() -> str:
    """The file's text."""
    return json.dumps(describe(), indent=1, ensure_ascii=True) + "\n"


if __name__ == "__main__":
    OPTIONS_FILE.write_text(as_json(), "utf-8")
