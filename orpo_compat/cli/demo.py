"""`orpo-compat demo`: from nothing to a trained model in half a minute, by the commands a user would type.

It writes a small preference file and runs the other commands on it, each shown before it runs. Needs no network.
"""

from __future__ import annotations

import csv
import random
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from orpo_compat.cli.console import err, reported_errors
from orpo_compat.cli.exit_codes import ExitCode
from orpo_compat.errors import RunExists

_WORDS = ("sun", "rain", "wind", "snow", "tree", "bird", "fish", "moon", "star", "rock")
PAIRS = 240


def demo(
    folder: Annotated[Path, typer.Argument(help="A folder to make; everything goes there.")] = Path("orpo-demo"),
) -> None:
    """Walk through inspect, train, diagnose, eval and compare on a file made for it.

    Example: orpo-compat demo /tmp/orpo-demo
    """
    with reported_errors():
        if folder.exists():
            raise RunExists(f"{folder}: exists already.\n  Next: name a folder that does not: orpo-compat demo FOLDER")
        folder.mkdir(parents=True)
        data, held_out, output = (folder / name for name in ("prefs.csv", "held_out.csv", "out"))
        write_pairs(data, PAIRS, seed=0)
        write_pairs(held_out, 40, seed=1)
        for command in _commands(data, held_out, output):
            _run(command)
        err().print(f"\nDone. Look at {output / 'report.html'}; `rm -r {folder}` removes everything.", markup=False)


def write_pairs(path: Path, count: int, *, seed: int) -> None:
    """Write a CSV of preference pairs that a tiny model can learn: name two words, do not refuse."""
    rng = random.Random(seed)
    with path.open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream)
        rows.writerow(("prompt", "chosen", "rejected"))
        for _ in range(count):
            first, second = rng.sample(_WORDS, 2)
            prompt = f"Name {first} and {second}, number {rng.randrange(1000)}: "
            rows.writerow((prompt, f"the {first} and the {second}", f"no {second} nor {first} at all"))


def _commands(data: Path, held_out: Path, output: Path) -> list[list[str]]:
    settings = ["--learning-rate", "3e-3", "--max-steps", "60", "--max-length", "128", "--no-gradient-checkpointing"]
    return [
        ["data", "inspect", str(data), "--model", "tiny", "--max-length", "128", "--rows", "1"],
        ["train", "--model", "tiny", "--data", str(data), "--output", str(output), *settings],
        ["diagnose", str(output)],
        ["eval", "--model", str(output), "--base", "tiny", "--data", str(held_out), "--max-length", "128"],
        ["compare", "--model", str(output), "--data", str(held_out), "--rows", "2", "--max-new-tokens", "24"],
    ]


def _run(command: list[str]) -> None:
    """Show a command, and run it; findings are part of the show, errors end it."""
    err().print(f"\n$ orpo-compat {shlex.join(command)}", style="bold", markup=False)
    done = subprocess.run([sys.executable, "-m", "orpo_compat", *command], check=False)
    if done.returncode not in (ExitCode.DONE, ExitCode.FINDINGS):
        raise typer.Exit(done.returncode)
