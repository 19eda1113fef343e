"""Code that still reaches TRL's ORPO is listed line by line."""

from __future__ import annotations

from tests.codemods.checks import check_refuses, check_rewrites


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
