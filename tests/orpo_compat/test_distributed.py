"""Two real processes over gloo. Oracles: one process on the same global batch, and TRL under the same launcher."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.orpo_compat.runs import relative_distance

ROOT = Path(__file__).resolve().parents[2]


def launch(arm: str, folder: Path, processes: int, **settings: Any) -> dict[str, Any]:
    """Run under torchrun and return rank 0's record, with the weights beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [
        sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(processes), "--master-port", "0",
        "--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0",
        "-m", "tests.orpo_compat.distributed_run", arm, str(folder), json.dumps(settings),
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    record: dict[str, Any] = json.loads((folder / "rank-0.json").read_text())
    return {**record, "weights": torch.load(folder / "weights.pt")}


def assert_same_weights(one: dict[str, Any], other: dict[str, Any]) -> None:
    for name, weight in one["weights"].items():
        assert relative_distance(weight, other["weights"][name]) < 5e-6, name


def test_two_processes_under_the_global_mean_equal_one(tmp_path: Path) -> None:
    common = {"loss_normalization": "global", "max_steps": 2, "train_sampling_strategy": "sequential"}
    one = launch("ours", tmp_path / "one", 1, per_device_train_batch_size=4, **common)
    two = launch("ours", tmp_path / "two", 2, per_device_train_batch_size=2, **common)
    assert_same_weights(one, two)
    losses = [[log["loss"] for log in record["logs"][:2]] for record in (one, two)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)


@pytest.mark.parametrize("rows", [8, pytest.param(7, marks=pytest.mark.slow)])
def test_two_processes_under_the_micro_batch_mean_equal_trl_s_two(rows: int, tmp_path: Path) -> None:
    pytest.importorskip("trl.experimental.orpo")
    common = {"max_steps": 2, "rows": rows, "evaluate": rows == 8, "eval_strategy": "steps" if rows == 8 else "no"}
    theirs, ours = (launch(arm, tmp_path / arm, 2, eval_steps=1, **common) for arm in ("theirs", "ours"))
    assert_same_weights(theirs, ours)
    names = ["loss", "rewards/margins", "logps/chosen", "nll_loss", "log_odds_ratio"]
    if rows == 7:
        names = ["loss"]  # accelerate repeats a row to fill the last batch; TRL's metrics leave it out, ours do not
    for their_log, our_log in zip(theirs["logs"], ours["logs"], strict=True):
        for name in {name for name in their_log if name.removeprefix("eval_") in names}:
            assert our_log[name] == pytest.approx(their_log[name], rel=2e-5, abs=2e-6), name


@pytest.mark.slow
def test_metrics_cost_one_reduction_per_log_whatever_the_rows(tmp_path: Path) -> None:
    """Two runs that differ in how often they log differ by a fixed number of collectives per log."""
    common = {"max_steps": 6, "count": True, "max_grad_norm": 0.0}
    every = launch("ours", tmp_path / "every", 2, logging_steps=1, **common)["collectives"]
    seldom = launch("ours", tmp_path / "seldom", 2, logging_steps=3, **common)["collectives"]
    reductions = every.count("all_reduce") - seldom.count("all_reduce")
    assert reductions == 6 - 2
