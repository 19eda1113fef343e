"""Kills a launched run of two processes at a random moment, resumes it, and compares it with an undisturbed one.

python -m tests.orpo_compat.random_kills 0 19 FOLDER     # twenty kills by their seeds; stops where something was lost

The victim (a rank, or the launcher, whose ranks then die or are left to themselves) and the moment (anywhere, while a
checkpoint is written, while the final model is) follow from the seed alone; the scheduler adds its own chance.
"""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import torch

from orpo_compat.checkpoints import STAGE, defect
from tests.orpo_compat.launching import Planned, assert_same_weights, forked, launch, start, torchrun

STEPS = 12
SAVING: dict[str, Any] = {
    "loss_normalization": "global", "max_steps": STEPS, "save_strategy": "steps", "save_steps": 1,
    "save_total_limit": 2, "train_sampling_strategy": "sequential", "save": True,
}  # fmt: skip
RESUMED = {**SAVING, "resume": True}
VICTIMS = ("rank 0", "rank 1", "launcher", "launcher and ranks")
MOMENTS = ("anywhere", "in a checkpoint", "in the final model")


@dataclass(frozen=True)
class Kill:
    """Who is killed by SIGKILL, and when."""

    victim: str
    moment: str
    seed: int

    def chance(self) -> random.Random:
        return random.Random(f"{self.victim} {self.moment} {self.seed}")


def undisturbed(folder: Path) -> Path:
    """A run that nothing stops. Its folder."""
    return forked(folder, {"run": Planned(2, SAVING)})["run"].folder


def checkpoints(folder: Path) -> list[Path]:
    found = (folder / "ours").glob("checkpoint-*")
    return sorted(found, key=lambda path: int(path.name.rpartition("-")[2]))


def final_weights(folder: Path) -> dict[str, Any]:
    return dict(torch.load(folder / "weights.pt"))


def reached(folder: Path, step: int) -> bool:
    """Whether a run has so many steps behind it."""
    kept = checkpoints(folder)
    return bool(kept) and int(kept[-1].name.rpartition("-")[2]) >= step


def wait(condition: Callable[[], bool], process: subprocess.Popen[str], *, every: float = 0.001) -> None:
    """Wait until a condition holds, or the run is over: a moment of a millisecond may be missed."""
    deadline = time.monotonic() + 180
    while not condition():
        if process.poll() is not None:
            return
        if time.monotonic() > deadline:
            process.kill()
            raise AssertionError(f"the run hangs: {process.communicate()[0][-2000:]}")
        time.sleep(every)


def ranks_of(launcher: subprocess.Popen[str]) -> list[psutil.Process]:
    children = psutil.Process(launcher.pid).children(recursive=True)
    return [child for child in children if "distributed_run" in " ".join(child.cmdline())]


def strike(kill: Kill, folder: Path) -> tuple[int, str]:
    """Start a run, kill at the moment, and wait until nothing of it is left. What the launcher returned and said."""
    chance = kill.chance()
    process = start(torchrun(2), folder, SAVING)
    wait(lambda: reached(folder, 1), process)
    ranks = ranks_of(process) if process.poll() is None else []
    step = chance.randrange(1, STEPS - 2)
    wait(lambda: reached(folder, step), process)
    if kill.moment == "in a checkpoint":
        written = chance.choice(["model.safetensors", "optimizer.pt", f"rng_state_{chance.randrange(2)}.pth"])
        wait(lambda: any((folder / "ours" / STAGE).glob(f"*/{written}")), process, every=0.0002)
    elif kill.moment == "in the final model":
        written = chance.choice(["", "*.safetensors", "tokenizer.json"])
        wait(lambda: any((folder / "model" / STAGE).glob(f"model/{written}")), process, every=0.0002)
    else:
        time.sleep(chance.random() * 0.3)
    _kill(kill.victim, process, ranks)
    said, _ = process.communicate(timeout=180)
    psutil.wait_procs(ranks, timeout=180)
    assert not any(rank.is_running() for rank in ranks), "a rank outlived its run"
    return process.returncode, said


def _kill(victim: str, process: subprocess.Popen[str], ranks: list[psutil.Process]) -> None:
    chosen = [rank for rank in ranks if rank.is_running() and rank.environ().get("RANK") == victim[-1]]
    if victim.startswith("launcher"):
        process.kill()
    for rank in ranks if victim.endswith("ranks") else chosen:
        if rank.is_running():
            rank.kill()


def assert_whole(folder: Path, whole: Path) -> None:
    """Every checkpoint that a kill left is whole, and the model's folder holds a whole model or none."""
    kept = checkpoints(folder)
    assert kept, "no checkpoint"
    assert [defect(path) for path in kept] == [None] * len(kept)
    if (folder / "model" / "config.json").exists():
        assert_same_weights(final_weights(whole), saved_model(folder))


def assert_as_undisturbed(folder: Path, whole: Path) -> None:
    """A resumed run ended with the weights of the one that nothing stopped, and saved them."""
    wanted = final_weights(whole)
    assert_same_weights(wanted, final_weights(folder))
    assert_same_weights(wanted, saved_model(folder))
    assert not (folder / "model" / STAGE).exists()


def assert_nothing_lost(folder: Path, whole: Path) -> None:
    """What a kill left is whole, and the run resumes as if nothing had happened."""
    assert_whole(folder, whole)
    launch(torchrun(2), folder, RESUMED)
    assert_as_undisturbed(folder, whole)


def saved_model(folder: Path) -> dict[str, torch.Tensor]:
    from transformers import AutoModelForCausalLM

    return dict(AutoModelForCausalLM.from_pretrained(folder / "model").state_dict())


def main() -> int:
    """Kill as often as asked, resume all from one import, and say what came of each."""
    first, last, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    seeds = range(first, last + 1)
    kills = {seed: Kill(VICTIMS[seed % len(VICTIMS)], MOMENTS[seed % len(MOMENTS)], seed) for seed in seeds}
    whole = undisturbed(folder / "whole")
    left: dict[int, str] = {}
    for seed, kill in kills.items():
        place = folder / str(seed)
        code, _ = strike(kill, place)
        unfinished = sorted(path.name for path in place.glob(f"*/{STAGE}/*"))
        left[seed] = f"exit {code}, left {[path.name for path in checkpoints(place)]}, unfinished {unfinished}"
        assert_whole(place, whole)
        print(f"{kill}: {left[seed]}: whole", flush=True)
    forked(folder, {str(seed): Planned(2, RESUMED) for seed in kills})
    for seed, kill in kills.items():
        assert_as_undisturbed(folder / str(seed), whole)
        print(f"{kill}: resumed, equal")
    print(f"{len(kills)} of {len(kills)} lost nothing")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
