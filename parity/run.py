"""Runs one parity question from plan to judgement: theirs, the floor, then ours, each alone in a fresh process.

The order is the argument: the floor is measured and frozen before ours starts. It starts processes and writes into one
folder; what it concludes comes from ``compare`` and ``verdict`` alone, so that ``evidence`` can conclude it again.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from parity.compare import Measure, compare
from parity.errors import ArmFailed, SpecError
from parity.floor import Floor, make_floor
from parity.known import explain
from parity.plan import Plan, make_plan
from parity.process import Job, run_arm
from parity.reference import Reference
from parity.spec import Spec
from parity.trace import ArmRecord, Trace, read_arm, read_trace
from parity.verdict import Judgement, Verdict, judge, worst

OURS = "orpo_compat:ORPOTrainer"
PERTURBATIONS = ("rerun", "nudge", "eager", "split", "rows", "jitter")

Progress = Callable[[str, str, dict[str, Any]], None]
"""Called with the arm's name, the run's name, and each event as it is written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to run and where."""

    spec: Spec
    reference: Reference
    folder: Path
    packing: str = "auto"
    """``auto`` judges ours on its own choice of path and on the padded one; ``never`` on the padded one only."""
    plant: str | None = None
    """A mutant planted into ours."""
    resync: bool = False
    """Copy theirs' state into ours after each step, so that one bad update stands alone."""
    ours: str = OURS
    theirs: str = "trl"
    ours_path: tuple[str, ...] = ()
    """Folders added to the module search path of our arm, for a trainer that a repository defines."""
    theirs_path: tuple[str, ...] = ()
    silence: float = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Everything a parity run found."""

    request: Request
    plan: Plan
    theirs: Trace
    ours: dict[str, Trace]
    """By run name: ``default`` and ``padded``."""
    arms: dict[str, ArmRecord]
    floor: Floor
    floor_frozen: float
    """Unix time; ours started after it."""
    ours_started: float
    judgements: list[Judgement]
    seconds: float

    @property
    def verdict(self) -> Verdict:
        """The gravest verdict of ours' paths."""
        return worst([judgement.verdict for judgement in self.judgements])

    @property
    def headline(self) -> str:
        """The judgement that decided, in a sentence."""
        return next(j.headline for j in self.judgements if j.verdict is self.verdict)


def package_folder() -> Path:
    """Return the folder that holds the ``orpo_compat`` package."""
    import orpo_compat

    return Path(orpo_compat.__file__).resolve().parent.parent


def ours_runs(packing: str, *, plant: str | None = None, resync: Path | None = None) -> list[dict[str, Any]]:
    """Return the runs of our arm: its default path, and the padded one.

    Raises:
        SpecError: an unknown packing.
    """
    if packing not in ("auto", "always", "never"):
        raise SpecError(f"packing must be auto, always or never, got {packing!r}")
    common: dict[str, Any] = {"plant": plant, "resync": str(resync) if resync else None}
    padded = {"name": "padded", "settings": {"packing": "never"}, **common}
    if packing == "never":
        return [padded]
    return [{"name": "default", "settings": {"packing": packing}, **common}, padded]


def floor_runs(spec: Spec) -> list[dict[str, Any]]:
    """Return the perturbed runs of theirs that a spec allows; those an architecture cannot do are skipped."""
    names = [name for name in PERTURBATIONS if not (name == "eager" and spec.attention == "eager")]
    runs: list[dict[str, Any]] = [{"name": name, "perturb": name, "save": False, "optional": True} for name in names]
    return [{**run, "optional": False} if run["name"] == "rerun" else run for run in runs]


