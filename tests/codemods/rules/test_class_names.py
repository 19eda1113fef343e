"""Strings that are a class's name, where TRL is read too."""

from __future__ import annotations

import pytest

from codemods.findings import Severity
from tests.codemods.checks import check_noop, check_refuses


@pytest.mark.parametrize(
    "source",
    [
        "NAMES = {'orpo': 'ORPOTrainer'}\nm = load('trl')\n",
        "_LAZY = {'ORPOTrainer': 'trl'}\n",
        "from trl import SFTTrainer\nfor name in ('DPOTrainer', 'ORPOTrainer'):\n    go(trainer, name)\n",
        "from trl import SFTTrainer\nwith patch(target('ORPOTrainer')) as made:\n    go()\n",
        "KNOWN = [\n    'ORPOConfig',\n]\nfrom trl import SFTTrainer\n",
    ],
)
def test_a_listed_name_of_a_class_is_good_to_know(source: str) -> None:
    done = check_refuses(source, "OC103")
    assert [finding.severity for finding in done.findings] == [Severity.INFO]


@pytest.mark.parametrize(
    "source",
    [
        "NAMES = {'orpo': 'ORPOTrainer'}\n",
        "import easydel\nNAMES = {'orpo': 'ORPOTrainer'}\n",
        "from trl import SFTTrainer\nclass ORPOTrainer: ...\nNAMES = ['ORPOTrainer']\n",
        "import trl\n__all__ = ['ORPOTrainer']\n",
        "from trl import SFTTrainer\nok = hasattr(mine, 'ORPOTrainer')\n",
        "import trl\nok = type(x).__name__ == 'ORPOTrainer'\n",
    ],
)
def test_a_name_of_ones_own_is_nothing(source: str) -> None:
    check_noop(source)
