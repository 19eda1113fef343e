"""Oracle: the fields of the config itself: advice that names an argument must name one that exists."""

from __future__ import annotations

import dataclasses
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orpo_compat.config import ORPOConfig
from orpo_compat.refusals import ADVICE, unknown_argument

FIELDS = {field.name for field in dataclasses.fields(ORPOConfig)}
COMMON = ("learning_rate", "max_prompt_length", "per_device_train_batch_size", "gradient_checkpointing", "warmup_ratio")


@pytest.mark.parametrize("name", ADVICE)
def test_advice_is_only_given_for_names_that_are_no_fields(name: str) -> None:
    assert name not in FIELDS


@pytest.mark.parametrize("advice", sorted({text for text in ADVICE.values() if text.startswith("write ")}))
def test_advice_names_arguments_that_exist(advice: str) -> None:
    assert re.findall(r"write (\w+)", advice)[0] in FIELDS


@given(name=st.sampled_from(COMMON), place=st.integers(0, 40), letter=st.sampled_from("aeioxz_"))
def test_one_wrong_letter_finds_the_argument_that_was_meant(name: str, place: int, letter: str) -> None:
    place %= len(name)
    typo = name[:place] + letter + name[place + 1 :]
    if typo not in FIELDS:
        assert f"'{name}'" in str(unknown_argument("ORPOConfig", typo, FIELDS))


def test_a_name_like_no_other_points_to_the_reference() -> None:
    assert "docs/config.md" in str(unknown_argument("ORPOConfig", "zzzzzz", FIELDS))
