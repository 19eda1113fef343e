"""Generated files, by their marker."""

from __future__ import annotations

from tests.codemods.checks import check_refuses, check_rewrites

MARK = "@" + "generated"


def test_the_marker_at_the_top_stops_the_file_and_every_mention_is_listed() -> None:
    done = check_refuses(f"# {MARK} by make\nimport trl\nfrom trl import ORPOConfig\ntrl.ORPOTrainer\n", "OC114")
    assert [finding.line for finding in done.findings] == [1, 3, 4]


def test_the_marker_far_down_or_in_code_does_not() -> None:
    for source in (
        f"from trl import ORPOConfig\nx = '{MARK}'\n",
        "from trl import ORPOConfig\n" + "\n" * 60 + f"# {MARK}\n",
    ):
        check_rewrites(source, source.replace("from trl", "from orpo_compat"))
