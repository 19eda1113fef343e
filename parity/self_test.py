"""The harness's own test: every planted bug must come out DIFFERENT, noticed first by the stage it belongs to.

All mutants of a scenario run in one process of our arm against one trace of theirs and one floor. Besides the verdict
it asks of every bug that moves the weights that they tell, and not the loss alone: the smallest such effect is the
harness's power.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from parity.compare import EXACT, Measure, compare
from parity.floor import Floor
from parity.mutants import PANEL, Mutant
from parity.plan import make_plan
from parity.process import Job, run_arm
from parity.reference import Reference
from parity.run import OURS, floor_runs, measure_floor, package_folder
from parity.scenarios import make_spec
from parity.trace import Trace, read_trace
from parity.verdict import Judgement, Verdict, judge, ratio_of

_DRIVER_MUTANTS = Path(__file__).with_name("mutants.py")


@dataclass(frozen=True, slots=True)
class Catch:
    """What became of one planted bug on one path."""

    mutant: Mutant
    path: str
    judgement: Judgement
    weight_effect: float
    """Largest distance of a weight, in floors."""
    loss_effect: float
    """Largest distance of a loss, in floors."""

    @property
    def caught(self) -> bool:
        """Whether it was found, where it should be, and in the weights unless it leaves them as they are."""
        divergence = self.judgement.divergence
        right_place = divergence is not None and divergence.stage in self.mutant.stages
        seen = self.weight_effect > 5 or not self.mutant.trains
        return self.judgement.verdict is Verdict.DIFFERENT and right_place and seen

    def line(self) -> str:
        """Return one line of the table."""
        divergence = self.judgement.divergence
        stage = divergence.stage if divergence is not None else "-"
        mark = "caught" if self.caught else "MISSED"
        return (
            f"{mark:<7} {self.mutant.name:<26} {self.path:<7} {self.judgement.verdict.value:<12} first at {stage:<14} "
            f"loss {self.loss_effect:9.3g} floors, weights {self.weight_effect:9.3g} floors"
        )


@dataclass(frozen=True, slots=True)
class SelfTest:
    """The whole panel's result."""

    catches: list[Catch]
    honest: list[Judgement]

    @property
    def all_caught(self) -> bool:
        """Whether every bug was caught and the trainer without one passed."""
        return all(catch.caught for catch in self.catches) and all(item.verdict.passes for item in self.honest)

    def table(self) -> str:
        """Return the result as lines of text, the smallest effect last."""
        lines = [catch.line() for catch in self.catches]
        lines += [f"honest  {item.path}: {item.verdict.value}, {item.headline}" for item in self.honest]
        trained = [catch for catch in self.catches if catch.mutant.trains]
        caught = sum(catch.caught for catch in self.catches)
        lines.append(f"{caught} of {len(self.catches)} planted bugs caught in the right stage")
        if trained:
            weakest = min(trained, key=lambda catch: catch.weight_effect)
            lines.append(f"smallest effect on the weights: {weakest.mutant.name}, {weakest.weight_effect:.3g} floors")
        return "\n".join(lines)


def _effect(measures: list[Measure], floor: Floor, stage: str) -> float:
    ratios = [ratio_of(measure, floor) for measure in measures if measure.stage == stage and stage not in EXACT]
    return max(ratios, default=0.0)


def run_self_test(
    reference: Reference,
    folder: Path,
    *,
    panel: tuple[Mutant, ...] = PANEL,
    ours: str = OURS,
    report: Callable[[str], None],
) -> SelfTest:
    """Plant every mutant of the panel into our arm and judge it.

    Raises:
        ArmFailed: an arm did not finish.
    """
    catches: list[Catch] = []
    honest: list[Judgement] = []
    for scenario in dict.fromkeys(mutant.scenario for mutant in panel):
        chosen = [mutant for mutant in panel if mutant.scenario == scenario]
        report(f"{scenario}: theirs, the floor, and ours with each of {len(chosen)} bugs")
        theirs, floor, traces = _run_scenario(scenario, chosen, reference, folder / scenario, ours)
        for name, trace in traces.items():
            measures = compare(theirs, trace)
            judgement = judge(measures, floor, theirs, trace)
            if name.startswith("honest"):
                honest.append(replace(judgement, path=f"{scenario}, {trace.path}"))
                continue
            mutant = next(mutant for mutant in chosen if _run_name(mutant, packed="packed" in name) == name)
            effects = [_effect(measures, floor, stage) for stage in ("weight", "loss")]
            catches.append(Catch(mutant, trace.path, judgement, *effects))
            report("  " + catches[-1].line())
    return SelfTest(catches, honest)


def _run_name(mutant: Mutant, *, packed: bool) -> str:
    plain = "".join(character if character.isalnum() else "-" for character in mutant.name)
    return f"{'packed' if packed else 'padded'}-{plain}"


def _run_scenario(
    scenario: str, mutants: list[Mutant], reference: Reference, folder: Path, ours: str
) -> tuple[Trace, Floor, dict[str, Trace]]:
    spec = make_spec(scenario)
    plan = make_plan(spec, folder / "plan")

    def run(arm: str, python: Path, trainer: str, runs: list[dict[str, object]]) -> Path:
        path = [str(package_folder())] if arm == "ours" else []
        job = Job(arm, python, trainer, plan.file, folder / arm, runs, spec.threads, path, str(_DRIVER_MUTANTS))
        return run_arm(job)

    theirs = read_trace(run("theirs", reference.python, "trl", [{"name": "base"}]) / "base")
    floor = measure_floor(theirs, run("floor", reference.python, "trl", floor_runs(spec)), spec)
    runs: list[dict[str, object]] = [
        {"name": "honest-padded", "settings": {"packing": "never"}, "save": False},
        {"name": "honest-packed", "save": False},
    ]
    for mutant in mutants:
        for packed in (False, True) if mutant.packed else (False,):
            settings = {} if packed else {"packing": "never"}
            name = _run_name(mutant, packed=packed)
            runs.append({"name": name, "plant": mutant.name, "settings": settings, "save": False})
    ours_folder = run("ours", Path(sys.executable), ours, runs)
    return theirs, floor, {str(item["name"]): read_trace(ours_folder / str(item["name"])) for item in runs}
