"""Code that still reaches TRL's ORPO is listed line by line."""

from __future__ import annotations

import pytest

from tests.codemods.checks import check_noop, check_refuses, check_rewrites


def test_a_refused_file_lists_each_use_with_the_reason() -> None:
    done = check_refuses(
        "import unsloth\nimport trl\n\n\ndef f():\n    from trl import ORPOConfig\n    return trl.ORPOTrainer\n",
        "OC112",
    )
    assert [finding.line for finding in done.findings] == [1, 6, 7]
    assert "see line 1" in done.findings[1].message


def test_a_suppressed_import_leaves_its_uses_to_be_listed() -> None:
    done = check_refuses("import trl  # orpo-compat: ignore\nx = trl.ORPOConfig\n", "OC116", "OC126")
    assert [finding.line for finding in done.findings] == [1, 2]


def test_nothing_remains_of_what_was_rewritten() -> None:
    check_rewrites(
        "import trl\nx = [trl.ORPOConfig, trl.trainer.ORPOTrainer]\n",
        "import orpo_compat\nx = [orpo_compat.ORPOConfig, orpo_compat.ORPOTrainer]\n",
    )


@pytest.mark.parametrize(
    "read",
    [
        "x = globals()['trl'].ORPOTrainer\n",
        "def f(): return trl\nx = f().ORPOTrainer\n",
        "M = {'trl': trl}\nx = M['trl'].trainer.ORPOConfig\n",
        "class A:\n    def __init__(self): self.lib = trl\n    def f(self): return self.lib.ORPOTrainer\n",
        "class A:\n    lib = trl\n    def f(self): return self.lib.ORPOTrainer\n",
        "x = given(trl)['orpo'].ORPOTrainer\n",
        "x = getattr(getattr(trl, 'trainer'), 'ORPOTrainer')\n",
        "from trl.experimental import *\nx = orpo.ORPOTrainer\n",
    ],
)
def test_a_class_read_from_what_no_name_says_is_told(read: str) -> None:
    done = check_refuses("import trl\n" + read, "OC126")
    assert b"ORPO" in done.source.splitlines()[done.findings[-1].line - 1]


def test_a_class_read_from_another_package_s_module_is_not() -> None:
    check_noop("import trl\nx = M['easydel'].ORPOTrainer\nclass A:\n    def f(self): return self.trl.ORPOTrainer\n")
