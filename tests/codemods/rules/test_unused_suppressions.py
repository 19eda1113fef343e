"""Suppressions that suppress nothing."""

from __future__ import annotations

import pytest

from tests.codemods.checks import check_refuses, check_rewrites


@pytest.mark.parametrize(
    "source",
    [
        "x = 1  # orpo-compat: ignore\n",
        "# orpo-compat: ignore-file\nx = 1\n",
        "from trl import SFTConfig  # orpo-compat: ignore[OC001] old\n",
        "# orpo-compat: ignore[OC103]\n",
    ],
)
def test_a_suppression_without_effect_is_reported(source: str) -> None:
    done = check_refuses(source, "OC116")
    assert "no effect" in done.findings[0].message


def test_the_wrong_code_has_no_effect() -> None:
    check_rewrites(
        "from trl import ORPOConfig  # orpo-compat: ignore[OC103]\n",
        "from orpo_compat import ORPOConfig  # orpo-compat: ignore[OC103]\n",
        "OC116",
    )
