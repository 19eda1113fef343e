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
    ],
)
def test_a_module_named_by_a_string_is_reported(source: str) -> None:
    check_refuses(source, "OC102")


def test_reads_from_the_loaded_module_are_listed() -> None:
    done = check_refuses("t = __import__('trl')\na = t.ORPOConfig\nb = t.trainer.ORPOTrainer\nc = t.X\n", "OC102")
    assert [finding.line for finding in done.findings] == [1, 2, 3]


def test_the_double_of_another_package_is_not() -> None:
    check_noop("import sys\nC = sys.modules['easydel'].ORPOConfig\ntrl = sys.modules['trl'].SFTTrainer\n")


def test_loading_trl_for_something_else_is_not() -> None:
    check_noop("import importlib\nm = importlib.import_module('trl')\nm.SFTTrainer\n\n\nclass ORPOTrainer: ...\n")
