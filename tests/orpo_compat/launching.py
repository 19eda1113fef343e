"""Starts runs on several processes: many from one import (`forked`), or one as a user would (`torchrun`, ...)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from tests.orpo_compat.runs import relative_distance

ROOT = Path(__file__).resolve().parents[2]
LAUNCH = ROOT / "examples" / "launch"
MODULE = "tests.orpo_compat.distributed_run"


@dataclass(frozen=True)
class Planned:
    """One run: its settings as `distributed_run` takes them."""

    processes: int
    settings: dict[str, Any]
    env: dict[str, str] = field(default_factory=dict)
    arm: str = "ours"


@dataclass(frozen=True)
class Done:
    """What a run left in its folder."""

    folder: Path

    @property
    def exits(self) -> list[Any]:
        return list(json.loads((self.folder / "exit.json").read_text()))

    def said(self, rank: int = 0) -> str:
        return (self.folder / f"output-{rank}.txt").read_text()

    def record(self, rank: int = 0) -> dict[str, Any]:
        assert not (self.folder / "exit.json").exists() or set(self.exits) == {0}, self.said(rank)[-3000:]
        return dict(json.loads((self.folder / f"rank-{rank}.json").read_text()))

    @property
    def logs(self) -> list[dict[str, float]]:
        return list(self.record()["logs"])

    @property
    def losses(self) -> list[float]:
        return [log["loss"] for log in self.logs if "loss" in log]

    @property
    def weights(self) -> dict[str, torch.Tensor]:
        self.record()
        return dict(torch.load(self.folder / "weights.pt"))


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "TOKENIZERS_PARALLELISM": "false"}


def forked(folder: Path, plans: dict[str, Planned]) -> dict[str, Done]:
    """Run the plans one after the other; a run that fails or hangs says so in its own folder."""
    folder.mkdir(parents=True, exist_ok=True)
    runs = [{**vars(plan), "folder": str(folder / name)} for name, plan in plans.items()]
    (folder / "runs.json").write_text(json.dumps(runs))
    command = [sys.executable, "-m", "tests.orpo_compat.forked_ranks", str(folder / "runs.json")]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return {name: Done(folder / name) for name in plans}


def torchrun(processes: int) -> list[str]:
    return [
        sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(processes),
        "--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0", "-m", MODULE,
    ]  # fmt: skip


def accelerate(config: str, processes: int = 2) -> list[str]:
    return [
        sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(LAUNCH / config),
        "--num_processes", str(processes), "--main_process_port", "0", "--mixed_precision", "no", "-m", MODULE,
    ]  # fmt: skip


def start(launcher: list[str], folder: Path, settings: dict[str, Any], arm: str = "ours") -> subprocess.Popen[str]:
    folder.mkdir(parents=True, exist_ok=True)
    return subprocess.Popen(
        [*launcher, arm, str(folder), json.dumps(settings)],
        cwd=ROOT, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def launch(launcher: list[str], folder: Path, settings: dict[str, Any], arm: str = "ours") -> Done:
    """Run to the end and demand that it ended well."""
    process = start(launcher, folder, settings, arm)
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said[-3000:]
    return Done(folder)


def assert_same_weights(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor], within: float = 5e-6) -> None:
    assert one.keys() == other.keys()
    for name, weight in one.items():
        seen = ~torch.isnan(weight)
        assert relative_distance(weight[seen], other[name][seen]) < within, name
