"""`orpo-compat demo` shows a run that goes well, and touches nothing that is there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from orpo_compat.cli.demo import PAIRS, write_pairs
from orpo_compat.cli.exit_codes import ExitCode
from tests.cli.calls import call


def test_a_folder_that_exists_is_left_alone(tmp_path: Path) -> None:
    result = call("demo", tmp_path)
    assert result.exit_code == ExitCode.REFUSED
    assert "exists already" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_file_has_the_columns_that_train_looks_for(tmp_path: Path) -> None:
    write_pairs(tmp_path / "prefs.csv", 3, seed=0)
    header, *rows = (tmp_path / "prefs.csv").read_text("utf-8").splitlines()
    assert (header, len(rows)) == ("prompt,chosen,rejected", 3)


@pytest.mark.slow
def test_the_demo_learns_the_preference_without_trouble(tmp_path: Path) -> None:
    line = [sys.executable, "-m", "orpo_compat", "demo", str(tmp_path / "demo")]
    done = subprocess.run(line, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert done.returncode == ExitCode.DONE, done.stderr[-2000:]
    facts = json.loads((tmp_path / "demo" / "out" / "run.json").read_text("utf-8"))
    assert facts["data"]["rows"] == PAIRS
    assert facts["troubles"] == []
    assert facts["final"]["eval"]["rewards/accuracies"] == 1.0
    assert "No trouble seen." in done.stdout
