"""Runs that are killed, cut off or out of space. Oracles: whole folders on disk, and the run that nothing stopped."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from orpo_compat.checkpoints import defect
from tests.orpo_compat.launching import (
    Planned,
    assert_same_weights,
    environment,
    forked,
    launch,
    start,
    torchrun,
)

STEPS = 12
SAVING = {
    "loss_normalization": "global", "max_steps": STEPS, "save_strategy": "steps", "save_steps": 1,
    "save_total_limit": 2, "train_sampling_strategy": "sequential",
}  # fmt: skip


def checkpoints(folder: Path) -> list[Path]:
    found = (folder / "ours").glob("checkpoint-*")
    return sorted(found, key=lambda path: int(path.name.rpartition("-")[2]))


def wait_for(folder: Path, count: int, process: subprocess.Popen[str]) -> None:
    """Wait until a run has so many steps behind it."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if checkpoints(folder) and int(checkpoints(folder)[-1].name.rpartition("-")[2]) >= count:
            return
        time.sleep(0.005)
    raise AssertionError(f"step {count} was not reached: {process.communicate()[0][-2000:]}")


def ranks_of(launcher: subprocess.Popen[str]) -> list[psutil.Process]:
    children = psutil.Process(launcher.pid).children(recursive=True)
    return [child for child in children if "distributed_run" in " ".join(child.cmdline())]


def assert_whole_and_resumes(folder: Path, whole: Path) -> None:
    kept = checkpoints(folder)
    assert kept
    assert [defect(path) for path in kept] == [None] * len(kept)
    again = launch(torchrun(2), folder, {**SAVING, "resume": True})
    assert_same_weights(final_weights(whole), again.weights)


def final_weights(folder: Path) -> dict[str, Any]:
    return dict(torch.load(folder / "weights.pt"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    return forked(folder, {"run": Planned(2, SAVING)})["run"].folder


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0])
@pytest.mark.parametrize("victim", ["rank 0", "rank 1", "launcher"])
def test_a_kill_at_a_random_moment_costs_at_most_the_steps_since_the_last_save(
    victim: str, seed: int, whole: Path, tmp_path: Path
) -> None:
    chance = random.Random(f"{victim} {seed}")
    process = start(torchrun(2), tmp_path, SAVING)
    wait_for(tmp_path, chance.randrange(1, STEPS // 2), process)
    ranks = ranks_of(process)
    time.sleep(chance.random() * 0.2)
    if victim == "launcher":
        process.terminate()
    else:
        chosen = [rank for rank in ranks if rank.environ().get("RANK") == victim[-1]]
        chosen[0].kill()
    said, _ = process.communicate(timeout=120)
    assert process.returncode != 0
    if victim != "launcher":
        assert "Signal 9 (SIGKILL)" in said
    psutil.wait_procs(ranks, timeout=30)
    assert_whole_and_resumes(tmp_path, whole)


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
    done = run_in(tmp_path, {**SAVING, "per_device_train_batch_size": 4}, limit=250_000)
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
    settings = {**SAVING, "per_device_train_batch_size": 4, "save_total_limit": None}
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
def test_an_interrupted_launcher_leaves_whole_checkpoints(whole: Path, tmp_path: Path) -> None:
    process = start(torchrun(2), tmp_path, SAVING)
    wait_for(tmp_path, 3, process)
    os.kill(process.pid, signal.SIGINT)
    process.communicate(timeout=120)
    assert process.returncode != 0
    assert_whole_and_resumes(tmp_path, whole)
