"""How near honest runs come to failing: the same two trainers over many seeds, each judged as the gate judges.

    python benchmarks/honest_runs.py --seeds 20 --scenario base,lora [--first 1] [--reference-python PATH]

Each seed has weights, rows and an order of its own; both of our paths are judged. Every seed's largest distance is
printed in floors, with the stage it is in: up to 3 passes. The runs of an arm share one process, which saves the
imports and nothing else: per seed, the floor is frozen before ours is read, as ``orpo-compat parity`` does.
The exit code is 1 if any run does not pass.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

from parity.plan import Plan, make_plan
from parity.process import Job, run_arm
from parity.reference import Reference, find_reference
from parity.run import OURS, floor_runs, judge_all, measure_floor, ours_runs, package_folder
from parity.scenarios import SCENARIOS, make_spec
from parity.trace import read_trace
from parity.verdict import Judgement


def run_all(folder: Path, arm: str, python: Path, trainer: str, plans: list[Plan], runs: list[dict[str, Any]]) -> Path:
    """Do an arm's runs for every plan, in one process."""
    all_runs = [
        {**run, "name": f"{plan.spec.seed}-{run['name']}", "plan": str(plan.file)} for plan in plans for run in runs
    ]
    path = [str(package_folder())] if arm == "ours" else []
    return run_arm(Job(arm, python, trainer, plans[0].file, folder / arm, all_runs, plans[0].spec.threads, path))


def judge_seeds(scenario: str, seeds: list[int], reference: Reference, folder: Path) -> dict[int, list[Judgement]]:
    """Return the judgements of both paths, by seed."""
    plans = [make_plan(make_spec(scenario, seed=seed), folder / f"plan-{seed}") for seed in seeds]
    theirs = run_all(folder, "theirs", reference.python, "trl", plans, [{"name": "base"}])
    floors = run_all(folder, "floor", reference.python, "trl", plans, floor_runs(plans[0].spec))
    runs = ours_runs("auto")
    ours = run_all(folder, "ours", Path(sys.executable), OURS, plans, runs)
    found = {}
    for plan in plans:
        seed = plan.spec.seed
        trace = read_trace(theirs / f"{seed}-base")
        floor = measure_floor(trace, floors, plan.spec, prefix=f"{seed}-")
        traces = {run["name"]: read_trace(ours / f"{seed}-{run['name']}") for run in runs}
        found[seed] = judge_all(trace, traces, floor, reference.versions)
    return found


def line(scenario: str, seed: int, judgement: Judgement) -> str:
    """Return one row of the table."""
    stage, worst = max(judgement.stages.items(), key=lambda item: float(item[1]["ratio"]))
    where = f"{stage}, step {worst['step']}"
    ratio = float(worst["ratio"])
    return f"| {scenario} | {seed} | {judgement.path} | {judgement.verdict.value} | {ratio:.2f} | {where} |"


def main(argv: list[str] | None = None) -> int:
    """Print one row per seed and path."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20, help="how many")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--scenario", default="base", help=f"with commas, of {', '.join(SCENARIOS)}")
    parser.add_argument("--reference-python", type=Path, help="an interpreter that has TRL")
    options = parser.parse_args(argv)
    reference = find_reference(python=options.reference_python)
    seeds = list(range(options.first, options.first + options.seeds))
    print(f"TRL {reference.trl}, transformers {reference.versions['transformers']}\n")
    print("| scenario | seed | our path | verdict | largest distance in floors | in |\n|---|---|---|---|---|---|")
    judgements = []
    for scenario in options.scenario.split(","):
        with tempfile.TemporaryDirectory() as folder:
            found = judge_seeds(scenario, seeds, reference, Path(folder))
        for seed, paths in found.items():
            judgements += paths
            print("\n".join(line(scenario, seed, judgement) for judgement in paths), flush=True)
    passed = sum(judgement.verdict.passes for judgement in judgements)
    print(f"\n{passed} of {len(judgements)} judgements pass")
    return 0 if passed == len(judgements) else 1


if __name__ == "__main__":
    sys.exit(main())
