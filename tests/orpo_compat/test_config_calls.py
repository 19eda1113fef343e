"""The shapes in which scripts build the config: templates of tutorials, quantised runs, dicts filtered by a signature.

Arguments and values are of the kinds most often passed; the oracle of each is that the value given is the value held.
"""

from __future__ import annotations

import dataclasses
import inspect
from pathlib import Path
from typing import Any

import pytest
from transformers import TrainingArguments

from orpo_compat.config import ORPOConfig

CALLS: dict[str, dict[str, Any]] = {
    "tutorial": {
        "learning_rate": 7e-6,
        "beta": 0.15,
        "lr_scheduler_type": "linear",
        "max_length": 768,
        "max_prompt_length": 384,
        "per_device_train_batch_size": 3,
        "per_device_eval_batch_size": 3,
        "gradient_accumulation_steps": 5,
        "optim": "paged_adamw_8bit",
        "num_train_epochs": 2,
        "eval_steps": 0.25,
        "logging_steps": 2,
        "warmup_steps": 12,
        "report_to": ["wandb"],
    },
    "quantised": {
        "max_steps": 40,
        "bf16": True,
        "gradient_checkpointing": True,
        "gradient_checkpointing_kwargs": {"use_reentrant": True},
        "max_grad_norm": 0.4,
        "weight_decay": 0.02,
        "optim": "paged_adamw_32bit",
        "save_steps": 0.2,
        "save_total_limit": 2,
        "dataloader_num_workers": 2,
        "dataloader_prefetch_factor": 2,
        "adam_beta1": 0.8,
        "adam_beta2": 0.95,
        "seed": 1234,
        "data_seed": 4321,
        "run_name": "quantised",
    },
    "pushed": {
        "push_to_hub": True,
        "hub_model_id": "someone/some-model",
        "hub_private_repo": True,
        "hub_token": "hf_x",
        "save_strategy": "epoch",
        "eval_strategy": "epoch",
        "load_best_model_at_end": True,
        "metric_for_best_model": "eval_rewards/margins",
        "greater_is_better": True,
        "length_column_name": "length",
    },
    "multi-gpu": {
        "ddp_find_unused_parameters": False,
        "auto_find_batch_size": True,
        "eval_accumulation_steps": 2,
        "dataloader_pin_memory": False,
        "remove_unused_columns": False,
        "logging_strategy": "epoch",
        "lr_scheduler_type": "cosine_with_restarts",
        "lr_scheduler_kwargs": {"num_cycles": 3},
    },
    "encoder-decoder": {
        "is_encoder_decoder": True,
        "max_completion_length": 96,
        "generate_during_eval": True,
        "dataset_num_proc": 3,
        "padding_value": 0,
        "truncation_mode": "keep_start",
        "do_eval": True,
        "use_cpu": True,
    },
}
OLDER: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "mac notebook": (
        {"evaluation_strategy": "steps", "eval_steps": 0.2, "use_mps_device": True, "warmup_ratio": 0.1},
        {"eval_strategy": "steps", "eval_steps": 0.2},
    ),
    "half precision, whatever the card": ({"fp16": True, "bf16": False, "tf32": True}, {"bf16": False}),
    "logged to a folder": (
        {"logging_steps": 1, "save_safetensors": True, "overwrite_output_dir": True},
        {"logging_steps": 1},
    ),
    "grouped": ({"group_by_length": True, "length_column_name": "tokens"}, {"length_column_name": "tokens"}),
}


@pytest.mark.parametrize("given", CALLS.values(), ids=CALLS)
def test_what_scripts_pass_is_what_the_config_holds(given: dict[str, Any], tmp_path: Path) -> None:
    config = ORPOConfig(output_dir=str(tmp_path), **given)
    assert {name: getattr(config, name) for name in given} == given


@pytest.mark.parametrize(("given", "expected"), OLDER.values(), ids=OLDER)
def test_what_older_scripts_pass_constructs(given: dict[str, Any], expected: dict[str, Any], tmp_path: Path) -> None:
    config = ORPOConfig(output_dir=str(tmp_path), **given)
    assert {name: getattr(config, name) for name in expected} == expected


def test_a_dict_filtered_by_the_fields_finds_either_name_of_the_strategy(tmp_path: Path) -> None:
    known = set(inspect.signature(ORPOConfig.__init__).parameters)
    assert known == {"self", *(field.name for field in dataclasses.fields(ORPOConfig))} - {
        field.name for field in dataclasses.fields(ORPOConfig) if not field.init
    }
    for name in ("eval_strategy", "evaluation_strategy"):
        assert name in known
        assert ORPOConfig(str(tmp_path), **{name: "epoch"}).eval_strategy == "epoch"


def test_arguments_of_another_trainer_spread_into_the_call(tmp_path: Path) -> None:
    plain = TrainingArguments(str(tmp_path), learning_rate=3e-5, eval_strategy="epoch", report_to="none")
    config = ORPOConfig(**plain.to_dict(), beta=0.2, max_prompt_length=64)
    assert (config.learning_rate, config.eval_strategy, config.beta, config.max_prompt_length) == (
        3e-5,
        "epoch",
        0.2,
        64,
    )
    assert config.gradient_checkpointing is False


def test_the_fields_of_plain_arguments_can_be_copied_one_by_one(tmp_path: Path) -> None:
    plain = TrainingArguments(
        str(tmp_path), eval_strategy="epoch", hub_token="hf_x", accelerator_config={"split_batches": True}
    )
    copied = {field.name: getattr(plain, field.name) for field in dataclasses.fields(plain) if field.init}
    config = ORPOConfig(**copied, max_length=99, truncation_mode="keep_start")
    assert {name: getattr(config, name) for name in copied} == copied
    known = {name: held for name, held in plain.to_dict().items() if name in ORPOConfig.__dataclass_fields__}
    assert ORPOConfig(**known).hub_token is None


def test_the_output_folder_may_come_first_or_not_at_all(tmp_path: Path) -> None:
    assert ORPOConfig(str(tmp_path)).output_dir == str(tmp_path)
    assert ORPOConfig(beta=0.2).output_dir == "trainer_output"
