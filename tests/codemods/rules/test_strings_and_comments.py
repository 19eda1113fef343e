"""The last net over text: strings, comments and docstrings."""

from __future__ import annotations

import pytest

from codemods.findings import Severity
from tests.codemods.checks import check_noop, check_refuses, check_rewrites


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("PATH = 'trl.trainer.orpo_config.ORPOConfig'\n", "OC103"),
        ("CODE = '''\nfrom trl import (\n    ORPOConfig,\n)\n'''\n", "OC103"),
        ("NAME = 'trl.' 'ORPOConfig'\n", "OC103"),
        ("x = f'{y} is trl.ORPOConfig'\n", "OC103"),
        ("x = 1  # from trl import ORPOConfig\n", "OC103"),
        ("x = 1  # see https://host/trl/blob/main/orpo_trainer.py\n", "OC103"),
        ("# TRL's ORPOTrainer does this\n", "OC103"),
        ('"""Like trl.experimental.orpo."""\n', "OC118"),
        ('def f():\n    """\n    >>> from trl import ORPOConfig\n    """\n', "OC118"),
        ("os.system('python -m trl.trainer.orpo_trainer')\n", "OC103"),
    ],
)
def test_a_mention_in_text_is_reported(source: str, code: str) -> None:
    check_refuses(source, code)


@pytest.mark.parametrize(
    "source", ["x = 'mytrl.ORPOConfig'\n", "x = 'a.trl.ORPOConfig'\n", "# control ORPOTrainer\n", "y = 'ORPO', 'trl'\n"]
)
def test_what_only_looks_alike_is_not(source: str) -> None:
    check_noop(source)


def test_every_line_of_a_docstring_is_reported_by_itself() -> None:
    done = check_refuses('"""A.\n\ntrl.ORPOConfig\n\nand trl.ORPOTrainer.\n"""\n', "OC118")
    assert [(finding.line, finding.column) for finding in done.findings] == [(3, 1), (5, 5)]


def test_prose_is_information_and_a_string_a_warning() -> None:
    done = check_refuses("x = 'trl.ORPOConfig'\n# trl.ORPOConfig\n", "OC103")
    assert [finding.severity for finding in done.findings] == [Severity.WARNING, Severity.INFO]


@pytest.mark.parametrize(
    "call", ["logging.getLogger('trl.trainer')", "warnings.filterwarnings('ignore', module='trl')"]
)
def test_filters_by_module_name_are_told_when_the_module_changes(call: str) -> None:
    check_rewrites(f"{call}\nfrom trl import ORPOConfig\n", f"{call}\nfrom orpo_compat import ORPOConfig\n", "OC103")
    check_noop(f"{call}\nfrom rl import ORPOConfig\n")


def test_a_name_added_up_from_strings_is_told_where_it_begins() -> None:
    done = check_refuses("import os\nname = ('trl' +\n  '.trainer' + '.orpo_trainer')\n", "OC103")
    assert [finding.line for finding in done.findings] == [2]
