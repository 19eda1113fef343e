"""Imports whose module is a string."""

from __future__ import annotations

import pytest

from tests.codemods.checks import check_noop, check_refuses


@pytest.mark.parametrize(
    "source",
    [
        "import importlib\nm = importlib.import_module('trl.experimental.orpo')\n",
        "import importlib\nm = importlib.import_module('trl')\nC = m.ORPOConfig\n",
        "C = __import__('trl').ORPOConfig\n",
        "C = getattr(__import__('trl'), 'ORPOConfig')\n",
        "C = __import__('trl.trainer', fromlist=['ORPOConfig']).ORPOConfig\n",
        "C = lazily('trl', 'ORPOConfig')\n",
        "import pytest\no = pytest.importorskip('trl.trainer.orpo_trainer')\n",
        "import sys\nC = sys.modules['trl'].ORPOConfig\n",
        "import sys\nm = sys.modules['trl.trainer']\nC = m.ORPOConfig\n",
        "m = lazily('trl')\nC = m.ORPOConfig\n",
        "import importlib\nm = importlib.import_module(f'trl.trainer.orpo_trainer')\n",
        "import importlib\nC = getattr(importlib.import_module('trl'), 'orpo'.upper() + 'Trainer')\n",
    ],
)
def test_a_module_named_by_a_string_is_reported(source: str) -> None:
    check_refuses(source, "OC102")


@pytest.mark.parametrize(
    "name",
    [
        "f'trl.trainer.{kind}_trainer'",
        "'trl.trainer.' + kind",
        "'trl.trainer.%s_trainer' % kind",
        "'trl.trainer.{}_trainer'.format(kind)",
        "f'trl.experimental.{kind}'",
        "f'trl.{cls}'",
        "f'from trl import {cls}'",
        "'trl.' 'trainer.' f'{kind}_trainer'",
        "'trl.trainer.orpo' + '_trainer'",
    ],
)
def test_a_name_put_together_is_reported_wherever_it_stands(name: str) -> None:
    check_refuses(f"kind, cls = 'orpo', 'x'\nname = {name}\n", "OC102")


@pytest.mark.parametrize(
    "name", ["f'{package}.experimental.orpo'", "package + '.trainer.orpo_trainer'", "'.'.join(['trl', kind])"]
)
def test_an_imported_name_is_reported_for_either_half(name: str) -> None:
    check_refuses(f"kind, package = 'orpo', 'trl'\nmodule = import_module({name})\n", "OC102")


@pytest.mark.parametrize(
    "name", ["f'trl.trainer.dpo_{kind}'", "f'trl {kind}'", "f'my.trl.{kind}'", "f'trl.__{kind}__'"]
)
def test_a_name_that_can_become_no_orpo_is_not(name: str) -> None:
    check_noop(f"kind = 'orpo'\nname = {name}\n")


def test_reads_from_the_loaded_module_are_listed() -> None:
    done = check_refuses("t = __import__('trl')\na = t.ORPOConfig\nb = t.trainer.ORPOTrainer\nc = t.X\n", "OC102")
    assert [finding.line for finding in done.findings] == [1, 2, 3]


def test_the_double_of_another_package_is_not() -> None:
    check_noop("import sys\nC = sys.modules['easydel'].ORPOConfig\ntrl = sys.modules['trl'].SFTTrainer\n")


def test_loading_trl_for_something_else_is_not() -> None:
    check_noop("import importlib\nm = importlib.import_module('trl')\nm.SFTTrainer\n\n\nclass ORPOTrainer: ...\n")


def test_a_whole_name_of_another_module_is_not_taken_for_the_start_of_one() -> None:
    check_noop("kind = 'orpo'\nlog = getLogger('trl.trainer')\nname = 'trl.experimental'\n")
