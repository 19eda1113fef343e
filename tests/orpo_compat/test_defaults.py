"""Oracle: the defaults each release declared (``data/trl_config_fields.json``), and how its trainer read ``None``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

from orpo_compat.config import ORPOConfig
from orpo_compat.defaults import RELEASES, defaults_of
from orpo_compat.errors import ConfigError

DECLARED: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).parent / "data" / "trl_config_fields.json").read_text(encoding="utf-8")
)
INHERITED = {"learning_rate": 5e-5, "logging_steps": 500, "bf16": False, "gradient_checkpointing": False}
"""``TrainingArguments``' defaults, which hold where a release declared none of its own."""

MEANT_BY_NONE = {"max_length": 512, "max_prompt_length": 128}
"""What trainers up to 0.13 used, with a warning, when the length was not given."""


def test_the_table_knows_every_release() -> None:
    assert list(DECLARED) == list(RELEASES)
    assert sorted(RELEASES, key=Version) == list(RELEASES)


@pytest.mark.parametrize("release", RELEASES)
def test_a_release_starts_from_its_own_defaults(release: str, tmp_path: Path) -> None:
    config = ORPOConfig.for_trl(release, output_dir=str(tmp_path))
    theirs = DECLARED[release]
    for name, inherited in INHERITED.items():
        expected = theirs.get(name, inherited)
        if name == "bf16":
            assert defaults_of(release)[name] == expected
        else:
            assert getattr(config, name) == expected, name
    for name, number in MEANT_BY_NONE.items():
        if name in theirs:
            assert getattr(config, name) == (number if theirs[name] is None else theirs[name]), name
        else:
            assert getattr(config, name) is None


@pytest.mark.parametrize(("release", "mode"), [("0.8.2", "keep_end"), ("0.27.2", "keep_end"), ("0.28.0", None)])
def test_the_truncation_rule_follows_what_the_release_did(release: str, mode: str | None, tmp_path: Path) -> None:
    assert ORPOConfig.for_trl(release, output_dir=str(tmp_path)).truncation_mode == mode


def test_the_newest_release_is_the_plain_constructor(tmp_path: Path) -> None:
    assert ORPOConfig.for_trl("1.16.0", output_dir=str(tmp_path)) == ORPOConfig(str(tmp_path))


def test_arguments_win_over_the_release_and_may_be_older_spellings(tmp_path: Path) -> None:
    config = ORPOConfig.for_trl("v0.9.6", output_dir=str(tmp_path), learning_rate=8e-6, alpha=0.3, warmup_ratio=0.1)
    assert (config.learning_rate, config.beta, config.max_prompt_length) == (8e-6, 0.3, 128)
    assert config.get_warmup_steps(100) == 10


@pytest.mark.parametrize(
    ("release", "near"),
    [
        ("0.9.5", "0.9.4 and 0.9.6"),
        ("0.8.1", "nearest: 0.8.2"),
        ("2.0.0", "nearest: 1.16.0"),
        ("newest", "is not a version"),
    ],
)
def test_a_release_that_never_was_names_its_neighbours(release: str, near: str) -> None:
    with pytest.raises(ConfigError, match=near):
        ORPOConfig.for_trl(release)
