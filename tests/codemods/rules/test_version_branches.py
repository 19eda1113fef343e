"""Branches on TRL's version, and pins that the file could not have worked with."""

from __future__ import annotations

import pytest

from codemods.options import Options
from tests.codemods.checks import check_rewrites


@pytest.mark.parametrize(
    "test",
    [
        "parse(trl_version) < parse('0.26')",
        "version.parse(trl.__version__) >= version.parse('0.29')",
        "is_trl_version('>=', '0.26')",
        "Version(metadata.version('trl')) < Version('1')",
    ],
)
def test_both_arms_of_a_version_branch_move(test: str) -> None:
    arms = f"if {test}:\n    from OLD import ORPOConfig\nelse:\n    from NEW import ORPOConfig\n"
    check_rewrites(
        arms.replace("OLD", "trl").replace("NEW", "trl.experimental.orpo"),
        arms.replace("OLD", "orpo_compat").replace("NEW", "orpo_compat"),
        "OC108",
    )


@pytest.mark.parametrize(("release", "codes"), [("0.28.0", []), ("0.29.0", ["OC108"]), ("main", []), (None, [])])
def test_a_pin_without_the_path_says_that_the_file_was_broken(release: str | None, codes: list[str]) -> None:
    options = Options(trl_version=release)
    check_rewrites("from trl import ORPOTrainer\n", "from orpo_compat import ORPOTrainer\n", *codes, options=options)
    check_rewrites(
        "from trl.experimental.orpo import ORPOTrainer\n", "from orpo_compat import ORPOTrainer\n", options=options
    )


def test_a_branch_around_uses_is_reported_too() -> None:
    source = "import trl as t\nif metadata_version('trl') < '1':\n    C = t.ORPOConfig\n"
    check_rewrites(source, source.replace("trl as", "orpo_compat as"), "OC108")
