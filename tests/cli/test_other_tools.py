"""Names that other tools have for the options of `train`, in YAML files written as their documentation has them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import yaml

from orpo_compat.cli.config_options import config_options
from orpo_compat.cli.exit_codes import ExitCode
from orpo_compat.cli.other_tools import HINTS, RENAMED, SAID_ANYWAY, normalized
from orpo_compat.cli.train_settings import TrainSettings
from tests.cli.calls import call

OURS = {option.name for option in config_options()} | {field.name for field in dataclasses.fields(TrainSettings)}

HANDBOOK = """
model_name_or_path: mistralai/Mistral-7B-v0.1
model_revision: main
torch_dtype: bfloat16
attn_implementation: flash_attention_2
dataset_mixer:
  argilla/distilabel-capybara-dpo-7k-binarized: 1.0
dataset_splits: [train]
preprocessing_num_workers: 8
bf16: true
beta: 0.05
gradient_checkpointing: true
gradient_checkpointing_kwargs: {use_reentrant: true}
learning_rate: 5.0e-6
lr_scheduler_type: inverse_sqrt
max_length: 2048
max_prompt_length: 1792
optim: adamw_bnb_8bit
output_dir: data/zephyr-orpo
report_to: [tensorboard, wandb]
save_strategy: "no"
"""
AXOLOTL = """
base_model: NousResearch/Meta-Llama-3-8B
datasets:
  - path: argilla/ultrafeedback-binarized-preferences-cleaned
    split: train[:5%]
    type: chat_template.argilla
rl: orpo
orpo_alpha: 0.1
val_set_size: 0.1
sequence_len: 4096
sample_packing: false
adapter: lora
lora_r: 8
lora_target_modules: [q_proj, v_proj]
micro_batch_size: 2
num_epochs: 1
optimizer: adamw_torch
lr_scheduler: cosine
learning_rate: 8e-6
output_dir: ./out
"""
LLAMA_FACTORY = """
stage: dpo
do_train: true
pref_loss: orpo
pref_beta: 0.1
model_name_or_path: meta-llama/Llama-3.2-1B
finetuning_type: lora
lora_rank: 8
lora_target: all
cutoff_len: 2048
val_size: 0.1
flash_attn: fa2
plot_loss: true
overwrite_output_dir: true
output_dir: out
"""


def printed(tmp_path: Path, text: str) -> dict[str, Any]:
    (tmp_path / "run.yaml").write_text(text)
    result = call("train", "--config", tmp_path / "run.yaml", "--print-config")
    assert result.exit_code == ExitCode.DONE, result.stderr
    read: dict[str, Any] = yaml.safe_load(result.stdout)
    return read


def test_no_name_of_another_tool_hides_one_of_ours() -> None:
    assert not (RENAMED.keys() | HINTS.keys() | SAID_ANYWAY.keys()) & OURS
    assert set(RENAMED.values()) <= OURS


def test_an_alignment_handbook_recipe_is_read_as_it_is(tmp_path: Path) -> None:
    got = printed(tmp_path, HANDBOOK)
    assert (got["model"], got["dtype"], got["attn"]) == ("mistralai/Mistral-7B-v0.1", "bfloat16", "flash_attention_2")
    assert (got["data"], got["split"]) == ("argilla/distilabel-capybara-dpo-7k-binarized", "train")
    assert (got["beta"], got["max_prompt_length"], got["dataset_num_proc"]) == (0.05, 1792, 8)
    assert got["report_to"] == ["tensorboard", "wandb"]


def test_an_axolotl_file_is_read_as_it_is(tmp_path: Path) -> None:
    got = printed(tmp_path, AXOLOTL)
    assert (got["model"], got["split"]) == ("NousResearch/Meta-Llama-3-8B", "train[:5%]")
    assert (got["eval_fraction"], got["max_length"], got["lora_target_modules"]) == (0.1, 4096, "q_proj,v_proj")
    assert (got["per_device_train_batch_size"], got["num_train_epochs"], got["optim"]) == (2, 1, "adamw_torch")
    assert (got["lr_scheduler_type"], got["output"]) == ("cosine", "./out")


def test_a_llama_factory_file_is_read_as_it_is(tmp_path: Path) -> None:
    got = printed(tmp_path, LLAMA_FACTORY)
    assert (got["beta"], got["lora_r"], got["max_length"], got["overwrite"]) == (0.1, 8, 2048, True)
    assert got["attn"] == "flash_attention_2"
    assert "lora_target_modules" not in got  # all linear layers, which is the default


def test_the_command_line_takes_trl_s_names_with_underscores() -> None:
    line = ["--model_name_or_path", "m", "--dataset_name", "d", "--output_dir", "o", "--lora_rank=8", "--beta", "0.2"]
    got = yaml.safe_load(call("train", *line, "--print-config").stdout)
    assert got == {"model": "m", "data": "d", "output": "o", "lora_r": 8, "beta": 0.2}
    assert normalized("learning_rate") == "learning-rate"


@pytest.mark.parametrize(
    ("option", "hint"), [("--use_wandb", "--report-to wandb"), ("--load-in-8bit", "--load-in-4bit")]
)
def test_an_option_that_is_shaped_differently_is_answered(option: str, hint: str) -> None:
    result = call("train", option)
    assert result.exit_code == ExitCode.USAGE
    assert hint in result.stderr


@pytest.mark.parametrize(
    ("text", "fragments"),
    [
        ("dataset_mixer: {a: 1.0, b: 0.5}", ["2 datasets are to be mixed", "one folder"]),
        ("load_in_8bit: true", ["--load-in-4bit"]),
        ("beta: 0.1\npref_beta: 0.2", ["means 'beta'", "keep one"]),
        ("flash_attention: true", ["--attn flash_attention_2"]),
        ("rl: dpo", ["no option 'rl'"]),
    ],
)
def test_what_cannot_be_taken_over_is_said(tmp_path: Path, text: str, fragments: list[str]) -> None:
    (tmp_path / "run.yaml").write_text(text)
    result = call("train", "--config", tmp_path / "run.yaml", "--print-config")
    assert result.exit_code == ExitCode.USAGE
    for fragment in fragments:
        assert fragment in result.stderr


def test_a_share_of_one_dataset_becomes_a_split(tmp_path: Path) -> None:
    assert printed(tmp_path, "dataset_mixer: {org/name: 0.05}") == {"data": "org/name", "split": "train[:5%]"}
