"""docs/train.md promises only options, files and names that exist."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from orpo_compat.cli.data import inspect as inspect_command
from orpo_compat.cli.evaluate import evaluate
from orpo_compat.cli.generate import compare
from orpo_compat.cli.train import train
from orpo_compat.models import ALIASES
from orpo_compat.plots import PANELS

PAGE = (Path(__file__).parents[2] / "docs" / "train.md").read_text("utf-8")
# What another tool calls it stands in the first column, in that tool's spelling.
OURS = re.sub(r"^\|[^|]*\|", "|", PAGE, flags=re.MULTILINE)


def flags_of(command: object) -> set[str]:
    signature = inspect.signature(command)  # type: ignore[arg-type]
    return {"--" + name.strip("_").replace("_", "-") for name in signature.parameters} | {"--help"}


def test_every_option_named_exists() -> None:
    known = set().union(*(flags_of(command) for command in (train, inspect_command, evaluate, compare)))
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", OURS))
    assert len(named) > 30
    assert named <= known


def test_every_picture_named_is_drawn() -> None:
    drawn = {f"{panel.stem}.png" for panel in PANELS} | {"overview.png"}
    assert set(re.findall(r"`(?:plots/)?(\w+\.png)`", PAGE)) <= drawn


@pytest.mark.parametrize("option", ["total_batch_size", "learning_rate_end", "max_prompt_length", "save_steps"])
def test_the_other_tools_options_have_their_counterpart(option: str) -> None:
    assert f"`--{option}`" in PAGE
    assert f"`--{option.replace('_', '-')}`" in PAGE


def test_the_alias_is_one() -> None:
    assert "SmolLM-135M" in ALIASES
