"""Settings that ask for ORPO by name: what is said of each, and that it is true of our own ORPOConfig."""

from __future__ import annotations

import pytest

from codemods.containers.recipes import NEVER_EXISTED, RETIRED_BY_TRANSFORMERS, RETIRED_BY_TRL
from codemods.findings import Severity
from tests.codemods.containers.laws import codes, lines_with, rewritten

RECIPE = """\
# Model arguments
model_name_or_path: alignment-handbook/zephyr-7b-sft-full
torch_dtype: null

# ORPOTrainer arguments
bf16: true
beta: 0.05
learning_rate: 5.0e-6
max_length: 2048
num_train_epochs: 3
output_dir: data/zephyr-7b-orpo
"""


def test_a_recipe_without_retired_names_works_as_it_is() -> None:
    done = rewritten("recipes/zephyr/orpo/config_full.yaml", RECIPE.encode())
    assert [(one.code, one.line, one.severity) for one in done.findings] == [("OC119", 6, Severity.INFO)]
    assert "works as it is" in done.findings[0].advice


def test_retired_names_are_listed_with_what_retired_them() -> None:
    text = RECIPE + "max_prompt_length: 1792\nevaluation_strategy: steps\n"
    done = rewritten("recipes/config_full.yaml", text.encode())
    assert lines_with(done, "OC119") == [12]
    message = done.findings[0].message
    assert "max_prompt_length (gone in TRL 0.28)" in message
    assert "evaluation_strategy (gone in transformers 5)" in message
    assert "works as it is" in done.findings[0].advice


def test_a_name_nobody_ever_had_is_a_warning() -> None:
    done = rewritten("recipes/config_full.yaml", (RECIPE + "orpo_beta: 0.1\n").encode())
    assert [(one.line, one.severity) for one in done.findings if "never" in one.message] == [(12, Severity.WARNING)]


def test_json_and_command_lines_are_recipes_too() -> None:
    text = b'{"output_dir": "orpo", "learning_rate": 1, "bf16": true, "max_prompt_length": 5}'
    assert "max_prompt_length" in rewritten("args.json", text).findings[0].message
    shell = b"accelerate launch orpo.py \\\n  --output_dir x --learning_rate=1 \\\n  --bf16 --warmup-ratio 0.1\n"
    done = rewritten("run.sh", shell)
    assert lines_with(done, "OC119") == [3]
    assert "warmup_ratio" in done.findings[0].message


@pytest.mark.parametrize(
    "text",
    [
        RECIPE.replace("orpo", "sft").replace("ORPO", "SFT"),
        "output_dir: orpo\n",
        RECIPE + "loss_type: sigmoid\n",
        RECIPE + "stage: dpo\n",
    ],
)
def test_other_settings_files_are_left_in_peace(text: str) -> None:
    assert codes(rewritten("config.yaml", text.encode())) == []


@pytest.mark.parametrize(
    ("path", "text", "name"),
    [
        ("axolotl.yml", "base_model: x\nrl: orpo\norpo_alpha: 0.1\n", "axolotl"),
        ("axolotl.yaml", "base_model: x\nrl: 'orpo'\n", "axolotl"),
        ("run.sh", "swift rlhf \\\n  --rlhf_type orpo \\\n  --model x\n", "ms-swift"),
        ("run.sh", "#!/bin/sh\nswift rlhf --rlhf_type=orpo\n", "ms-swift"),
        ("args.json", '{"x": 1,\n"rlhf_type": "orpo"}', "ms-swift"),
        ("llama.yaml", "stage: dpo\npref_loss: orpo\n", "LLaMA-Factory"),
        ("run.sh", "llamafactory-cli train \\\n  --pref_loss orpo\n", "LLaMA-Factory"),
        ("autotrain.yml", "a: 1\ntask: llm-orpo\n", "AutoTrain"),
        ("run.sh", "autotrain llm \\\n--trainer orpo\n", "AutoTrain"),
    ],
)
def test_other_frameworks_switches_are_explained(path: str, text: str, name: str) -> None:
    done = rewritten(path, text.encode())
    assert not done.changed
    assert lines_with(done, "OC119") == [2]
    assert done.findings[0].message.startswith(name)
    assert "works as it is" in done.findings[0].advice


@pytest.mark.parametrize(
    ("path", "text"), [("dpo.yaml", "a: 1\nloss_type: orpo\n"), ("run.sh", "x \\\n --loss_type orpo\n")]
)
def test_a_loss_type_that_never_was_is_a_finding_of_its_own(path: str, text: str) -> None:
    assert lines_with(rewritten(path, text.encode()), "OC125") == [2]


@pytest.mark.parametrize(
    "text", ["rl: grpo\n", "rl: orpo2\n", "curl: orpo\n", "pref_loss: sigmoid # orpo\n", "rlhf_type dpo # orpo\n"]
)
def test_switches_to_something_else_are_left_in_peace(text: str) -> None:
    assert codes(rewritten("a.yaml", text.encode())) == []


def test_what_we_say_works_does_work() -> None:
    """The claim of every recipe finding, held against the real class: no retired name is unknown to it."""
    config = pytest.importorskip("orpo_compat").ORPOConfig
    known = set(config.__dataclass_fields__)
    assert RETIRED_BY_TRL.keys() | RETIRED_BY_TRANSFORMERS <= known
    assert not NEVER_EXISTED.keys() & known
