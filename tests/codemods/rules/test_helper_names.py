"""Helpers that lived in ORPO's modules and did not move with the classes."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from codemods.catalog import GONE_FROM_TRL
from codemods.findings import Severity
from tests.codemods.checks import check_noop, check_refuses, check_rewrites


def test_a_helper_stays_and_its_present_home_is_named() -> None:
    done = check_rewrites(
        "from trl.trainer.orpo_trainer import DPODataCollatorWithPadding, ORPOTrainer\n",
        "from trl.trainer.orpo_trainer import DPODataCollatorWithPadding\nfrom orpo_compat import ORPOTrainer\n",
        "OC121",
    )
    assert "trl.experimental.utils" in done.findings[0].advice


def test_a_name_that_trl_itself_has_lost_is_told_beside_a_moved_one() -> None:
    done = check_rewrites(
        "from trl import ORPOConfig, setup_chat_format\n",
        "from trl import setup_chat_format\nfrom orpo_compat import ORPOConfig\n",
        "OC121",
    )
    assert done.findings[0].severity is Severity.WARNING
    check_noop("from trl import setup_chat_format  # for orpo\n")


def test_the_names_that_trl_has_lost_are_not_in_the_installed_release() -> None:
    top = find_spec("trl")
    assert top is not None
    assert top.origin is not None
    assert not [name for name in GONE_FROM_TRL if f'"{name}"' in Path(top.origin).read_text(encoding="utf-8")]


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("log1mexp", "orpo_trainer"),
        ("PreTrainedModelWrapper", "No present"),
        ("torch", "library"),
        ("_helper", "library"),
    ],
)
def test_the_advice_fits_the_helper(name: str, word: str) -> None:
    done = check_refuses(f"from trl.experimental.orpo.orpo_trainer import {name}\n", "OC121")
    assert word in done.findings[0].advice


def test_a_helper_is_told_where_the_uses_of_its_module_stay() -> None:
    source = "import trl.trainer.orpo_trainer\nh = trl.trainer.orpo_trainer.pad\nc = trl.ORPOConfig\ndel trl\n"
    done = check_refuses(source, "OC106", "OC121", "OC126")
    assert {(one.line, one.code) for one in done.findings} >= {(2, "OC121"), (3, "OC106"), (4, "OC106")}
