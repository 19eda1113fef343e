"""Measure the codemod against grep and against libcst's own rename command, on the same trees, in turn.

    python benchmarks/bench_codemod.py --files 10000 --matter 50 --rounds 3 [--out result.json]

Three questions: what a look at this interpreter's site-packages costs; what a check of a large tree costs, next to
``grep -rl`` over it; and what libcst's rename costs a file. Every round runs the arms one after the other, so that a
machine that drifts drifts for all. CPU time and peak memory are those of the child, as the kernel counts them. The
rename runs on a part of the tree (``--sample``) and is scaled up by the file, which the result says.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

MATTERS = (
    b"import os\nfrom trl import ORPOConfig, ORPOTrainer, setup_chat_format\n\n\ndef train(model, rows):\n"
    b"    args = ORPOConfig(output_dir='out', beta=0.1)\n"
    b"    return ORPOTrainer(model, args, train_dataset=rows).train()\n"
)


@dataclass(frozen=True)
class Cost:
    """One run of one arm."""

    cpu_s: float
    wall_s: float
    peak_mb: float


def measure(command: list[str], cwd: Path, allowed: tuple[int, ...]) -> Cost:
    """Run a command and read its own account of time and memory."""
    began = time.perf_counter()
    child = subprocess.Popen(command, cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.perf_counter() - began
    code = os.waitstatus_to_exitcode(status)
    if code not in allowed:
        raise SystemExit(f"{' '.join(command)} exited {code}; expected one of {allowed}")
    return Cost(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024)


def build_tree(root: Path, num_files: int, num_matter: int) -> None:
    """Real modules of this interpreter's packages, under fresh names, and among them some that use ORPO."""
    packages = Path(sysconfig.get_paths()["purelib"])
    real = [
        path for path in sorted(packages.rglob("*.py")) if "trl" not in path.parts and path.stat().st_size < 200_000
    ]
    step = max(1, num_files // max(1, num_matter))
    for number in range(num_files):
        place = root / f"p{number // 100:03}" / f"m{number:05}.py"
        place.parent.mkdir(parents=True, exist_ok=True)
        if number % step == 0 and number // step < num_matter:
            place.write_bytes(MATTERS)
        else:
            shutil.copyfile(real[number % len(real)], place)


def sample_of(tree: Path, into: Path, num_files: int) -> None:
    """The first files of the tree, for the arm that cannot do them all."""
    for path in sorted(tree.rglob("*.py"))[:num_files]:
        (into / path.name).write_bytes(path.read_bytes())


def arms(tree: Path, sample: Path) -> dict[str, tuple[list[str], tuple[int, ...]]]:
    """Name -> command, and the exit codes that mean it worked."""
    ours = [sys.executable, "-m", "orpo_compat"]
    rename = [sys.executable, "-m", "libcst.tool", "codemod", "rename.RenameCommand", "-j", "1", "--no-format"]
    names = ["--old_name", "trl.ORPOTrainer", "--new_name", "orpo_compat.ORPOTrainer"]
    return {
        "site-packages": ([*ours, "scan", "-j", "1", sysconfig.get_paths()["purelib"]], (0, 3)),
        "grep": (["grep", "-rlE", "ORPO|orpo", str(tree)], (0,)),
        "check": ([*ours, "migrate", "--check", "-j", "1", str(tree)], (1,)),
        "check, all processors": ([*ours, "migrate", "--check", str(tree)], (1,)),
        "libcst rename, sample": ([*rename, *names, str(sample)], (0,)),
    }


def summarise(costs: dict[str, list[Cost]], num_files: int, num_sample: int, num_matter: int) -> dict[str, object]:
    """Medians per arm, and the ratios the targets speak of."""
    median = {
        name: Cost(*(round(statistics.median(getattr(run, what) for run in runs), 3) for what in asdict(runs[0])))
        for name, runs in costs.items()
    }
    rename = median["libcst rename, sample"].cpu_s / num_sample * num_files
    budget = 3 * median["grep"].cpu_s + 0.15 * num_matter
    return {
        "median": {name: asdict(cost) for name, cost in median.items()},
        "check_cpu_s": median["check"].cpu_s,
        "budget_cpu_s": round(budget, 3),
        "libcst_rename_cpu_s_scaled": round(rename, 1),
        "times_faster_than_libcst_rename": round(rename / median["check"].cpu_s, 1),
    }


def main() -> None:
    """Build the trees, run the rounds, print and perhaps write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=10_000, help="files in the large tree")
    parser.add_argument("--matter", type=int, default=50, help="how many of them use ORPO")
    parser.add_argument("--sample", type=int, default=100, help="files that libcst's rename gets")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=None, help="write the result here as JSON")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        # Commands start in an empty folder: python -m puts its own folder first, and copied modules would shadow.
        tree, sample, bare = (Path(folder) / name for name in ("tree", "sample", "bare"))
        for place in (tree, sample, bare):
            place.mkdir()
        build_tree(tree, asked.files, asked.matter)
        sample_of(tree, sample, asked.sample)
        costs: dict[str, list[Cost]] = {}
        for number in range(asked.rounds):
            for name, (command, allowed) in arms(tree, sample).items():
                cost = measure(command, bare, allowed)
                costs.setdefault(name, []).append(cost)
                print(f"round {number + 1}: {name}: {cost.cpu_s:.2f} s CPU, {cost.peak_mb:.0f} MB", file=sys.stderr)
    result = {"settings": {**vars(asked), "out": None}, **summarise(costs, asked.files, asked.sample, asked.matter)}
    text = json.dumps(result, indent=2)
    print(text)
    if asked.out is not None:
        asked.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
