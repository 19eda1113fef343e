"""What TRL, alignment-handbook, axolotl, LLaMA-Factory and EasyDeL call the options of `train`.

A plain renaming is followed, on the command line and in YAML; a setting whose counterpart is shaped differently is
answered with what to write instead. Knows names only; what an option does is not decided here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orpo_compat.errors import ConfigError

RENAMED = {
    "model_name_or_path": "model", "base_model": "model", "model_id": "model", "repo_id": "model",
    "dataset_name": "data", "train_dataset": "data",
    "dataset_train_split": "split", "dataset_split": "split",
    "dataset_test_split": "eval_split",
    "eval_dataset": "eval_data",
    "val_set_size": "eval_fraction", "val_size": "eval_fraction", "split_dataset_ratio": "eval_fraction",
    "output_dir": "output", "save_directory": "output",
    "overwrite_output_dir": "overwrite",
    "resume_from_checkpoint": "resume_from",
    "torch_dtype": "dtype",
    "attn_implementation": "attn", "attn_mechanism": "attn", "flash_attn": "attn",
    "lora_rank": "lora_r",
    "lora_target": "lora_target_modules",
    "tokenizer_name_or_path": "tokenizer", "tokenizer_config": "tokenizer",
    "rl_beta": "beta", "pref_beta": "beta", "dpo_beta": "beta",
    "sequence_len": "max_length", "cutoff_len": "max_length", "max_seq_length": "max_length",
    "micro_batch_size": "per_device_train_batch_size",
    "eval_batch_size": "per_device_eval_batch_size",
    "num_epochs": "num_train_epochs",
    "optimizer": "optim",
    "lr_scheduler": "lr_scheduler_type",
    "preprocessing_num_workers": "dataset_num_proc", "dataset_processes": "dataset_num_proc",
}  # fmt: skip
"""Another tool's name to ours."""

HINTS = {
    "chat_template_path": "--chat-template takes the file.",
    "template": "the model's own chat template is used; --chat-template FILE or chatml gives another.",
    "dataset": "--data takes the file or the hub name itself, without a registry.",
    "dataset_dir": "--data takes the file or folder itself.",
    "dataset_config": "write it behind the name: --data org/name:config.",
    "use_wandb": "--report-to wandb.",
    "wandb_project": "set the environment variable WANDB_PROJECT, and --report-to wandb.",
    "wandb_entity": "set the environment variable WANDB_ENTITY, and --report-to wandb.",
    "wandb_name": "--run-name, and --report-to wandb.",
    "load_in_8bit": "weights are loaded whole or in 4 bits: --load-in-4bit.",
    "quantization_bit": "--load-in-4bit.",
    "bnb_4bit_quant_type": "--load-in-4bit always takes nf4 with double quantization.",
    "lora_target_linear": "all linear layers are the default of --lora-r.",
    "adapter": "--lora-r 16 trains an adapter, --load-in-4bit makes it QLoRA.",
    "finetuning_type": "all weights are trained, or an adapter with --lora-r 16.",
    "flash_attention": "--attn flash_attention_2.",
    "use_flash_attention_2": "--attn flash_attention_2.",
    "model_revision": '--model-init-kwargs \'{"revision": "main"}\'.',
    "saves_per_epoch": "--save-steps, also as a share of the run: 0.25.",
    "evals_per_epoch": "--eval-steps, also as a share of the run: 0.1.",
    "sample_packing": "leave it out: pairs are packed by --packing auto, with the same numbers.",
    "config_file": "launch with `accelerate launch --config_file FILE -m orpo_compat train ...`.",
}
"""Another tool's name to what one writes here instead."""

SAID_ANYWAY: dict[str, tuple[object, ...]] = {
    "rl": ("orpo",), "stage": ("dpo", "orpo"), "pref_loss": ("orpo",), "loss_type": ("orpo",), "rlhf_type": ("orpo",),
    "trainer": ("orpo",), "do_train": (True,), "do_last_save": (True,), "plot_loss": (True, False), "strict": (False,),
    "sample_packing": (False,), "pad_to_sequence_len": (False,), "overwrite_cache": (True, False),
    "load_in_8bit": (False, None), "lora_target_linear": (True,), "finetuning_type": ("full", "lora"),
    "adapter": ("lora", "", None), "model_revision": ("main", None), "use_flash_attention_2": (False,),
    "flash_attention": (False,), "use_wandb": (False,), "do_eval": (True, False),
}  # fmt: skip
"""Settings that ask for what happens here in any case, with the values that do; in YAML they are let pass."""

_VALUES = {("lora_target_modules", "all"): "all-linear", ("attn", "fa2"): "flash_attention_2", ("attn", "auto"): None}


def translated(name: str) -> str:
    """Our name for an option, with underscores; a name that no other tool uses comes back as it is."""
    plain = name.strip("-").replace("-", "_")
    return RENAMED.get(plain, plain)


def normalized(name: str) -> str:
    """An option of the command line as it is declared here: hyphens, and our name for another tool's."""
    return translated(name).replace("_", "-")


def counterpart(name: str) -> str:
    """What to write instead of another tool's option; empty for a name that no tool in the table has."""
    return HINTS.get(name.strip("-").replace("-", "_"), "")


def adopt(document: Mapping[str, Any]) -> dict[str, Any]:
    """A YAML document with the names and values of other tools brought to ours; unknown keys stay for the caller.

    Raises:
        ConfigError: two keys mean the same option, or several datasets are to be mixed.
    """
    flat: dict[str, Any] = {}
    for key, value in document.items():
        plain = str(key).strip("-").replace("-", "_")
        if plain in SAID_ANYWAY and value in SAID_ANYWAY[plain]:
            continue
        for name, ours in _unfolded(plain, value).items():
            if name in flat and flat[name] != ours:
                raise ConfigError(
                    f"{key}: means {name!r}, which the file also gives as {flat[name]!r}.\n  Next: keep one of the two."
                )
            flat[name] = ours
    return {
        name: _VALUES.get((name, value), value) if isinstance(value, str) else value for name, value in flat.items()
    }


def _unfolded(key: str, value: Any) -> dict[str, Any]:
    """One key as ours; a list of one dataset becomes its path and split."""
    if key == "dataset_mixer" and isinstance(value, dict):
        (path, share), *others = value.items() or [("", 1.0)]
        _only_one(key, others)
        return {"data": path} if share == 1 else {"data": path, "split": f"train[:{share:.0%}]"}
    if key in ("datasets", "test_datasets") and isinstance(value, list):
        first, *others = value or [{}]
        _only_one(key, others)
        held = "eval_" if key == "test_datasets" else ""
        where = {"path": f"{held}data", "split": f"{held}split"}
        return {where[name]: text for name, text in first.items() if name in where}
    if key == "dataset_splits" and isinstance(value, list):
        return dict(zip(("split", "eval_split"), value, strict=False))
    if key == "lora_target_modules" and isinstance(value, list):
        return {key: ",".join(map(str, value))}
    return {translated(key): value}


def _only_one(key: str, others: list[Any]) -> None:
    if others:
        raise ConfigError(
            f"{key}: {len(others) + 1} datasets are to be mixed.\n"
            "  Next: put their files into one folder and give it as `data`; every file in it is read."
        )
