"""Errors of other libraries, said as the option that causes them. The errors are theirs, raised for the purpose."""

from __future__ import annotations

import pytest
from huggingface_hub.errors import LocalTokenNotFoundError
from torch import nn

from orpo_compat.cli.explained import explained_settings
from orpo_compat.errors import ConfigError, ModelError


def test_a_hub_that_refuses_is_said_with_what_to_try() -> None:
    with pytest.raises(ModelError, match=r"--push-to-hub: .*no token(.|\n)*hf auth login"), explained_settings(None):
        raise LocalTokenNotFoundError("no token")


def test_a_choice_of_transformers_lists_the_others() -> None:
    from transformers.trainer_utils import SchedulerType

    said = r"foo is not a valid SchedulerType\.\n  Next: give one of 'linear'"
    with pytest.raises(ConfigError, match=said), explained_settings(None):
        SchedulerType("foo")


def test_lora_targets_that_do_not_exist_are_answered_with_those_that_do() -> None:
    from peft import LoraConfig, get_peft_model

    from orpo_compat.tiny_model import tiny_model

    model = tiny_model()
    with pytest.raises(ConfigError, match=r"some of .*k_proj.*q_proj"), explained_settings(model):
        get_peft_model(model, LoraConfig(target_modules=["absent"]))


def test_an_error_of_our_own_making_stays_what_it_is() -> None:
    with pytest.raises(ZeroDivisionError), explained_settings(nn.Linear(1, 1)):
        raise ZeroDivisionError
