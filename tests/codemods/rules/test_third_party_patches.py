"""Unsloth replaces TRL's classes; the file stays with TRL."""

from __future__ import annotations

import pytest

from tests.codemods.checks import check_refuses, check_rewrites


@pytest.mark.parametrize(
    "patcher", ["import unsloth", "from unsloth.models import FastLlamaModel", "import os, unsloth as u"]
)
def test_the_file_stays(patcher: str) -> None:
    done = check_refuses(f"{patcher}\nfrom trl import ORPOConfig, ORPOTrainer\n", "OC112")
    assert [finding.line for finding in done.findings] == [1, 2]


def test_a_suppressed_finding_lets_it_move() -> None:
    line = "import unsloth  # orpo-compat: ignore[OC112] only its loader\n"
    check_rewrites(f"{line}from trl import ORPOConfig\n", f"{line}from orpo_compat import ORPOConfig\n", "OC116")


def test_a_local_module_of_that_name_is_not_it() -> None:
    check_rewrites(
        "from .unsloth import x\nfrom trl import ORPOConfig\n",
        "from .unsloth import x\nfrom orpo_compat import ORPOConfig\n",
    )


def test_ligers_trainer_keeps_its_config() -> None:
    liger = "from liger_kernel.transformers.trainer import LigerORPOTrainer\n"
    check_refuses(f"{liger}from trl import ORPOConfig\n", "OC112")
    other = "from liger_kernel.transformers import AutoLigerKernelForCausalLM\n"
    check_rewrites(f"{other}from trl import ORPOConfig\n", f"{other}from orpo_compat import ORPOConfig\n")
