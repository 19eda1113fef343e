"""A few of the random kills of ``random_kills.py``: one of each victim, moment and cure."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.codemods.random_kills import Killer, repository, rounds


@pytest.mark.slow
def test_a_killed_command_leaves_whole_files_and_a_way_to_either_side(tmp_path: Path) -> None:
    repository(tmp_path / "repository", 40)
    killer = Killer(tmp_path / "repository")
    for one in rounds(12):
        killer.run(one)
