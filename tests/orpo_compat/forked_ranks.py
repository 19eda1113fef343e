"""Several runs on several ranks from one import: each rank is a fork with its own rank variables and gloo group.

python -m tests.orpo_compat.forked_ranks RUNS.json

Saves what a launcher costs per run (importing torch and transformers once per rank); launchers themselves are tried
elsewhere. `RUNS.json` lists objects with arm, folder, processes, env and settings; each folder gets an `exit.json`.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import orpo_compat.trainer  # noqa: F401  # once, before the forks
from tests.orpo_compat.distributed_run import run_rank

PATIENCE_S = 120.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def rank_variables(rank: int, processes: int, port: int) -> dict[str, str]:
    if processes == 1:
        return {}
    return {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(processes),
        "LOCAL_WORLD_SIZE": str(processes),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }


def fork_rank(run: dict[str, Any], rank: int, port: int) -> int:
    """Start one rank; its output goes to its own file."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        os.environ.update({**run.get("env", {}), **rank_variables(rank, run["processes"], port)})
        said = os.open(Path(run["folder"]) / f"output-{rank}.txt", os.O_CREAT | os.O_WRONLY)
        os.dup2(said, 1)
        os.dup2(said, 2)
        run_rank(run["arm"], Path(run["folder"]), run["settings"])
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def wait(children: list[int]) -> list[int | str]:
    """Each child's exit status, or "hung" for one that had to be killed."""
    ends: dict[int, int | str] = {}
    deadline = time.monotonic() + PATIENCE_S
    while len(ends) < len(children) and time.monotonic() < deadline:
        for child in set(children) - set(ends):
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                ends[child] = os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    for child in set(children) - set(ends):
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        ends[child] = "hung"
    return [ends[child] for child in children]


def main() -> None:
    for run in json.loads(Path(sys.argv[1]).read_text()):
        folder = Path(run["folder"])
        folder.mkdir(parents=True, exist_ok=True)
        port = free_port()
        codes = wait([fork_rank(run, rank, port) for rank in range(run["processes"])])
        (folder / "exit.json").write_text(json.dumps(codes))


if __name__ == "__main__":
    main()
