"""Runs one arm: a fresh interpreter, its environment settled before it starts, watched until it ends.

An arm that says nothing for too long is stopped with its whole process group; what it printed is kept in a log, and the
tail of it is in the error. This module knows neither specs nor traces.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from parity.errors import ArmFailed

DRIVER = Path(__file__).with_name("arm")

_LEAKS = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONINSPECT", "PYTHONWARNINGS", "VIRTUAL_ENV")
_OURS = (
    "ACCELERATE_",
    "WANDB_",
    "COMET_",
    "MLFLOW_",
    "CLEARML_",
    "DEBUG",
    "RANK",
    "LOCAL_RANK",
    "WORLD_SIZE",
    "MASTER_",
)

Progress = Callable[[str, dict[str, Any]], None]
"""Called with the run's name and each event as an arm writes it."""


@dataclass(frozen=True, slots=True)
class Job:
    """What one arm is asked to do."""

    arm: str
    python: Path
    trainer: str
    plan: Path
    out: Path
    runs: list[dict[str, Any]]
    threads: int = 1
    path: list[str] = field(default_factory=list)
    """Folders appended to the arm's module search path."""
    mutants: str | None = None
    environment: dict[str, str] = field(default_factory=dict)
    """Settings of the environment that win over the usual ones."""
    processes: int = 1
    """How many of them, under torch's own launcher in the arm's interpreter."""

    def command(self, request: Path) -> list[str]:
        """Return the command that starts the driver."""
        driver = [str(DRIVER), str(request)]
        if self.processes == 1:
            return [str(self.python), *driver]
        # One machine, no name to resolve, a free port: as well without a network.
        where = ["--rdzv-backend", "c10d", "--rdzv-endpoint", "127.0.0.1:0", "--local-addr", "127.0.0.1"]
        count = ["--nproc-per-node", str(self.processes)]
        return [str(self.python), "-m", "torch.distributed.run", *where, *count, *driver]


def arm_environment(threads: int) -> dict[str, str]:
    """Return the environment an arm starts in: deterministic, offline, silent, free of the caller's Python settings."""
    kept = {name: value for name, value in os.environ.items() if name not in _LEAKS and not name.startswith(_OURS)}
    count = str(threads)
    loopback = {"GLOO_SOCKET_IFNAME": "lo"} if sys.platform == "linux" else {}
    return (
        kept
        | loopback
        | {
            "PYTHONHASHSEED": "0",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONIOENCODING": "utf-8",
            "OMP_NUM_THREADS": count,
            "MKL_NUM_THREADS": count,
            "OPENBLAS_NUM_THREADS": count,
            # Waiting threads sleep: spinning ones multiply the time of a step on a machine that is shared.
            "OMP_WAIT_POLICY": "PASSIVE",
            # Reproducible from run to run on one processor; COMPATIBLE would be so across processors, and far slower.
            "MKL_CBWR": "AUTO",
            "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
            "TOKENIZERS_PARALLELISM": "false",
            "HF_HUB_OFFLINE": "1",
            "TRANSFORMERS_OFFLINE": "1",
            "HF_DATASETS_OFFLINE": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "TRANSFORMERS_VERBOSITY": "error",
            "TRL_EXPERIMENTAL_SILENCE": "1",
            "WANDB_DISABLED": "true",
        }
    )


def run_arm(job: Job, *, progress: Progress | None = None, silence: float = 900.0) -> Path:
    """Run an arm to its end and return its folder.

    Args:
        progress: Told of every event as it is written.
        silence: Seconds without a new event after which the arm counts as hung.

    Raises:
        ArmFailed: it could not start, crashed, hung, or ended without saying that it was done.
    """
    job.out.mkdir(parents=True, exist_ok=True)
    request = job.out / "job.json"
    content = {
        "arm": job.arm,
        "trainer": job.trainer,
        "plan": str(job.plan),
        "out": str(job.out),
        "runs": job.runs,
        "path": job.path,
        "mutants": job.mutants,
        "starter": os.getpid(),
    }
    request.write_text(json.dumps(content, indent=1), encoding="utf-8")
    log = job.out / "output.log"
    with _started(job, request, log) as process:
        _watch(process, job, progress, silence, log)
    _check_done(job, log)
    return job.out


@contextmanager
def _started(job: Job, request: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        try:
            process = subprocess.Popen(
                job.command(request),
                cwd=job.out,
                env=arm_environment(job.threads) | job.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise ArmFailed(job.arm, f"could not start {job.python}: {error.strerror}") from error
        try:
            yield process
        finally:
            if process.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _watch(process: subprocess.Popen[bytes], job: Job, progress: Progress | None, silence: float, log: Path) -> None:
    tails = {name: _Tail(job.out / name / "events.jsonl") for name in (run["name"] for run in job.runs)}
    tails["arm"] = _Tail(job.out / "arm.jsonl")
    heard = time.monotonic()
    while True:
        ended = process.poll() is not None
        for name, tail in tails.items():
            for event in tail.read():
                heard = time.monotonic()
                if progress is not None:
                    progress(name, event)
        if ended:
            break
        if time.monotonic() - heard > silence:
            raise ArmFailed(
                job.arm, f"said nothing for {silence:.0f} seconds and was stopped", tail=_last(log), log=log
            )
        time.sleep(0.05)
    if process.returncode:
        died = f"was killed by signal {-process.returncode}" if process.returncode < 0 else "failed"
        raise ArmFailed(job.arm, died, tail=_failure(job.out) or _last(log), log=log)


class _Tail:
    """Reads the whole lines that a growing file has gained."""

    def __init__(self, path: Path) -> None:
        self._path, self._offset, self._rest = path, 0, b""

    def read(self) -> Iterator[dict[str, Any]]:
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                block = file.read()
        except OSError:
            return
        self._offset += len(block)
        *lines, self._rest = (self._rest + block).split(b"\n")
        for line in lines:
            with suppress(ValueError):
                event = json.loads(line)
                if isinstance(event, dict):
                    yield event


def _failure(out: Path) -> str:
    for path in (out / "arm.jsonl", *sorted(out.glob("rank-*/arm.jsonl"))):
        for event in _Tail(path).read():
            if event.get("event") == "failed":
                rank = f"{path.parent.name.replace('-', ' ')}: " if path.parent != out else ""
                return f"{rank}{event.get('error')}: {event.get('message')}"
    return ""


def _last(log: Path, lines: int = 12) -> str:
    try:
        return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
    except OSError:
        return ""


def _check_done(job: Job, log: Path) -> None:
    if not any(event.get("event") == "done" for event in _Tail(job.out / "arm.jsonl").read()):
        raise ArmFailed(job.arm, "ended without finishing what it was asked", tail=_last(log), log=log)
