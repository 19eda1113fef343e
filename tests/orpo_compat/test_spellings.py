"""Oracles: the arguments of transformers 4.40 that 5.23 lacks, listed by hand, and what its notes put instead."""

from __future__ import annotations

import dataclasses
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from transformers import TrainingArguments
from transformers.training_args import OptimizerNames

from orpo_compat import spellings
from orpo_compat.config import ORPOConfig
from orpo_compat.errors import ConfigError, SpellingWarning
from orpo_compat.spellings import DECLARED, MOVED, SPELLINGS

LOST_BY_TRANSFORMERS = set(
    """
    adafactor dispatch_batches evaluation_strategy fp16_backend fp16_opt_level fsdp_min_num_params
    fsdp_transformer_layer_cls_to_wrap group_by_length half_precision_backend include_inputs_for_metrics
    include_tokens_per_second jit_mode_eval logging_dir mp_parameters no_cuda overwrite_output_dir past_index
    per_gpu_eval_batch_size per_gpu_train_batch_size push_to_hub_model_id push_to_hub_organization push_to_hub_token
    ray_scope save_safetensors split_batches torchdynamo tp_size tpu_metrics_debug tpu_num_cores use_ipex
    use_legacy_prediction_loop use_mps_device warmup_ratio
    """.split()  # noqa: SIM905
)
"""Fields of ``TrainingArguments`` 4.40.0 to 4.57.6 that 5.23.0 does not have (private ``_n_gpu`` aside)."""

TRANSLATIONS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"evaluation_strategy": "steps", "eval_steps": 3}, {"eval_strategy": "steps", "eval_steps": 3, "do_eval": True}),
    ({"warmup_ratio": 0.1}, {"warmup_steps": 0.1}),
    ({"warmup_ratio": 0.1, "warmup_steps": 7}, {"warmup_steps": 7}),
    ({"group_by_length": True}, {"train_sampling_strategy": "group_by_length"}),
    ({"no_cuda": True}, {"use_cpu": True}),
    ({"per_gpu_train_batch_size": 3}, {"per_device_train_batch_size": 3}),
    ({"per_gpu_eval_batch_size": 3}, {"per_device_eval_batch_size": 3}),
    ({"push_to_hub_token": "t"}, {"hub_token": "t"}),
    ({"push_to_hub_model_id": "m"}, {"hub_model_id": "m"}),
    ({"push_to_hub_model_id": "m", "push_to_hub_organization": "org"}, {"hub_model_id": "org/m"}),
    ({"hub_model_id": "org/m", "push_to_hub_organization": "org"}, {"hub_model_id": "org/m"}),
    ({"include_inputs_for_metrics": True}, {"include_for_metrics": ["inputs"]}),
    (
        {"include_inputs_for_metrics": True, "include_for_metrics": ["loss"]},
        {"include_for_metrics": ["inputs", "loss"]},
    ),
    ({"adafactor": True}, {"optim": "adafactor"}),
    ({"torchdynamo": "inductor"}, {"torch_compile_backend": "inductor", "torch_compile": True}),
    ({"optim": "adamw_hf"}, {"optim": "adamw_torch"}),
    ({"report_to": None}, {"report_to": []}),
]


def lost(*names: str) -> None:
    """Skip a test of ours where the installed transformers still has these arguments and handles them itself."""
    if native := (set(names) & LOST_BY_TRANSFORMERS) - set(DECLARED):
        pytest.skip(f"the installed transformers has {sorted(native)}")


@pytest.fixture(autouse=True)
def nothing_warned_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spellings, "_warned", set())


@pytest.fixture
def clean_environment() -> Iterator[None]:
    before = os.environ.get("TENSORBOARD_LOGGING_DIR")
    yield
    os.environ.pop("TENSORBOARD_LOGGING_DIR", None)
    if before is not None:
        os.environ["TENSORBOARD_LOGGING_DIR"] = before


def build(folder: Path, **given: Any) -> tuple[ORPOConfig, list[str]]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        config = ORPOConfig(str(folder), bf16=False, **given)
    return config, [str(entry.message) for entry in caught if entry.category is SpellingWarning]


def test_every_argument_that_transformers_lost_has_a_row() -> None:
    assert {row.name for row in SPELLINGS if row.last} == LOST_BY_TRANSFORMERS


def test_every_older_argument_is_a_field_whichever_transformers_is_installed() -> None:
    fields = {field.name for field in dataclasses.fields(ORPOConfig)}
    assert fields >= LOST_BY_TRANSFORMERS | {"alpha", "lambda_", "orpo_alpha"}


def test_an_argument_that_transformers_still_has_is_left_to_it() -> None:
    native = {field.name for field in dataclasses.fields(TrainingArguments)}
    assert not native & set(DECLARED)


@pytest.mark.parametrize(("given", "expected"), TRANSLATIONS)
def test_an_older_spelling_takes_effect_in_the_modern_argument(
    given: dict[str, Any], expected: dict[str, Any], tmp_path: Path
) -> None:
    lost(*given)
    config, _ = build(tmp_path, **given)
    assert {name: getattr(config, name) for name in expected} == expected


@pytest.mark.parametrize("row", [row for row in DECLARED.values() if row.last], ids=lambda row: row.name)
def test_a_row_at_its_old_default_says_nothing(row: Any, tmp_path: Path) -> None:
    for value in row.inert:
        _, said = build(tmp_path, **{row.name: value})
        assert said == []


def test_accelerator_settings_join_those_given(tmp_path: Path) -> None:
    config, _ = build(tmp_path, split_batches=True, dispatch_batches=False, accelerator_config={"even_batches": False})
    held = config.accelerator_config
    assert (held.split_batches, held.dispatch_batches, held.even_batches) == (True, False, False)


