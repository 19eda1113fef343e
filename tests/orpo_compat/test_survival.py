"""Runs that are killed, cut off or out of space. Oracles: whole folders on disk, and the run that nothing stopped."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from orpo_compat.checkpoints import defect
from tests.orpo_compat.launching import Planned, assert_same_weights, environment, forked, start, torchrun
from tests.orpo_compat.random_kills import (
    SAVING,
    STEPS,
    Kill,
    assert_nothing_lost,
    checkpoints,
    final_weights,
    reached,
    strike,
    undisturbed,
    wait,
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return undisturbed(tmp_path_factory.mktemp("whole"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("victim", "moment"),
    [
        ("rank 0", "in a checkpoint"),
        ("rank 1", "anywhere"),
        ("launcher and ranks", "in a checkpoint"),
        ("rank 0", "in the final model"),
    ],
)
def test_a_kill_costs_at_most_the_steps_since_the_last_save(
    victim: str, moment: str, whole: Path, tmp_path: Path
) -> None:
    code, said = strike(Kill(victim, moment, seed=0), tmp_path)
    assert code != 0
    if not victim.startswith("launcher"):
        assert "Signal 9 (SIGKILL)" in said
    assert_nothing_lost(tmp_path, whole)


def run_in(folder: Path, settings: dict[str, Any], limit: int | None = None) -> subprocess.CompletedProcess[str]:
    """One process, started by hand, whose files may not grow past a limit of bytes."""

    def cap() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "tests.orpo_compat.distributed_run", "ours", str(folder), json.dumps(settings)]
    return subprocess.run(
        command, env=environment(), capture_output=True, text=True, timeout=200, check=False, preexec_fn=cap
    )


@pytest.mark.slow
def test_a_file_that_may_not_grow_ends_the_run_with_what_is_kept(tmp_path: Path) -> None:
    """The optimizer's file is twice the weights': under a limit between them nothing gets a checkpoint's name."""
    done = run_in(tmp_path, {**SAVING, "save": False, "per_device_train_batch_size": 4}, limit=250_000)
    assert done.returncode != 0
    assert "checkpoint-1 could not be written" in done.stderr
    assert "no earlier checkpoint exists" in done.stderr
    assert checkpoints(tmp_path) == []


@pytest.mark.slow
def test_a_full_disk_leaves_the_last_checkpoint_and_resumes_once_there_is_room(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1500k", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("mounting a small file system needs root")
    settings = {**SAVING, "save": False, "per_device_train_batch_size": 4, "save_total_limit": None}
    try:
        done = run_in(disk, settings)
        assert done.returncode != 0
        assert "could not be written" in done.stderr
        assert "is whole." in done.stderr
        kept = checkpoints(disk)
        assert 0 < len(kept) < STEPS
        assert [defect(path) for path in kept] == [None] * len(kept)
        shutil.copytree(disk, tmp_path / "room")
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    again = run_in(tmp_path / "room", {**settings, "resume": True})
    assert again.returncode == 0, again.stderr[-2000:]
    whole = forked(tmp_path / "whole", {"run": Planned(1, {**settings, "save_strategy": "no"})})["run"]
    assert_same_weights(whole.weights, final_weights(tmp_path / "room"))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_launcher_that_is_stopped_leaves_whole_checkpoints(
    number: signal.Signals, whole: Path, tmp_path: Path
) -> None:
    process = start(torchrun(2), tmp_path, SAVING)
    wait(lambda: reached(tmp_path, 3), process)
    os.kill(process.pid, number)
    process.communicate(timeout=120)
    assert process.returncode != 0
    assert_nothing_lost(tmp_path, whole)