def measure_floor(theirs: Trace, folder: Path, spec: Spec, *, prefix: str = "") -> Floor:
    """Read the perturbed runs in ``folder`` and make the floor of them.

    Args:
        prefix: What the names of the runs begin with, where one arm ran those of several questions.

    Raises:
        ArmFailed: no perturbation could be run, so nothing says what rounding is.
    """
    skipped = {name: why for name, why in read_arm(folder).skipped.items() if name.startswith(prefix)}
    runs: dict[str, list[Measure]] = {}
    for run in floor_runs(spec):
        if prefix + run["name"] not in skipped:
            runs[run["name"]] = compare(theirs, read_trace(folder / (prefix + run["name"])))
    if not set(runs) - {"rerun"}:
        raise ArmFailed("floor", f"could not perturb anything: {skipped}")
    return make_floor(
        runs,
        dtype=spec.dtype,
        num_steps=spec.steps,
        skipped={n.removeprefix(prefix): why for n, why in skipped.items()},
    )


def judge_all(theirs: Trace, ours: dict[str, Trace], floor: Floor, versions: dict[str, str | None]) -> list[Judgement]:
    """Judge each of ours' runs, and name the known defects of the reference that explain a divergence."""
    judgements = []
    for name, trace in ours.items():
        measures = compare(theirs, trace)
        judgement = judge(measures, floor, theirs, trace)
        label = trace.path if trace.path == name else f"{name} ({trace.path})"
        explained = explain(judgement, theirs, trace, versions) if judgement.divergence else ()
        judgements.append(replace(judgement, path=label, explained=explained))
    return judgements


def run_parity(request: Request, progress: Progress | None = None) -> Outcome:
    """Ask one question and judge the answers.

    Raises:
        SpecError: the question cannot be put on disk, or asks for what these traces cannot give.
        ArmFailed: an arm did not finish.
        TraceDamaged: an arm finished and what it wrote cannot be read.
    """
    started = time.time()
    folder = request.folder
    resync = folder / "theirs" / "base" if request.resync else None
    runs = ours_runs(request.packing, plant=request.plant, resync=resync)
    plan = make_plan(request.spec, folder / "plan")
    if request.resync and not plan.whole:
        raise SpecError(
            f"resync needs whole tensors, and {request.spec.model} is traced by samples; use the tiny model"
        )

    theirs_path, ours_path = list(request.theirs_path), [*request.ours_path, str(package_folder())]

    def run(arm: str, python: Path, trainer: str, runs: list[dict[str, Any]], **more: Any) -> Path:
        job = Job(
            arm,
            python,
            trainer,
            plan.file,
            folder / arm,
            runs,
            request.spec.threads,
            processes=request.spec.processes,
            **more,
        )
        tell = None if progress is None else lambda name, event: progress(arm, name, event)
        return run_arm(job, progress=tell, silence=request.silence)

    python = request.reference.python
    theirs_folder = run("theirs", python, request.theirs, [{"name": "base"}], path=theirs_path)
    theirs = read_trace(theirs_folder / "base")
    # What this reference does not have, a setting or an attention kernel, is part of neither arm's question.
    lacking = {"without": sorted(theirs.start["refused"]), "attention": theirs.start["attention"]}
    runs = [{**item, **lacking} for item in runs]
    floor_folder = run("floor", python, request.theirs, floor_runs(request.spec), path=theirs_path)
    floor = measure_floor(theirs, floor_folder, request.spec)
    frozen = time.time()
    mutants = str(Path(__file__).with_name("mutants.py")) if request.plant else None
    ours_started = time.time()
    ours_folder = run("ours", Path(sys.executable), request.ours, runs, path=ours_path, mutants=mutants)
    ours = {run_["name"]: read_trace(ours_folder / run_["name"]) for run_ in runs}
    arms = {arm: read_arm(folder / arm) for arm in ("theirs", "floor", "ours")}
    judgements = judge_all(theirs, ours, floor, arms["theirs"].versions)
    return Outcome(
        request=request,
        plan=plan,
        theirs=theirs,
        ours=ours,
        arms=arms,
        floor=floor,
        floor_frozen=frozen,
        ours_started=ours_started,
        judgements=judgements,
        seconds=time.time() - started,
    )