@pytest.mark.parametrize(
    ("given", "entries"),
    [
        ({"fsdp_min_num_params": 9}, {"min_num_params": 9}),
        ({"fsdp_min_num_params": 9, "fsdp_config": {"xla": False}}, {"min_num_params": 9, "xla": False}),
        ({"fsdp_transformer_layer_cls_to_wrap": "Block"}, {"transformer_layer_cls_to_wrap": "Block"}),
    ],
)
def test_fsdp_settings_join_those_given(given: dict[str, Any], entries: dict[str, Any], tmp_path: Path) -> None:
    lost(*given)
    config, _ = build(tmp_path, **given)
    assert {name: config.fsdp_config[name] for name in entries} in (
        entries,
        {name: [entries[name]] for name in entries},
    )


def test_a_tpu_debug_flag_joins_the_debug_options(tmp_path: Path) -> None:
    config, _ = build(tmp_path, tpu_metrics_debug=True, debug="underflow_overflow")
    assert {option.value for option in config.debug} == {"underflow_overflow", "tpu_metrics_debug"}


def test_a_ratio_of_one_warms_up_over_the_whole_run_not_over_one_step(tmp_path: Path) -> None:
    lost("warmup_ratio")
    config, _ = build(tmp_path, warmup_ratio=1.0)
    assert config.get_warmup_steps(200) == 200


def test_a_ratio_can_be_set_later_and_lies_between_none_and_all(tmp_path: Path) -> None:
    lost("warmup_ratio")
    config, _ = build(tmp_path, warmup_steps=7)
    config.warmup_ratio = 0.25
    assert config.get_warmup_steps(200) == 50
    with pytest.raises(ConfigError, match=r"warmup_ratio=1.5"):
        build(tmp_path, warmup_ratio=1.5)


def test_a_ratio_warms_up_over_its_share_of_the_steps(tmp_path: Path) -> None:
    config, _ = build(tmp_path, warmup_ratio=0.1)
    assert config.get_warmup_steps(200) == 20


def test_a_translation_is_mentioned_once_and_names_the_modern_argument(tmp_path: Path) -> None:
    _, said = build(tmp_path, evaluation_strategy="epoch")
    assert len(said) == 1
    assert "eval_strategy" in said[0]
    _, again = build(tmp_path, evaluation_strategy="epoch")
    assert again == []


def test_only_the_first_process_of_a_run_warns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "3")
    config, said = build(tmp_path, evaluation_strategy="epoch")
    assert (config.eval_strategy, said) == ("epoch", [])


def test_an_ignored_argument_is_kept_and_its_consequence_named(tmp_path: Path) -> None:
    lost("save_safetensors", "overwrite_output_dir")
    config, said = build(tmp_path, save_safetensors=False, overwrite_output_dir=True)
    assert (config.save_safetensors, config.overwrite_output_dir) == (False, True)
    assert len(said) == 2
    assert "save_safetensors=False is accepted and ignored: weights are always saved as safetensors" in said


def test_the_warning_points_at_the_callers_line(tmp_path: Path) -> None:
    lost("past_index")
    with pytest.warns(SpellingWarning) as caught:
        ORPOConfig(str(tmp_path), past_index=2)
    assert caught[0].filename == __file__


def test_a_token_is_not_shown_in_a_warning(tmp_path: Path) -> None:
    lost("push_to_hub_token")
    _, said = build(tmp_path, push_to_hub_token="hf_secret")
    assert "hf_secret" not in said[0]
    with pytest.raises(ConfigError) as caught:
        ORPOConfig(str(tmp_path), push_to_hub_token="hf_secret", hub_token="hf_other")
    assert "hf_" not in str(caught.value)


@pytest.mark.parametrize(
    "given",
    [
        {"per_gpu_train_batch_size": 3, "per_device_train_batch_size": 4},
        {"adafactor": True, "optim": "sgd"},
        {"push_to_hub_organization": "us", "hub_model_id": "them/m"},
        {"fsdp_min_num_params": 3, "fsdp_config": "fsdp.json"},
        {"dispatch_batches": True, "accelerator_config": "accelerate.json"},
    ],
)
def test_two_spellings_that_disagree_are_refused(given: dict[str, Any], tmp_path: Path) -> None:
    lost(*given)
    with pytest.raises(ConfigError, match=next(iter(given))):
        ORPOConfig(str(tmp_path), **given)


def test_a_moved_value_is_not_kept_twice(tmp_path: Path) -> None:
    config, _ = build(tmp_path, evaluation_strategy="epoch", no_cuda=True)
    assert all(getattr(config, name) is None for name in MOVED)
    assert dataclasses.replace(config, eval_strategy="no").eval_strategy == "no"


@pytest.mark.usefixtures("clean_environment")
def test_a_logging_folder_reaches_tensorboard_and_stays_readable(tmp_path: Path) -> None:
    config, _ = build(tmp_path, logging_dir=str(tmp_path / "logs"))
    assert config.logging_dir == str(tmp_path / "logs")
    if "logging_dir" in DECLARED:
        assert os.environ["TENSORBOARD_LOGGING_DIR"] == str(tmp_path / "logs")


@pytest.mark.parametrize(("gone", "modern"), spellings.OPTIMIZERS.items())
def test_an_optimizer_that_is_gone_gives_way_to_its_equal(gone: str, modern: str, tmp_path: Path) -> None:
    known = {entry.value for entry in OptimizerNames}
    assert modern in known
    config, said = build(tmp_path, optim=gone)
    assert config.optim == (gone if gone in known else modern)
    assert len(said) == (gone not in known)
