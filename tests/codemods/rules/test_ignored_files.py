"""Suppressions of a file, a statement or a line."""

from __future__ import annotations

import pytest

from tests.codemods.checks import check_refuses, check_rewrites


def test_a_whole_file_stays_with_one_finding() -> None:
    done = check_refuses(
        "# orpo-compat: ignore-file compares both\nimport trl\ntrl.ORPOConfig\n# trl.ORPOConfig\n", "OC116"
    )
    assert len(done.findings) == 1
    assert "compares both" in done.findings[0].advice


@pytest.mark.parametrize(
    "source",
    [
        "from trl import ORPOConfig  # orpo-compat: ignore theirs\n",
        "# orpo-compat: ignore[OC001] theirs\nfrom trl import ORPOConfig\n",
        "from trl import (\n    ORPOConfig,  # orpo-compat: ignore\n    SFTConfig,\n)\n",
        "import trl  # orpo-compat: ignore\ntrl.ORPOConfig\n",
        "x = 'trl.ORPOConfig'  # orpo-compat: ignore[OC103] a label\n",
    ],
)
def test_a_line_or_statement_stays(source: str) -> None:
    codes = {"OC116"} if "import trl " not in source else {"OC116", "OC126"}
    check_refuses(source, *codes)


def test_one_use_can_stay_while_the_others_move() -> None:
    check_rewrites(
        "import trl\na = trl.ORPOConfig\nb = trl.ORPOConfig  # orpo-compat: ignore[OC002] theirs\n",
        "import trl\nimport orpo_compat\na = orpo_compat.ORPOConfig\n"
        "b = trl.ORPOConfig  # orpo-compat: ignore[OC002] theirs\n",
        "OC116",
    )


def test_a_named_rule_leaves_the_others_at_work() -> None:
    source = "try:  # orpo-compat: ignore[OC107] fine\n    from {} import ORPOConfig\nexcept ImportError:\n    raise\n"
    check_rewrites(source.format("trl"), source.format("orpo_compat"), "OC116")
