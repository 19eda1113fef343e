"""The option list is the config's: every field is there, described as it is, and read back as its kind."""

from __future__ import annotations

import dataclasses
import re
from importlib.metadata import version
from pathlib import Path

import pytest

from orpo_compat.cli.config_options import OPTIONS_FILE, ConfigOption, config_options, given
from orpo_compat.cli.describe_config import ELSEWHERE, as_json
from orpo_compat.config import ORPOConfig
from orpo_compat.errors import ConfigError


def pinned_transformers() -> str:
    pins = (Path(__file__).parents[2] / "constraints.txt").read_text("utf-8")
    found = re.search(r"^transformers==(\S+)$", pins, re.MULTILINE)
    assert found
    return found[1]


@pytest.mark.skipif(version("transformers") != pinned_transformers(), reason="the file describes the pinned release")
def test_the_file_is_up_to_date() -> None:
    assert OPTIONS_FILE.read_text("utf-8") == as_json(), "run `python -m orpo_compat.cli.describe_config`"


def test_every_field_is_an_option_or_has_one_in_its_place() -> None:
    fields = {field.name for field in dataclasses.fields(ORPOConfig)}
    options = {option.name for option in config_options()}
    if version("transformers") == pinned_transformers():
        assert options | ELSEWHERE.keys() == fields
    assert not options & ELSEWHERE.keys()


def test_options_have_help_and_no_two_share_a_flag() -> None:
    options = config_options()
    assert all(option.help for option in options)
    flags = [option.flag for option in options]
    assert len(set(flags)) == len(flags)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("lr_scheduler_kwargs", '{"min_lr": 1e-6}', {"min_lr": 1e-6}),
        ("report_to", "wandb,tensorboard", ["wandb", "tensorboard"]),
        ("disable_dropout", "base", "base"),
        ("disable_dropout", "false", False),
        ("eval_strategy", "no", "no"),
        ("logging_steps", 10.0, 10),
        ("logging_steps", 0.1, 0.1),
        ("deepspeed", "zero3.json", "zero3.json"),
        ("tokens_per_pass", "4096", "4096"),
        ("bf16", False, False),
    ],
)
def test_values_are_read_as_the_field_takes_them(name: str, value: object, expected: object) -> None:
    assert given({name: value, "unknown": 1, "beta": None}) == {name: expected}


def test_what_was_read_constructs_the_config(tmp_path: Path) -> None:
    values = given({"tokens_per_pass": "4096", "disable_dropout": "base", "eval_strategy": "no", "alpha": 0.2})
    config = ORPOConfig(output_dir=str(tmp_path), use_cpu=True, **values)
    assert (config.tokens_per_pass, config.disable_dropout, config.beta) == (4096, "base", 0.2)


def test_broken_json_names_the_option_and_the_column() -> None:
    option = ConfigOption("lr_scheduler_kwargs", "structured", "", "", "")
    with pytest.raises(ConfigError, match="--lr-scheduler-kwargs: not JSON at column"):
        option.read('{"a": }')
