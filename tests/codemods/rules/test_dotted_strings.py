"""Strings that a call reads as names move with --strings, all others never."""

from __future__ import annotations

import pytest

from codemods.options import Options
from tests.codemods.checks import check_refuses, check_rewrites

STRINGS = Options(strings=True)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("mocker.patch('trl.trainer.ORPOTrainer.train')\n", "mocker.patch('orpo_compat.ORPOTrainer.train')\n"),
        ('monkeypatch.setattr("trl.ORPOConfig", C)\n', 'monkeypatch.setattr("orpo_compat.ORPOConfig", C)\n'),
        ("import_module('trl').ORPOConfig\n", "import_module('orpo_compat').ORPOConfig\n"),
        ("getattr(import_module('trl'), 'ORPOConfig')\n", "getattr(import_module('orpo_compat'), 'ORPOConfig')\n"),
        (
            "m = import_module('trl.trainer.orpo_trainer')\nm.ORPOTrainer\n",
            "m = import_module('orpo_compat')\nm.ORPOTrainer\n",
        ),
    ],
)
def test_known_calls_are_rewritten(before: str, after: str) -> None:
    check_rewrites(before, after, options=STRINGS)


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("REGISTRY = {'orpo': 'trl.ORPOTrainer'}\n", "OC103"),
        ("run('from trl import ORPOTrainer')\n", "OC103"),
        ("m = import_module('trl.trainer.orpo_trainer')\nm.pad_to_length\n", "OC102"),
        ("import_module('trl.trainer.orpo_trainer')\n", "OC102"),
        ("m = import_module('trl')\nm.ORPOTrainer\n", "OC102"),
        ("mock.patch('trl\\x2eORPOTrainer')\n", "OC103"),
    ],
)
def test_what_a_string_is_for_must_be_certain(source: str, code: str) -> None:
    check_refuses(source, code, options=STRINGS)


@pytest.mark.parametrize("call", ["mock.patch('trl.ORPOTrainer')", "monkeypatch.setattr('trl.ORPOConfig', C)"])
def test_without_the_option_they_are_reported(call: str) -> None:
    check_refuses(f"{call}\n", "OC103")
