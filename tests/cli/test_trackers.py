"""Names of trackers, and what is said where one is missing; reporting itself is transformers' work."""

from __future__ import annotations

import importlib.util

import pytest

from orpo_compat.cli import trackers as module
from orpo_compat.cli.trackers import trackers
from orpo_compat.errors import ConfigError


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only W&B and Comet are there."""
    there = {"wandb", "comet_ml"}
    monkeypatch.setattr(module, "find_spec", lambda name: importlib.util.find_spec("json") if name in there else None)


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ("none", []),
        (None, []),
        ([], []),
        ("wandb", ["wandb"]),
        ("comet", ["comet_ml"]),
        ("wandb, comet", ["wandb", "comet_ml"]),
        (["wandb"], ["wandb"]),
        ("all", ["wandb", "comet_ml"]),
    ],
)
@pytest.mark.usefixtures("installed")
def test_names_are_read_in_every_way_of_writing_them(asked: object, names: list[str]) -> None:
    assert trackers(asked) == names


@pytest.mark.parametrize(
    ("asked", "fragments"),
    [
        ("tensorboard", ["not installed", "pip install tensorboard"]),
        ("wanbd", ["no such tracker", "did you mean wandb"]),
    ],
)
@pytest.mark.usefixtures("installed")
def test_a_tracker_that_cannot_be_used_is_answered(asked: str, fragments: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        trackers(asked)
    for fragment in fragments:
        assert fragment in str(caught.value)


def test_every_name_is_one_that_transformers_takes() -> None:
    from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK

    assert module.PACKAGES.keys() <= INTEGRATION_TO_CALLBACK.keys()
