"""What counts as a mention of TRL's ORPO in text."""

from __future__ import annotations

import pytest

from codemods.mentions import mentions


def exact(text: str) -> list[str]:
    return [text[one.start : one.end] for one in mentions(text.encode(), "trl") if one.exact]


@pytest.mark.parametrize(
    "text",
    [
        "trl.ORPOTrainer",
        "trl.trainer.orpo_config",
        "trl.experimental.orpo",
        "from trl import ORPOConfig",
        "from trl import SFTConfig, ORPOConfig",
        "from trl import (\n    SFTConfig,  # cli\n    ORPOConfig",
        "from trl import SFTConfig, \\\n    ORPOConfig",
        "from trl.experimental import orpo",
    ],
)
def test_names_and_imports_are_exact_mentions(text: str) -> None:
    assert text in exact(f"x {text} y")


@pytest.mark.parametrize(
    "text",
    [
        "from trl import SFTTrainer\nclass ORPOTrainer: ...",
        "from trl import (SFTTrainer)\nORPOTrainer",
        "from trl import SFTTrainer; ORPOTrainer",
        "mytrl.ORPOTrainer",
        "my.trl.ORPOTrainer",
        "trl.ORPOTrainers",
        "orpo_compat.ORPOTrainer",
    ],
)
def test_names_that_only_stand_near_are_not(text: str) -> None:
    assert exact(text) == []


def test_prose_is_a_mention_on_one_line() -> None:
    assert [one.exact for one in mentions(b"TRL has an ORPO trainer", "trl")] == [False]
    assert not list(mentions(b"TRL\nORPOTrainer", "trl"))
    assert not list(mentions(b"control the ORPOTrainer", "trl"))


def test_our_own_names_are_looked_for_on_the_way_back() -> None:
    found = list(mentions(b"import orpo_compat; orpo_compat.ORPOConfig", "orpo_compat"))
    assert [one.start for one in found] == [20]
