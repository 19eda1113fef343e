"""Helpers that lived in ORPO's modules and did not move with the classes."""

from __future__ import annotations

import pytest

from tests.codemods.checks import check_refuses, check_rewrites


def test_a_helper_stays_and_its_present_home_is_named() -> None:
    done = check_rewrites(
        "from trl.trainer.orpo_trainer import DPODataCollatorWithPadding, ORPOTrainer\n",
        "from trl.trainer.orpo_trainer import DPODataCollatorWithPadding\nfrom orpo_compat import ORPOTrainer\n",
        "OC121",
    )
    assert "trl.experimental.utils" in done.findings[0].advice


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
