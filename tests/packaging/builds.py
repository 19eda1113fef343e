"""Builds the wheel and the sdist as a release does, from a copy of the tree that holds nothing git would not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_NOT_COPIED = (
    ".git",
    ".venv",
    ".demo",
    "__pycache__",
    ".*_cache",
    "build",
    "dist",
    "site",
    ".hypothesis",
    "parity-runs",
)
EPOCH = "1700000000"


def copy_tree(to: Path) -> Path:
    """Copy what a release is built from."""
    shutil.copytree(ROOT, to, ignore=shutil.ignore_patterns(*_NOT_COPIED), symlinks=True)
    return to


def build(tree: Path, out: Path) -> tuple[Path, Path]:
    """Build in a folder; return the wheel and the sdist."""
    environment = {**os.environ, "SOURCE_DATE_EPOCH": EPOCH}
    command = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-t", "wheel", "-d", str(out)]
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,), (sdist,) = out.glob("*.whl"), out.glob("*.tar.gz")
    return wheel, sdist


def run(*command: object, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command with nothing of this checkout in its environment; never raises."""
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    quiet = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "COLUMNS": "200", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**clean, **quiet, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=1400,
    )
